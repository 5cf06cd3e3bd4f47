"""How far the lock binds: what is asked, what stays, what is an error, and when the file is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.core.canonical import bytes_id
from builder.core.lock import Lock
from builder.core.lock_file import dump_lock
from builder.errors import BuildError, HostError, LockError
from builder.model import BuildEvent
from builder.tasks.demand import USE, Demand
from builder.tasks.prepare import Prepared, prepare
from builder.tasks.relock import write_lock
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import FakeSources, World

FROZEN = Demand(frozen=True)


@pytest.fixture
def world() -> World:
    """With a lock, and a mirror that has newer packages by now."""
    world = World("apt: [htop]")
    write_lock(world.context(), Demand())
    world.engine.mirror.questions.clear()
    world.engine.mirror.newest = dict.fromkeys(("git", "s6", "htop", "jq"), "2.0")
    world.events.clear()
    return world


def versions(lock: Lock | None) -> dict[str, str]:
    assert lock is not None
    return {package.name: package.version for package in lock.apt}


def plan(world: World, demand: Demand = USE) -> Prepared:
    return prepare(world.context(), demand=demand)


def asked(world: World) -> list[str]:
    """The steps that the mirror was asked for, a question a line."""
    return [tree["question/steps"].data.decode().replace("\n", ";") for tree in world.engine.mirror.questions]


def test_a_lock_that_fits_is_used_and_nobody_is_asked(world: World) -> None:
    for demand in (Demand(), FROZEN):
        assert versions(plan(world, demand).lock)["git"] == "1.0"
    assert asked(world) == []


def test_the_same_lock_is_the_same_image_on_a_machine_that_knows_nothing_else(world: World) -> None:
    other = World("apt: [htop]")
    other.workspace.lock_file = world.workspace.lock_file
    other.engine.mirror.newest = {"git": "3.0"}
    assert plan(other).plan.image == plan(world).plan.image
    other.workspace.lock_file = None
    assert plan(other).plan.image != plan(world).plan.image


def test_what_another_devbox_recorded_of_itself_is_no_reason_to_refuse(world: World) -> None:
    lock = replace(world.lock, devbox="0.0.9", recipe=replace(world.lock.recipe, rootfs="0" * 64))
    world.workspace.lock_file = dump_lock(lock)
    assert plan(world, FROZEN).lock == lock


def test_what_the_lock_lacks_is_asked_on_top_of_what_it_has_and_the_rest_stays(world: World) -> None:
    world.config = "apt: [htop, jq]"
    prepared = plan(world)
    assert versions(prepared.lock) == {**versions(world.lock), "jq": "2.0"}
    assert asked(world) == ["jq;"]
    (note,) = [note for note in world.notes if "does not fit" in note]
    assert "the package jq is new; that is asked, the rest stays" in note
    plan(world)
    assert asked(world) == ["jq;"], "what was asked is remembered until it is written"


def test_what_is_not_wanted_any_more_goes_without_a_question(world: World) -> None:
    world.config = ""
    assert "htop" not in versions(plan(world).lock)
    assert asked(world) == []


def test_where_a_step_below_changed_all_are_asked_and_the_versions_stay(world: World) -> None:
    world.config = "apt: [htop]\ntools: {git: false}"
    lock = plan(world).lock
    assert "git" not in versions(lock)
    assert versions(lock)["s6"] == "1.0"
    assert len(asked(world)) == 1


def test_a_version_that_is_to_stay_and_is_gone_is_replaced_aloud(world: World) -> None:
    world.config = "apt: [htop]\ntools: {git: false}"
    world.engine.mirror.gone = {"s6=1.0"}
    assert versions(plan(world).lock)["s6"] == "2.0"
    assert "s6 1.0 cannot be had any more: 2.0 in its place" in world.warnings


def test_what_stands_below_a_new_package_and_is_gone_is_replaced_aloud(world: World) -> None:
    """On a machine that has nothing of it in its builder's cache."""
    world.config = "apt: [htop, jq]"
    world.engine.mirror.gone = {"git=1.0"}
    assert versions(plan(world).lock) == {**versions(world.lock), "git": "2.0", "jq": "2.0"}
    assert [question.count(";") for question in asked(world)] == [1, 3]
    assert world.warnings == ["git 1.0 cannot be had any more: 2.0 in its place"]


