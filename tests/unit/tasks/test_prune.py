"""`prune` and `uninstall`: what they take, in which order, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from builder.core.leftovers import Cached, Known, describe_others
from builder.errors import EngineError
from builder.tasks.prune import find_leftovers, find_others, remove_leftovers
from builder.tasks.uninstall import describe_belongings, find_belongings, refuse_left, remove_belongings
from builder.views import ImageView, PartView
from tests.unit.core.builders import FACTS
from tests.unit.tasks.fakes import FakeEngine, World, make_container, make_image

PLAN = {"dev.devbox.plan": "1"}
APP = {"dev.devbox.workspace": "/home/me/app", "com.docker.compose.project": "app"}
THEIRS = {"dev.devbox.workspace": "/home/you/app", "com.docker.compose.project": "theirs"}


@dataclass
class FakeEstate:
    states: Sequence[Known] = ()
    entries: Sequence[Cached] = ()
    rendered: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=lambda: {"/cache/devbox/trees/a"})
    acts: list[str] = field(default_factory=list)

    @property
    def folders(self) -> tuple[str, ...]:
        return "/state/devbox", "/cache/devbox"

    def moment(self, ago_s: float) -> str:
        return "2026-01-01T00:00:00Z"

    def is_mine(self, workspace: str) -> bool:
        return not workspace.startswith("/home/you")

    def known(self) -> tuple[Known, ...]:
        return tuple(self.states)

    def cached(self) -> tuple[Cached, ...]:
        return tuple(self.entries)

    def remove(self, name: str) -> None:
        self.acts.append(f"remove {name}")

    def remove_all(self, kept: tuple[str, ...]) -> None:
        self.files &= {*kept}

    def holds(self, folder: str, kept: tuple[str, ...]) -> bool:
        return any(name.startswith(folder) and name not in kept for name in self.files)

    def has_rendered(self, workspace: str) -> bool:
        return workspace in self.rendered

    def clear_workspace(self, workspace: str) -> None:
        self.rendered.discard(workspace)


def engine(*images: ImageView, **more: object) -> FakeEngine:
    return FakeEngine(images={image.tags[0]: image for image in images}, **more)  # type: ignore[arg-type]


def test_prune_spares_what_runs_what_a_folder_goes_back_to_and_what_a_stranger_runs() -> None:
    names = ("devbox/a:runs", "devbox/a:back", "devbox/a:strange", "devbox/a:spare")
    made = engine(
        *(make_image(name, PLAN) for name in names),
        containers={"app": make_container("app", image_id="sha256:devbox/a:runs", labels=APP)},
        strangers=[make_container("other", image_id="sha256:devbox/a:strange")],
    )
    known = Known(folder="f", project="app", workspace="w", there=True, images=("sha256:devbox/a:back",))
    estate = FakeEstate(states=[known], entries=[Cached(path="/c/x", bytes=9, idle_days=40)])
    found = find_leftovers(World(engine=made).context(), estate, "my-app", days=30)
    assert [(item.kind, item.name) for item in found] == [("image", "devbox/a:spare"), ("cache", "/c/x")]
    assert made.acts == estate.acts == []
    assert remove_leftovers(World(engine=made).context(), estate, found) == 1 + 9
    assert (made.acts, estate.acts) == (["remove image devbox/a:spare"], ["remove /c/x"])


def test_the_way_back_of_a_folder_that_is_gone_keeps_no_image() -> None:
    known = Known(folder="/s/f", project="app", workspace="/w", there=False, images=("sha256:devbox/a:back",))
    context = World(engine=engine(make_image("devbox/a:back", PLAN))).context()
    found = find_leftovers(context, FakeEstate(states=[known]), "my-app", days=30)
    assert [item.name for item in found] == ["devbox/a:back", "/s/f"]


def test_the_way_back_stays_where_the_state_stays_though_the_folder_cannot_be_found() -> None:
    back = make_image("devbox/a:back", PLAN)
    known = Known(folder="/s/f", project="app", workspace="/mnt/app", there=False, images=(back.id,))
    world = World(engine=engine(back, parts=[PartView(kind="volume", name="v", workspace="/old/app", project="app")]))
    assert find_leftovers(world.context(), FakeEstate(states=[known]), "my-app", days=30) == ()


def test_what_somebody_else_on_the_same_engine_goes_back_to_stays() -> None:
    names = ("devbox/a:1", "devbox/a:2")
    theirs = replace(make_image(names[0], PLAN), tags=(names[0], "devbox/previous:theirs"))
    old = replace(make_image(names[1], PLAN), tags=(names[1], "devbox/previous:nobodys"))
    world = World(engine=engine(theirs, old, parts=parts()))
    found = find_leftovers(world.context(), FakeEstate(), "my-app", days=30)
    assert [item.name for item in found] == ["devbox/a:2", "devbox/previous:nobodys"]
    assert all("may be somebody else's" in item.why for item in found)
    told = find_belongings(world.context(), FakeEstate(), volumes=False)
    assert "devbox/a:1: somebody else goes back to it" in told.kept
    assert "devbox/previous:nobodys: may be somebody else's; `devbox prune` removes what nobody runs" in told.kept


def test_what_others_have_on_the_engine_is_named_where_an_image_may_be_theirs() -> None:
    spare, entry = make_image("devbox/a:spare", PLAN), Cached(path="/c/x", bytes=9, idle_days=40)
    estate = FakeEstate(entries=[entry])
    for found_parts, names in ((parts(), ("volume theirs_home",)), (parts()[:2], ())):
        context = World(engine=engine(spare, parts=found_parts)).context()
        assert find_others(context, estate) == names
        image, cached = find_leftovers(context, estate, "my-app", days=30)
        assert ("somebody else" in image.why) == bool(names)
        assert "somebody else" not in cached.why
        assert "".join(describe_others(names, [image])).count("theirs_home") == len(names)
        assert not list(describe_others(names, [cached]))


@pytest.mark.parametrize("others", [True, False])
def test_uninstall_leaves_an_image_that_may_be_of_others_only_where_there_are_any(others: bool) -> None:
    """What this person runs, goes back to or stands on goes in any case, and is looked for when its state is gone."""
    names = ("devbox/a:runs", "devbox/a:back", "devbox/base:mine", "devbox/a:nobody-knows")
    made = Leaving(
        images={name: make_image(name, PLAN) for name in names},
        containers={"app": make_container("app", image_id="sha256:devbox/a:runs", labels=APP)},
        parts=parts() if others else parts()[:2],
    )
    back = ("sha256:devbox/a:back",)
    known = Known(folder="f", project="app", workspace="w", there=True, images=back, base="devbox/base:mine")
    world, estate = World(engine=made), FakeEstate(states=[known])
    found = find_belongings(world.context(), estate, volumes=False)
    assert found.images == (names[:3] if others else names)
    estate.states = ()
    left = find_belongings(world.context(), estate, volumes=False, before=found)
    assert left.images == found.images, "none of them was removed"


def test_the_volumes_without_a_name_of_a_sidecar_go_with_it() -> None:
    beside = {**APP, "com.docker.compose.service": "db"}
    containers = {"app": make_container("app", labels=APP), "db": make_container("db", labels=beside)}
    world = World(engine=Leaving(containers=containers))
    found = find_belongings(world.context(), FakeEstate(), volumes=False)
    remove_belongings(world.context(), FakeEstate(), found, lambda: None)
    assert [act for act in world.engine.acts if "unnamed" in act] == ["remove id-db, unnamed too"]


def test_the_base_that_a_lock_names_stays_though_there_is_a_newer_one() -> None:
    base = {"dev.devbox.base": "debian-12"}
    old, new = (
        replace(make_image(f"devbox/base:debian-12-{name}", base), created=f"2025-01-0{day}T00:00:00Z")
        for name, day in (("old", 1), ("new", 2))
    )
    world = World(engine=engine(old, new))
    assert [item.name for item in find_leftovers(world.context(), FakeEstate(), "my-app", days=30)] == [old.tags[0]]
    known = Known(folder="/s/f", project="app", workspace="/w", there=True, base=old.tags[0])
    assert find_leftovers(world.context(), FakeEstate(states=[known]), "my-app", days=30) == ()


def test_what_the_engine_refuses_stays_and_the_rest_goes() -> None:
    class Refusing(FakeEngine):
        def remove_image(self, reference: str) -> int:
            if reference == "devbox/a:1":
                raise EngineError("it is in use")
            return super().remove_image(reference)

    images = {name: make_image(name, PLAN) for name in ("devbox/a:1", "devbox/a:2")}
    world = World(engine=Refusing(images=images))
    found = find_leftovers(world.context(), FakeEstate(), "my-app", days=30)
    remove_leftovers(world.context(), FakeEstate(), found)
    assert world.notes == ["devbox/a:1 stays: it is in use"]
    assert list(world.engine.images) == ["devbox/a:1"]


def parts() -> list[PartView]:
    return [
        PartView(kind="network", name="app_default", workspace="/home/me/app", project="app"),
        PartView(kind="volume", name="app_home", workspace="/home/me/app", project="app"),
        PartView(kind="volume", name="theirs_home", workspace="/home/you/app", project="theirs"),
    ]


class Leaving(FakeEngine):
    """Forgets what is removed, as an engine does."""

    def remove(self, container: str, *, unnamed: bool = False) -> None:
        super().remove(container, unnamed=unnamed)
        self.containers = {name: item for name, item in self.containers.items() if item.id != container}

    def remove_network(self, project: str) -> None:
        super().remove_network(project)
        self.parts = tuple(part for part in self.parts if part.name != f"{project}_default")


def installed() -> tuple[World, FakeEstate]:
    images = {name: make_image(name, PLAN) for name in ("devbox/a:mine", "devbox/a:theirs")}
    containers = {
        "app": make_container("app", image_id="sha256:devbox/a:mine", labels=APP),
        "theirs": make_container("theirs", image_id="sha256:devbox/a:theirs", labels=THEIRS),
    }
    made = Leaving(images=images, containers=containers, parts=parts(), volume_names=["app_home", "theirs_home"])
    secret = "/state/devbox/app-1/backup-password"
    known = Known(folder="f", project="app", workspace="/home/me/app", there=True, precious=(secret,))
    estate = FakeEstate(states=[known], rendered={"/home/me/app"}, files={secret, "/cache/devbox/trees/a"})
    return World(engine=made), estate


def test_uninstall_takes_all_of_this_person_and_leaves_what_is_told() -> None:
    world, estate = installed()
    found = find_belongings(world.context(), estate, volumes=False)
    told = "\n".join(describe_belongings(found))
    assert "theirs-workstation-1: of a folder that is not yours here, /home/you/app" in told
    assert "volume theirs_home: of a folder that is not yours here, /home/you/app" in told
    assert "volume app_home: --volumes destroys it" in told
    assert "backup-password: opens backups" in told
    with pytest.raises(EngineError, match="something of devbox is left"):
        refuse_left(found)
    remove_belongings(world.context(), estate, found, lambda: None)
    left = find_belongings(world.context(), estate, volumes=False)
    refuse_left(left)
    assert [name for name in left.kept if "backup" not in name] == [
        f"theirs-workstation-1: of a folder that is not yours here, {THEIRS['dev.devbox.workspace']}",
        f"volume theirs_home: of a folder that is not yours here, {THEIRS['dev.devbox.workspace']}",
        "devbox/a:theirs: a container runs it",
        "volume app_home: --volumes destroys it, with all data in it",
    ]
    assert world.engine.volume_names == ["app_home", "theirs_home"]


def test_the_password_of_data_that_stays_stays_too() -> None:
    world, estate = installed()
    password = "/state/devbox/app-1/sidecars/db/password"
    estate.states = [replace(item, opening=(password,)) for item in estate.states]
    data = PartView(kind="volume", name="app_sidecar-db", workspace="/home/me/app", project="app")
    world.engine.parts = [*parts(), data]
    found = find_belongings(world.context(), estate, volumes=False)
    assert password in found.precious
    assert f"{password}: opens data in a sidecar's volume" in "\n".join(found.kept)
    assert password not in find_belongings(world.context(), estate, volumes=True).precious
    world.engine.parts = parts()
    assert password not in find_belongings(world.context(), estate, volumes=False).precious


def test_volumes_go_only_when_that_is_said_and_never_those_of_others() -> None:
    world, estate = installed()
    found = find_belongings(world.context(), estate, volumes=True)
    assert found.volumes == ("app_home",)
    remove_belongings(world.context(), estate, found, lambda: None)
    assert world.engine.volume_names == ["theirs_home"]
    refuse_left(find_belongings(world.context(), estate, volumes=True))


def test_what_a_restore_filled_for_nobody_yet_goes_only_with_the_project_that_took_it() -> None:
    world, estate = installed()
    restored = PartView(kind="volume", name="new_home", workspace="", project="new")
    world.engine.parts = (*parts(), restored)
    found = find_belongings(world.context(), estate, volumes=True)
    assert found.volumes == ("app_home",)
    assert "volume new_home: filled by `devbox restore --to`" in found.kept
    claim = PartView(kind="volume", name="new_taken", workspace="/home/me/new", project="new")
    world.engine.parts = (*parts(), restored, claim)
    assert find_belongings(world.context(), estate, volumes=True).volumes == ("app_home", "new_home", "new_taken")


def test_copies_of_secrets_on_another_machine_are_no_data_and_go_with_the_network() -> None:
    world, estate = installed()
    world.engine.parts = [*parts(), PartView(kind="volume", name="app_secrets", workspace="/home/me/app")]
    found = find_belongings(world.context(), estate, volumes=False)
    assert found.workstations == ("app",)
    assert not [line for line in found.kept if "secrets" in line]
    world.engine.parts = [part for part in world.engine.parts if part.kind == "volume"]
    remove_belongings(world.context(), estate, found, lambda: None)
    assert "remove network app" in world.engine.acts


def test_what_says_which_volumes_are_in_use_stays_with_them() -> None:
    world, estate = installed()
    path = "/state/devbox/app-1/volumes.json"
    estate.states = [replace(estate.states[0], restored=(path,))]
    assert path in find_belongings(world.context(), estate, volumes=False).precious
    assert path not in find_belongings(world.context(), estate, volumes=True).precious


def test_what_could_not_be_removed_is_an_error_at_the_end() -> None:
    world, estate = installed()

    class Stuck(Leaving):
        def remove(self, container: str, *, unnamed: bool = False) -> None:
            raise EngineError(f"{container} is stuck")

    world.engine = Stuck(images=world.engine.images, containers=world.engine.containers, parts=world.engine.parts)
    found = find_belongings(world.context(), estate, volumes=False)
    remove_belongings(world.context(), estate, found, lambda: None)
    assert "id-app is stuck" in world.notes
    with pytest.raises(EngineError, match="something of devbox is left"):
        refuse_left(find_belongings(world.context(), estate, volumes=False))


def test_this_folders_own_image_is_spared_though_nothing_runs_it_yet() -> None:
    world = World(engine=engine(make_image("devbox/a:1", PLAN)))
    world.engine.containers["my-app"] = replace(
        make_container("my-app", image_id="sha256:devbox/a:1"), labels={"dev.devbox.workspace": FACTS.workspace}
    )
    assert find_leftovers(world.context(), FakeEstate(), "my-app", days=30) == ()
