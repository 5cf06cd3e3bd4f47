"""What stands on Debian's packages is built while npm is asked, told as part of the build, and ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

import pytest

from builder.errors import BuildError
from builder.model import BuildEvent, RenderedTree
from builder.tasks.demand import Demand
from builder.tasks.headstart import HeadStart, head_start
from builder.tasks.layout import read_request
from builder.tasks.lock import ask_world
from builder.tasks.prepare import prepare
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import World

APT = "[packages 2/2] RUN apt-install"
EARLY = (BuildEvent(vertex=APT, state="running"), BuildEvent(vertex=APT, log="Unpacking git"))
LATE = BuildEvent(vertex=APT, state="cached")
OTHER = BuildEvent(vertex="[npm-x 3/4] RUN npm-install", state="running")


@contextmanager
def begun(world: World) -> Iterator[HeadStart]:
    context = world.context()
    with head_start(context) as head:
        head.begin(prepare(context), {})
        yield head


def _fail_once(began: Event) -> None:
    assert began.wait(10)
    raise BuildError("the rest")


@pytest.fixture
def world() -> World:
    world = World("apt: [htop]")
    world.engine.head.events = EARLY
    return world


def test_up_begins_with_the_packages_while_npm_is_asked(world: World) -> None:
    world.engine.head.awaited = True
    bring_up(world.context(), fingerprint="")
    ((stage, tree),) = world.engine.head.trees
    stages = tree["Dockerfile"].data.decode().partition(f"\nFROM {stage} AS workstation\n")
    assert f" AS {stage}\n" in stages[0]
    assert "apt-install" in stages[0]
    assert "apt-install" not in stages[2]  # all of Debian is below that stage
    (built,) = world.engine.built.values()
    assert tree["locked/apt"] == built["locked/apt"]
    assert [path for path in built if path.startswith("base/") and built[path] != tree.get(path)] == []
    assert not world.engine.cancelled.is_set()


def test_who_asks_only_begins_nothing(world: World) -> None:
    context = world.context()
    ask_world(context, read_request(context), None, Demand())
    assert world.engine.head.trees == []


def test_what_was_told_before_anybody_listened_is_told_then_and_once(world: World) -> None:
    heard: list[BuildEvent] = []
    with begun(world) as head:
        assert world.engine.head.told.wait(10)
        rest = head.join(heard.append)
        for event in (LATE, OTHER):
            rest(event)
        head.tell_rest()
    assert heard == [*EARLY, OTHER]


def test_what_a_step_writes_is_told_by_whichever_of_both_builds_hears_of_it(world: World) -> None:
    """BuildKit tells it to the one that came first, and to the other how the step goes."""
    running, written, more = *EARLY, replace(EARLY[1], log="Unpacking zsh")
    world.engine.head.events = (running,)
    heard: list[BuildEvent] = []
    with begun(world) as head:
        assert world.engine.head.told.wait(10)
        rest = head.join(heard.append)
        for event in (running, written, more):
            rest(event)
    assert heard == [running, written, more]


def test_a_step_that_the_build_itself_came_to_first_is_told_from_there(world: World) -> None:
    """Of that one the head start hears nothing."""
    world.engine.head.events = ()
    step = (*EARLY, replace(EARLY[0], state="done", seconds=2.5))
    heard: list[BuildEvent] = []
    with begun(world) as head:
        assert world.engine.head.told.wait(10)
        rest = head.join(heard.append)
        for event in step:
            rest(event)
    assert heard == [*step]


def test_what_the_head_start_never_spoke_of_is_told_at_the_end(world: World) -> None:
    world.engine.head.events = ()
    heard: list[BuildEvent] = []
    with begun(world) as head:
        assert world.engine.head.told.wait(10)
        rest = head.join(heard.append)
        rest(LATE)
        assert heard == []  # it may come from there, with its seconds
        head.tell_rest()
    assert heard == [LATE]


def test_what_both_builds_hear_is_told_once(world: World) -> None:
    heard: list[BuildEvent] = []
    with begun(world) as head:
        assert world.engine.head.told.wait(10)
        rest = head.join(heard.append)
        rest(EARLY[1])
    assert heard == [*EARLY]


def test_after_a_failure_the_build_itself_tells_all(world: World) -> None:
    world.engine.head.error = BuildError("exit code: 100")
    heard: list[BuildEvent] = []
    with begun(world) as head:
        pass
    head.join(heard.append)(LATE)
    assert heard == [*EARLY, LATE]


def test_a_failure_here_is_heard_out_before_it_is_told_and_no_other(world: World) -> None:
    world.engine.head.may_end.clear()
    with begun(world) as head:
        head.hear_out("[npm-x 3/4] RUN npm-install")
        listening = Thread(target=head.hear_out, args=(APT,))
        listening.start()
        listening.join(0.2)
        assert listening.is_alive()
        world.engine.head.may_end.set()
        listening.join(10)
        assert not listening.is_alive()


def test_it_is_broken_off_where_the_rest_fails(world: World) -> None:
    world.engine.head.may_end.clear()
    with pytest.raises(BuildError, match="the rest"), begun(world):
        _fail_once(world.engine.head.began)
    assert world.engine.cancelled.is_set()


def test_one_that_has_not_begun_when_the_rest_fails_does_not_begin(world: World) -> None:
    late = Event()

    def render() -> RenderedTree:
        assert late.wait(10)
        return {}

    context = world.context()
    prepared = replace(prepare(context), render=render)
    with head_start(context) as head:
        head.begin(prepared, {})
        head.break_off()
        late.set()
    assert world.engine.head.trees == []


def test_what_nobody_foresaw_is_not_kept_quiet(world: World) -> None:
    world.engine.head.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError), begun(world):
        pass


def test_it_begins_once(world: World) -> None:
    with begun(world) as head:
        head.begin(prepare(world.context()), {})
    assert len(world.engine.head.trees) == 1


def test_where_the_image_may_be_had_without_a_build_none_begins_before_that_is_known() -> None:
    world = World("cache: {registry: registry.example:5000/devbox}")
    world.engine.shared = {}
    context = world.context()
    with head_start(context) as head:
        prepare(context, head=head)
    assert world.engine.head.trees == []
