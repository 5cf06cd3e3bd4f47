"""What is found under our name: taken over where the folder was moved, refused where it is somebody else's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from builder.cli.frame import keys_of
from builder.errors import EngineError
from builder.tasks.access import renew_password, renew_web_password
from builder.tasks.backup import find_backup_password, list_backups, set_backup_password, take_backup
from builder.tasks.demand import USE
from builder.tasks.interfaces import Context
from builder.tasks.lifecycle import stop_workstation, take_down
from builder.tasks.prepare import read_request
from builder.tasks.render import render_workspace
from builder.tasks.restore import discard_unused, find_unused, restore_snapshot
from builder.tasks.rollback import roll_back
from builder.tasks.up import bring_up
from builder.views import PartView
from tests.unit.core.builders import FACTS
from tests.unit.tasks.fakes import World, make_container, make_image

OLD = "/home/me/where-it-was"
HERE = FACTS.workspace


class Reached(Exception):
    """What lies in the folder of secrets was asked for."""


def up(world: World) -> list[str]:
    before = len(world.engine.acts)
    bring_up(world.context(), fingerprint="f")
    return world.engine.acts[before:]


def moved() -> World:
    """A folder with a workstation, moved here from OLD."""
    world = World()
    up(world)
    container = world.engine.containers["my-app"]
    labels = {**container.labels, "dev.devbox.workspace": OLD}
    world.engine.containers["my-app"] = replace(container, labels=labels)
    world.workspace.gone = (OLD,)
    world.keys.places = {OLD: world.keys.places[HERE]}
    world.events.clear()
    return world


def moved_while_down() -> World:
    """The same, of which only volumes are left: those of before a restore, and those of it, which are in use."""
    world = moved()
    world.engine.containers.clear()
    world.engine.parts = [part("volume", f"my-app_{name}", OLD) for name in ("home", "home_2026", "projects")]
    world.engine.volume_names = [item.name for item in world.engine.parts]
    world.backups.names = {"home": "my-app_home_2026"}
    world.config = "backup: /b"
    return world


def part(kind: str, name: str, workspace: str) -> PartView:
    return PartView(kind=kind, name=name, workspace=workspace)


def test_the_workstation_of_a_folder_that_was_moved_is_taken_over_with_its_secrets() -> None:
    world = moved()
    up(world)
    assert f"this folder was {OLD} before: the workstation my-app is taken over" in world.notes
    assert world.keys.acts == [f"move {OLD}"]
    assert world.keys.places == {HERE: world.workspace.state.token}
    world.events.clear()
    up(world)
    assert not any(OLD in note for note in world.notes)


def test_it_can_be_stopped_and_taken_down_before() -> None:
    assert stop_workstation(moved().context(), "my-app")
    assert take_down(moved().context(), "my-app")


def test_a_copy_of_a_folder_does_not_get_its_workstation() -> None:
    world = moved()
    world.workspace.gone = ()
    with pytest.raises(EngineError, match=f"belongs to another folder, {OLD}\n"):
        up(world)
    assert world.keys.acts == []


@pytest.mark.parametrize("token", ["", "a guess"])
def test_what_a_folder_that_is_gone_left_is_not_taken_without_proof_that_it_was_this_one(token: str) -> None:
    """A disk that is not mounted is gone, too; what a repository brings along in `.workstation/` is no proof."""
    for made in (moved(), moved_while_down()):
        made.workspace.state = replace(made.workspace.state, token=token)
        with pytest.raises(EngineError, match=f"belongs to another folder, {OLD}, which is not there") as caught:
            up(made)
        assert caught.value.hint is not None
        assert "put it back there, run `devbox up` once, and move it then" in caught.value.hint
        assert re.search(r"`docker (rm --force|network rm|volume rm) my-app[-_]\w+(-1)?` removes it", caught.value.hint)
        with pytest.raises(EngineError, match="which is not there"):
            take_down(made.context(), "my-app", volumes=("my-app_home",))
        with pytest.raises(EngineError, match="which is not there"):
            find_unused(made.context(), "my-app")
        assert made.keys.acts == []
        assert not any(act.startswith("remove") for act in made.engine.acts)


Act = Callable[[Context], object]
READERS: dict[str, Act] = {
    "up": lambda context: bring_up(context, fingerprint="f"),
    "rollback": roll_back,
    "render": lambda context: render_workspace(context, ask=False, demand=USE),
    "backups": list_backups,
    "discard": lambda context: find_unused(context, "my-app"),
    "down": lambda context: take_down(context, "my-app"),
    "password": lambda context: keys_of(context, read_request(context).config),
    "password --new": lambda context: renew_password(context, "my-app"),
    "password --new web": lambda context: renew_web_password(context, "my-app"),
    "password backup": lambda context: find_backup_password(context, "my-app"),
    "password backup --set": lambda context: set_backup_password(context, "my-app", "x"),
}


@pytest.mark.parametrize("act", READERS.values(), ids=READERS)
def test_whatever_comes_first_after_a_move_the_secrets_go_along_before(act: Act) -> None:
    world = moved_while_down()
    context = world.context()

    def refuse(*_: object, **__: object) -> None:
        assert world.keys.acts == [f"move {OLD}"]
        raise Reached

    for part_of, name in (
        *((world.keys, name) for name in ("ensure", "ensure_web", "rotate_password", "rotate_web_password")),
        *((world.backups, name) for name in ("password", "keep_password", "volumes")),
        *((world.histories, name) for name in ("load", "save")),
    ):
        setattr(part_of, name, refuse)
    with pytest.raises(Reached):
        act(context)


def test_the_volumes_of_a_restore_stay_in_use_when_the_folder_is_moved_while_down() -> None:
    world = moved_while_down()
    outcome = bring_up(world.context(), fingerprint="f")
    assert "my-app_home_2026" in {volume.name for volume in outcome.spec.volumes}
    assert find_unused(world.context(), "my-app") == ("my-app_home",)


@pytest.mark.parametrize("here_too", [True, False], ids=["there", "not mounted"])
def test_a_new_folder_where_one_was_before_gets_nothing_of_it(here_too: bool) -> None:
    """Labels of volumes stay as they were: with the path that is now another folder's."""
    world = World()
    world.keys.links = {HERE: "/home/me/where-it-is"}
    world.workspace.gone = () if here_too else ("/home/me/where-it-is",)
    world.engine.parts = [part("volume", "my-app_home", HERE)]
    world.engine.volume_names = ["my-app_home"]
    for act in (lambda: up(world), lambda: take_down(world.context(), "my-app", volumes=("my-app_home",))):
        with pytest.raises(EngineError, match="belongs to another folder, /home/me/where-it-is"):
            act()
    assert world.engine.volume_names == ["my-app_home"]