@pytest.mark.parametrize("verb", ["up", "lock"])
def test_a_stale_lock_is_written_anew_once_it_holds(world: World, verb: str) -> None:
    world.config = "apt: [htop, jq]"
    if verb == "up":
        bring_up(world.context(), fingerprint="f")
    else:
        assert write_lock(world.context(), Demand()).stale == ("the package jq is new",)
    assert "jq" in versions(world.lock)
    assert plan(world, FROZEN).lock == world.lock


def test_a_build_that_fails_leaves_the_lock_as_it_was(world: World) -> None:
    before = world.workspace.lock_file
    world.config = "apt: [htop, jq]"
    world.engine.build_error = BuildError("exit code 1")
    with pytest.raises(BuildError):
        bring_up(world.context(), fingerprint="f")
    assert world.workspace.lock_file == before


def test_the_first_up_writes_the_lock_and_the_next_one_leaves_it(world: World) -> None:
    fresh = World()
    assert bring_up(fresh.context(), fingerprint="f").changed
    written = fresh.workspace.lock_file
    assert written is not None
    assert fresh.workspace.state.lock != ""
    fresh.engine.mirror.newest = {"git": "9"}
    assert not bring_up(fresh.context(), fingerprint="f").changed
    assert fresh.workspace.lock_file == written


def test_a_second_folder_of_this_machine_asks_nobody(world: World) -> None:
    other = World("apt: [htop]", engine=world.engine, memo=world.memo)
    assert plan(other).lock == world.lock
    assert asked(world) == []


def test_what_is_remembered_is_asked_again_where_its_base_is_gone_or_it_is_damaged(world: World) -> None:
    for spoil in (world.engine.images.clear, lambda: world.memo.kept.update(dict.fromkeys(world.memo.kept, b"{"))):
        other = World("apt: [htop]", engine=world.engine, memo=world.memo)
        before = len(asked(world))
        spoil()
        plan(other)
        assert len(asked(world)) == before + 1


def test_old_answers_count_only_for_an_image_that_is_here(world: World) -> None:
    """A folder that begins months later shall begin with what there is then."""
    world.memo.age = 90 * 24 * 3600
    other = World("apt: [htop]", engine=world.engine, memo=world.memo)
    assert versions(plan(other).lock)["git"] == "2.0"
    world.memo.kept = dict.fromkeys(world.memo.kept, world.workspace.lock_file or b"")
    bring_up(world.context(), fingerprint="f")
    other = World("apt: [htop]", engine=world.engine, memo=world.memo)
    assert versions(plan(other).lock)["git"] == "1.0"
    assert any("what this machine asked before is taken" in note for note in other.notes)


def test_a_new_file_begins_with_what_there_is_now(world: World) -> None:
    other = World("apt: [htop]", engine=world.engine, memo=world.memo)
    write_lock(other.context(), Demand())
    assert versions(other.lock)["git"] == "2.0"


def test_a_file_that_is_looked_at_again_makes_no_old_answer_new(world: World) -> None:
    world.memo.kept.clear()
    write_lock(world.context(), Demand())
    assert world.memo.kept == {}


def test_what_is_remembered_is_not_taken_for_another_image_of_the_same_name(world: World) -> None:
    image = world.engine.images["ubuntu:22.04"]
    world.engine.images["ubuntu:22.04"] = replace(image, id="sha256:other")
    other = World("apt: [htop]", engine=world.engine, memo=world.memo)
    lock = plan(other).lock
    assert lock is not None
    assert lock.base.identity == "sha256:other"


def test_a_memory_that_cannot_be_used_fails_nothing(world: World) -> None:
    world.workspace.lock_file = None
    world.memo.error = HostError("cannot write this: No space left on device", where="/cache")
    assert bring_up(world.context(), fingerprint="f").changed
    assert world.lock is not None
    told = "the answers are not remembered on this machine: cannot write this: No space left on device (/cache)"
    assert told in world.warnings


def test_why_something_could_not_be_had_is_told_and_two_machines_write_the_same_file() -> None:
    worlds = [World(sources=FakeSources(no_archive={"oh-my-zsh": why})) for why in ("no route", "timed out")]
    for world in worlds:
        write_lock(world.context(), Demand())
    assert worlds[0].workspace.lock_file == worlds[1].workspace.lock_file
    assert "oh-my-zsh cannot be had: timed out" in worlds[1].notes


