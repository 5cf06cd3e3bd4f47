"""`up --update` and `rollback`: nothing is remembered before it proved itself, and there is a way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from builder.core.generations import History
from builder.core.labels import LABEL_WORKSPACE
from builder.errors import (
    BuildError,
    ConfigError,
    DevboxError,
    EngineError,
    HostError,
    LockError,
    NotReadyError,
    PortTakenError,
    VerifyError,
)
from builder.model import ImageFile
from builder.tasks.earlier import plan_held, read_hold
from builder.tasks.lifecycle import stop_workstation, take_down
from builder.tasks.prepare import Prepared, prepare
from builder.tasks.rollback import Rollback, roll_back
from builder.tasks.up import bring_up
from builder.tasks.update import Update, update_workstation
from tests.unit.tasks.fakes import World, probe_line

PROJECT = "my-app"
STATUS = "Package: jq\nStatus: install ok installed\nVersion: {}\nArchitecture: amd64\n\n"


@pytest.fixture
def world() -> World:
    """With a workstation that is up, whose image has an old jq, and a mirror that has a newer one."""
    world = World()
    bring_up(world.context(), fingerprint="f")
    world.events.clear()
    world.engine.acts.clear()
    offer(world, "1.6")
    return world


def offer(world: World, version: str) -> None:
    """What the mirror has of git; the images are said to hold jq, which is where they differ."""
    world.engine.mirror.newest["git"] = version
    running = world.engine.containers[PROJECT].image_id

    def files(image: str) -> list[ImageFile]:
        version = "1.5" if image == running else "1.6"
        return [ImageFile(path="var/lib/dpkg/status", data=STATUS.format(version).encode())]

    world.engine.files_of = files


def update(world: World, check: object = lambda prepared: None, names: tuple[str, ...] = ()) -> Update:
    return update_workstation(world.context(), fingerprint="f", check=check, names=names)  # type: ignore[arg-type]


def history(world: World) -> History:
    return world.histories.load(PROJECT)


def refuse(prepared: Prepared) -> None:
    raise VerifyError("1 of 9 checks failed", where="throw-away", detail="✗ tooling.jq")


def test_with_nothing_newer_all_stays(world: World) -> None:
    offer(world, "1.0")
    before = world.workspace.lock_file
    done = update(world)
    assert not done.outcome.changed
    assert not [act for act in world.engine.acts if act.startswith(("create", "stop"))]
    assert world.workspace.lock_file == before
    assert "there is nothing newer" in world.notes


def test_what_is_newer_is_built_tried_told_and_taken(world: World) -> None:
    old, tried = world.engine.containers[PROJECT].image_id, list[str]()

    def look(prepared: Prepared) -> None:
        tried.append(f"{prepared.plan.image} {world.engine.containers[PROJECT].state}")

    done = update(world, look)
    new = world.engine.containers[PROJECT]
    assert new.image_id != old
    assert tried == [f"{done.outcome.plan.image} running"]
    assert [str(change) for change in done.changes] == ["jq 1.5 -> 1.6"]
    assert version_of(world, "git") == "1.6"
    assert "git 1.0 -> 1.6" in world.notes
    again = bring_up(world.context(), fingerprint="f")
    assert not again.changed, "a plain `up` stays with it"


def version_of(world: World, package: str) -> str:
    """By the lock."""
    return next(item.version for item in world.lock.apt if item.name == package)


def test_other_folders_of_this_machine_take_the_newer_ones_too(world: World) -> None:
    update(world)
    other = World(engine=world.engine, memo=world.memo)
    questions = len(world.engine.mirror.questions)
    prepared = prepare(other.context())
    assert prepared.plan.image in world.engine.images
    assert len(world.engine.mirror.questions) == questions


def test_a_mirror_that_cannot_be_asked_changes_nothing(world: World) -> None:
    world.engine.mirror.error = BuildError("exit code 100", detail="E: Failed to fetch")
    assert_untouched(world, BuildError, "the package mirror cannot be asked: exit code 100")


def test_a_check_that_fails_changes_nothing_and_a_later_up_does_not_take_the_image_either(world: World) -> None:
    assert_untouched(world, VerifyError, "what ran before still runs: 1 of 9 checks failed", check=refuse)


def test_one_that_cannot_be_used_is_taken_back(world: World) -> None:
    probes = iter([[probe_line(phase="x", failed="none")], *[world.engine.probe] * 9])
    world.engine.next_probe = lambda: next(probes)
    assert_untouched(world, NotReadyError, "of before runs again")


def test_an_interrupt_is_taken_back_too(world: World) -> None:
    def interrupt(prepared: Prepared) -> None:
        raise KeyboardInterrupt

    before = world.workspace.state, world.workspace.lock_file, dict(world.memo.kept)
    with pytest.raises(KeyboardInterrupt):
        update(world, interrupt)
    assert (world.workspace.state, world.workspace.lock_file, world.memo.kept) == before


def known_by(world: World) -> tuple[object, ...]:
    return world.workspace.state, world.workspace.lock_file, dict(world.memo.kept)


def assert_untouched(world: World, kind: type[DevboxError], words: str, check: object = lambda prepared: None) -> None:
    before, container = known_by(world), world.engine.containers[PROJECT]
    with pytest.raises(kind) as caught:
        update(world, check)
    assert words in caught.value.message
    assert caught.value.hint is not None
    assert known_by(world) == before
    assert world.engine.containers[PROJECT] == container
    assert world.engine.coming == {}
    assert history(world).previous is None
    world.engine.build_error, world.engine.next_probe = None, None
    assert not bring_up(world.context(), fingerprint="f").changed


def test_an_image_that_was_not_taken_is_removed_after_the_next_success(world: World) -> None:
    with pytest.raises(VerifyError):
        update(world, refuse)
    (left,) = history(world).older
    offer(world, "1.7")
    update(world)
    assert history(world).older == ()
    assert any(act.startswith("remove image") and left.endswith(act.split()[-1]) for act in world.engine.acts)


def test_only_what_is_named_is_asked_anew(world: World) -> None:
    world.engine.mirror.newest["s6"] = "9.9"
    update(world, names=("git",))
    assert (version_of(world, "git"), version_of(world, "s6")) == ("1.6", "1.0")
    with pytest.raises(ConfigError, match="`gti` is no tool or package") as caught:
        update(world, names=("gti",))
    assert "did you mean `git`?" in str(caught.value.hint)


def test_a_damaged_history_is_told_before_anything_is_done(world: World) -> None:
    def damaged(project: str) -> History:
        raise LockError("is damaged", hint="remove it")

    world.histories.load = damaged  # type: ignore[method-assign]
    with pytest.raises(LockError):
        update(world)
    assert world.engine.acts == []


@pytest.mark.parametrize("what", ["disk", "interrupt"])
def test_what_fails_after_the_switch_does_not_undo_the_answers(world: World, what: str) -> None:
    old = world.engine.containers[PROJECT].image_id
    error = KeyboardInterrupt() if what == "interrupt" else HostError("no room", hint="make some")

    def refuse_to_save(project: str, history: History) -> None:
        raise error

    world.histories.save = refuse_to_save  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        update(world)
    del world.histories.save
    new = world.engine.containers[PROJECT].image_id
    assert new != old
    assert not bring_up(world.context(), fingerprint="f").changed
    assert world.engine.containers[PROJECT].image_id == new
    assert back(world).image == history(world).current.spec.image  # type: ignore[union-attr]
    assert world.engine.containers[PROJECT].image_id == old


def test_what_cannot_be_taken_back_does_not_hide_why_it_failed(world: World) -> None:
    def refuse_to_save(project: str, history: History) -> None:
        raise HostError("no room", hint="make some")

    world.histories.save = refuse_to_save  # type: ignore[method-assign]
    with pytest.raises(VerifyError, match="1 of 9 checks failed"):
        update(world, refuse)
    assert "could not be taken back wholly: no room" in world.warnings[-1]


# --------------------------------------------------------------------------------------------------- rollback


def back(world: World) -> Rollback:
    world.events.clear()
    return roll_back(world.context())


def test_there_may_be_nothing_to_go_back_to(world: World) -> None:
    with pytest.raises(EngineError, match="there is nothing to go back to") as caught:
        back(world)
    assert caught.value.hint is not None
    assert world.engine.acts == []


def test_an_update_is_undone_with_its_answers_so_that_up_has_nothing_to_do(world: World) -> None:
    before, old = world.workspace.lock_file, world.engine.containers[PROJECT].image_id
    update(world)
    done = back(world)
    assert world.engine.containers[PROJECT].image_id == old
    assert world.workspace.lock_file == before
    assert not done.stays
    assert "jq 1.6 -> 1.5" in done.differs
    assert "jq 1.6 -> 1.5" in world.notes
    assert not bring_up(world.context(), fingerprint="f").changed


def test_going_back_twice_goes_forward_again(world: World) -> None:
    update(world)
    new, lock = world.engine.containers[PROJECT].image_id, world.workspace.lock_file
    back(world)
    back(world)
    assert world.engine.containers[PROJECT].image_id == new
    assert world.workspace.lock_file == lock


def change(world: World, config: str = "environment: {EDITOR: vim}") -> None:
    world.config = config
    bring_up(world.context(), fingerprint="f")


def test_a_change_of_the_config_is_undone_and_up_stays_there_and_says_so(world: World) -> None:
    change(world)
    assert back(world).stays
    assert "environment of devbox.yaml is that of then" in world.notes
    again = bring_up(world.context(), fingerprint="f")
    assert not again.changed
    assert "EDITOR" not in again.spec.environment
    assert any("`devbox rollback` went back to" in note for note in world.notes)
    assert world.workspace.state.fingerprint == "", "the short way would say that all is as devbox.yaml has it"


def test_what_was_gone_back_to_is_looked_at_by_the_devbox_yaml_of_then(world: World) -> None:
    change(world)
    back(world)
    bring_up(world.context(), fingerprint="f")
    context = world.context()
    held = read_hold(context, prepare(context))
    assert held is not None
    then = plan_held(context, held)
    assert then is not None
    assert "EDITOR" not in then.resolved.runtime.environment
    assert plan_held(context, replace(held, config=None)) is None, "an earlier devbox kept none"
    assert plan_held(context, replace(held, config="apt: [sl]\n")) is None, "that is another plan"


def test_up_makes_what_it_stays_with_anew_when_it_is_gone(world: World) -> None:
    change(world)
    back(world)
    take_down(world.context(), PROJECT)
    assert "EDITOR" not in bring_up(world.context(), fingerprint="f").spec.environment


@pytest.mark.parametrize("way", ["edit", "update"])
def test_an_edit_and_an_update_go_on_from_there(world: World, way: str) -> None:
    change(world)
    back(world)
    offer(world, "1.0")
    if way == "update":
        spec = update(world).outcome.spec
    else:
        world.config = "environment: {EDITOR: nano}"
        spec = bring_up(world.context(), fingerprint="f").spec
    assert spec.environment["EDITOR"] == ("vim" if way == "update" else "nano")
    assert history(world).hold is None


def test_one_of_before_that_cannot_be_used_leaves_what_runs(world: World) -> None:
    change(world)
    new, state, kept = world.engine.containers[PROJECT], world.workspace.state, history(world)
    probes = iter([[probe_line(phase="x", failed="none")], *[world.engine.probe] * 9])
    world.engine.next_probe = lambda: next(probes)
    with pytest.raises(NotReadyError, match="runs again"):
        back(world)
    assert (world.engine.containers[PROJECT], world.workspace.state, history(world)) == (new, state, kept)


def test_an_image_that_is_gone_is_told(world: World) -> None:
    update(world)
    previous = history(world).previous
    assert previous is not None
    del world.engine.images[previous.image]
    with pytest.raises(EngineError, match="is not on the engine any more"):
        back(world)


def test_a_port_that_is_taken_by_now_is_replaced(world: World) -> None:
    update(world)
    world.engine.containers[PROJECT] = replace(world.engine.containers[PROJECT], ports={})
    world.ports.busy[5901] = "thief"
    back(world)
    assert world.engine.containers[PROJECT].ports[5901] == 5902


def test_the_image_of_before_is_kept_by_a_tag_and_given_up_with_the_volumes(world: World) -> None:
    old = world.engine.containers[PROJECT].image_id
    update(world)
    assert world.engine.images[f"devbox/previous:{PROJECT}"].id == old
    take_down(world.context(), PROJECT)
    assert history(world).previous is not None
    take_down(world.context(), PROJECT, volumes=("my-app_home",))
    assert history(world) == History()
    assert f"devbox/previous:{PROJECT}" not in world.engine.images


def move(world: World) -> None:
    """The folder of secrets is found by the path of the workspace."""
    ensure = world.keys.ensure
    world.keys.ensure = lambda *a, **k: replace(ensure(*a, **k), folder="/state/moved/secrets")  # type: ignore[method-assign]


def restore(world: World) -> None:
    world.engine.remove(world.engine.containers[PROJECT].id)
    world.backups.names = {"home": "my-app_home_2026-1"}


@pytest.mark.parametrize("happens", [move, restore])
def test_a_restore_or_a_move_is_no_change_to_go_back_from(world: World, happens: Callable[[World], None]) -> None:
    old = world.engine.containers[PROJECT].image_id
    update(world)
    happens(world)
    assert bring_up(world.context(), fingerprint="f").changed
    previous = history(world).previous
    assert previous is not None
    assert previous.image == old
    assert old in world.engine.images
    assert not back(world).stays
    assert world.engine.containers[PROJECT].image_id == old


def test_what_is_held_to_gets_another_port_when_its_own_is_taken(world: World) -> None:
    change(world)
    back(world)
    stop_workstation(world.context(), PROJECT)
    there = world.engine.containers[PROJECT] = replace(world.engine.containers[PROJECT], ports={})
    world.ports.busy[5901] = "thief"
    world.engine.start_errors[there.id] = PortTakenError("port 5901 is taken")
    outcome = bring_up(world.context(), fingerprint="f")
    assert {port.name: port.host for port in outcome.spec.ports}["vnc"] == 5902
    assert world.engine.containers[PROJECT].state == "running"


def test_what_is_held_to_is_made_anew_when_its_secrets_moved(world: World) -> None:
    change(world)
    back(world)
    assert not bring_up(world.context(), fingerprint="f").changed
    move(world)
    outcome = bring_up(world.context(), fingerprint="f")
    assert outcome.changed
    assert outcome.spec.secrets_dir == "/state/moved/secrets"
    assert outcome.spec.labels[LABEL_WORKSPACE] == str(world.workspace.root)


def test_the_same_plan_that_was_built_again_is_gone_back_from_too(world: World) -> None:
    old = world.engine.containers[PROJECT].image_id
    (tag,) = [name for name in world.engine.images if name.startswith("devbox/workstation:")]
    world.engine.images[tag] = world.engine.images["sha256:again"] = replace(
        world.engine.images[tag], id="sha256:again"
    )
    bring_up(world.context(), fingerprint="f", recreate=True)
    assert world.engine.containers[PROJECT].image_id == "sha256:again"
    back(world)
    assert world.engine.containers[PROJECT].image_id == old


def test_a_damaged_history_is_told_with_what_is_lost() -> None:
    from builder.adapters.history import load_history

    for data in (b"", b"[]", b'{"format": 2}', b'{"format": 1, "history": {"previous": {"spec": 1}}}'):
        with pytest.raises(LockError) as caught:
            load_history(data, where="history.json")
        assert "only the way back" in str(caught.value.hint)