@pytest.mark.parametrize("verb", ["backup", "restore", "discard"])
def test_volumes_of_another_folder_are_neither_read_nor_filled_nor_discarded(verb: str) -> None:
    world = World(config="backup: /b")
    names = ("my-app_home", "my-app_home_2026")
    world.engine.parts = [part("volume", name, OLD) for name in names]
    world.engine.volume_names = list(names)
    acts: dict[str, Act] = {
        "backup": take_backup,
        "restore": lambda context: restore_snapshot(
            context, "latest", origin=None, beside=None, despite=False, agree=lambda *_: True
        ),
        "discard": lambda context: discard_unused(context, "my-app", names),
    }
    with pytest.raises(EngineError, match=f"the volume my-app_home belongs to another folder, {OLD}\n"):
        acts[verb](world.context())
    assert (world.engine.volume_names, world.engine.asked, world.backups.names) == (list(names), [], {})


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_a_part_of_another_folder_is_refused_before_anything_is_made(kind: str) -> None:
    world = World()
    world.engine.parts = [part(kind, "my-app_home", OLD)]
    with pytest.raises(EngineError, match=f"the {kind} my-app_home belongs to another folder, {OLD}") as caught:
        up(world)
    assert caught.value.hint is not None
    assert "`name:`" in caught.value.hint
    assert world.engine.acts == ["pull ubuntu:22.04"]


def test_down_removes_nothing_of_another_folder() -> None:
    world = World()
    world.engine.volume_names = ["my-app_home"]
    world.engine.parts = [part("volume", "my-app_home", OLD)]
    with pytest.raises(EngineError, match="belongs to another folder"):
        take_down(world.context(), "my-app", volumes=("my-app_home",))
    assert world.engine.acts == []


def test_what_devbox_did_not_make_is_refused_before_the_build() -> None:
    world = World()
    world.engine.foreign = EngineError("a volume named my-app_home exists and was not made by devbox")
    with pytest.raises(EngineError, match="was not made by devbox"):
        up(world)
    assert world.engine.acts == ["pull ubuntu:22.04"]


def test_an_image_of_our_name_that_is_not_ours_is_neither_run_nor_replaced() -> None:
    world = World()
    up(world)
    (tag,) = world.engine.built
    world.engine.images[tag] = make_image(tag, {"maintainer": "somebody"})
    world.engine.containers.clear()
    with pytest.raises(EngineError, match=f"an image named {tag} exists and was not made by devbox") as caught:
        up(world)
    assert caught.value.hint is not None
    assert f"`docker rmi {tag}`" in caught.value.hint


@pytest.mark.parametrize(("folder", "said"), [(HERE, True), (OLD, True), ("/home/me/copied-from", False)])
def test_another_name_says_what_is_left_under_the_one_before(folder: str, said: bool) -> None:
    """The folder was renamed, or `name:` was written; a copy of a folder has nothing to do with it."""
    world = World()
    up(world)
    world.events.clear()
    world.workspace.gone = (OLD,)
    world.config = "name: other"
    world.engine.parts = [part("volume", "my-app_home", folder), part("volume", "my-app_projects", folder)]
    up(world)
    text = "the workstation of this folder was my-app so far, and my-app_home, my-app_projects is left of it"
    assert (f"{text}: with `name: my-app` in devbox.yaml it goes on" in world.warnings) == said
    assert world.workspace.state.project == "other"


def test_a_container_of_nobody_is_not_ours_to_judge() -> None:
    world = World()
    world.engine.containers["my-app"] = make_container(labels={})
    up(world)
    assert world.engine.containers["my-app"].state == "running"