def test_two_that_ask_at_once_read_each_its_own_answer() -> None:
    """A tag of both would be that of the last one who built."""
    engine = World("base: debian-12").engine
    for _ in range(2):
        plan(World("base: debian-12", engine=engine))
    assert len({*engine.answered}) == len(engine.answered) == 4


# ------------------------------------------------------------------------------------------------------- frozen


@pytest.mark.parametrize(
    ("lock", "config", "words"),
    [
        (None, "apt: [htop]", "there is no lock"),
        (b"{", "apt: [htop]", "is damaged (not JSON"),
        ("as it was", "apt: [jq]", "does not fit devbox.yaml: the package jq is new; the package htop is not wanted"),
        ("as it was", "apt: [htop]\nbase: debian-12", "does not fit devbox.yaml: the base is debian-12"),
    ],
)
def test_frozen_refuses_what_does_not_fit_and_writes_nothing(
    world: World, lock: bytes | str | None, config: str, words: str
) -> None:
    world.config = config
    if not isinstance(lock, str):
        world.workspace.lock_file = lock
    before = world.workspace.lock_file, dict(world.memo.kept), world.workspace.tree
    for verb in (
        lambda: plan(world, FROZEN),
        lambda: write_lock(world.context(), FROZEN),
        lambda: bring_up(world.context(), fingerprint="f", demand=FROZEN),
    ):
        with pytest.raises(LockError) as caught:
            verb()
        assert words in caught.value.message
        assert caught.value.exit_code == 3
        assert "devbox lock`" in str(caught.value.hint)
    assert (world.workspace.lock_file, world.memo.kept, world.workspace.tree) == before
    assert asked(world) == []


@pytest.mark.parametrize("demand", [USE, FROZEN])
def test_a_lock_in_another_form_is_the_same_lock_and_stays_as_it_is(world: World, demand: Demand) -> None:
    assert world.workspace.lock_file is not None
    theirs = world.workspace.lock_file.replace(b"\n", b"\r\n").replace(b"  ", b"\t")
    world.workspace.lock_file = theirs
    bring_up(world.context(), fingerprint="f", demand=demand)
    assert world.workspace.lock_file == theirs
    assert world.workspace.state.lock == bytes_id(theirs)


def test_a_damaged_lock_is_refused_whatever_is_wanted(world: World) -> None:
    world.workspace.lock_file = b"{"
    for demand in (Demand(), Demand(update=()), Demand(again=True)):
        with pytest.raises(LockError):
            plan(world, demand)


# ----------------------------------------------------------------------------------------------------- failures


def test_a_package_that_no_mirror_has_is_told_by_the_file_that_wants_it() -> None:
    world = World("apt: [no-such-thing]")
    world.engine.mirror.error = BuildError("exit code 100", detail="E: Unable to locate package no-such-thing")
    with pytest.raises(BuildError, match="no package mirror has no-such-thing") as caught:
        plan(world)
    assert caught.value.where == "devbox.yaml"
    assert world.workspace.lock_file is None


@pytest.mark.parametrize("times", [1, 2], ids=["by the build", "by its head start, too"])
def test_a_version_that_is_gone_is_a_lock_error_that_names_the_nearest(world: World, times: int) -> None:
    gone = "devbox: no mirror has git 1.0 any more, the nearest is 2.0"
    dockerfile = plan(world).image_tree["Dockerfile"].data.decode()
    block = next(block for block in dockerfile.split("\n\n") if block.startswith("# apt:htop"))
    vertex = f"[debian 3/9] {block.partition(chr(10))[2]}".replace("\\\n", "")
    world.engine.build_events = (BuildEvent(vertex=vertex, log=gone),) * times
    world.engine.build_error = BuildError("exit code 100", where=vertex)
    with pytest.raises(LockError, match=r"no package mirror has git 1\.0 any more; the nearest is 2\.0") as caught:
        bring_up(world.context(), fingerprint="f")
    assert (caught.value.detail, caught.value.hint) == (None, "`devbox lock --update git` takes what there is now")


def test_another_image_under_the_name_of_the_base_is_refused(world: World) -> None:
    image = world.engine.images["ubuntu:22.04"]
    world.engine.images["ubuntu:22.04"] = replace(image, id="sha256:other")
    with pytest.raises(LockError, match="is another one than that of the lock"):
        bring_up(world.context(), fingerprint="f")
