"""What is kept, and a build that uses nothing else."""

from __future__ import annotations

import pytest

from builder.cli.frame import make_demand
from builder.core.kept import list_files
from builder.errors import ConfigError, HostError, LockError
from builder.model import BuildEvent, ImageFile
from builder.tasks.build import Way, build_image
from builder.tasks.demand import Demand
from builder.tasks.fetch import fetch_all
from builder.tasks.prepare import prepare
from builder.tasks.relock import write_lock
from tests.unit.tasks.fakes import World, make_image

OFFLINE = Demand(offline=True)


@pytest.fixture
def world() -> World:
    """With a lock and a registry of shared images."""
    world = World("apt: [htop]\ncache: {registry: registry.example/team}")
    write_lock(world.context(), Demand())
    world.engine.acts.clear()
    world.sources.asked.clear()
    return world


def build(world: World) -> Way:
    return build_image(world.context(), prepare(world.context(), demand=OFFLINE))


def base_of(world: World) -> str:
    return world.lock.base.image


def test_a_build_without_a_network_asks_nobody_and_is_the_same(world: World) -> None:
    assert build(world) is Way.BUILT
    assert world.engine.acts == ["build kept", "build"]
    assert world.sources.asked == []
    plan = prepare(world.context(), demand=OFFLINE).plan
    assert world.engine.secrets == {"apt.conf": plan.id.encode()}  # what was laid out for it
    assert plan.id in world.engine.kept_tree["Dockerfile"].data.decode()
    offline = dict(world.engine.built)
    world.engine.images.pop(prepare(world.context()).plan.image)
    build_image(world.context(), prepare(world.context()))
    assert world.engine.built == offline


def test_the_packages_are_laid_out_with_the_list_of_what_has_to_be_there(world: World) -> None:
    build(world)
    locked = world.engine.kept_tree["packages/locked"].data.decode().splitlines()
    assert [line.split()[0] for line in locked] == [package.name for package in world.lock.apt]
    assert world.engine.kept_tree["packages/lay-out"].executable


@pytest.mark.parametrize("change", ["none", "stale"])
def test_without_a_lock_that_fits_there_is_no_build_without_a_network(world: World, change: str) -> None:
    if change == "none":
        world.workspace.lock_file = None
    else:
        world.config = "apt: [jq]"
    with pytest.raises(LockError) as raised:
        build(world)
    assert "devbox lock" in (raised.value.hint or "")
    assert world.engine.acts == []


def test_what_is_missing_is_named_with_the_command_that_brings_it(world: World) -> None:
    lock = world.lock
    missing = [file.name for file in list_files(lock) if file.kind == "npm"]
    world.kept.missing = tuple(missing)
    world.sources.unfetched = ("node",)
    base = world.engine.images.pop(base_of(world))
    with pytest.raises(HostError, match=f"node .*, the base {lock.base.name}, {missing[0]}") as raised:
        build(world)
    assert "devbox fetch" in (raised.value.hint or "")
    assert world.engine.acts == []
    world.engine.images[base_of(world)] = base


def test_a_package_of_debian_that_neither_the_cache_nor_the_base_has_is_named(world: World) -> None:
    world.engine.kept_events = [BuildEvent(vertex="RUN", log="not kept: htop 1.0")]
    with pytest.raises(HostError, match=r"a part of the image cannot be had on this machine: htop 1\.0"):
        build(world)


def test_a_base_that_is_not_on_the_engine_is_loaded_from_what_is_kept_also_without_its_digest(world: World) -> None:
    reference, identity = base_of(world), world.lock.base.identity
    del world.engine.images[reference]
    world.kept.bases[identity] = f"sha256:{reference}"
    world.engine.loadable = {reference: make_image(reference)}
    assert world.engine.loadable[reference].id == f"sha256:{reference}"
    assert build(world) is Way.BUILT
    assert world.engine.acts[0].startswith("load ")


def test_fetch_keeps_the_base_and_what_is_missing_and_a_second_one_has_nothing_to_do(world: World) -> None:
    world.kept.missing = tuple(file.name for file in list_files(world.lock))
    world.engine.fetched = [ImageFile(path="apt/x.deb", size=3, data=b"deb")]
    done = fetch_all(world.context())
    assert (done.new, done.bytes, done.base, done.packages) == (1, 3, True, len(list_files(world.lock)))
    assert world.kept.files == {"apt/x.deb": b"deb"}
    assert set(world.kept.bases) == {world.lock.base.identity}
    asked = world.engine.kept_tree["packages/apt"].data.decode()
    assert "htop amd64 1.0" in asked
    again = fetch_all(world.context())
    assert (again.new, again.base) == (0, False)
    assert world.engine.acts == ["build fetch"]


def test_fetch_needs_a_lock_that_fits(world: World) -> None:
    world.config = "apt: [jq]"
    with pytest.raises(LockError, match="does not fit"):
        fetch_all(world.context())


def test_a_package_that_no_mirror_has_any_more_is_told_as_in_a_build(world: World) -> None:
    world.kept.missing = ("htop 1.0",)
    told = "devbox: no mirror has htop 1.0 any more, the nearest is 2.0"
    world.engine.kept_events = [BuildEvent(vertex="RUN", log=told)]
    with pytest.raises(LockError, match=r"no package mirror has htop 1\.0 any more; the nearest is 2\.0"):
        fetch_all(world.context())


@pytest.mark.parametrize("again", [False, True])
def test_offline_and_asking_anew_exclude_each_other(again: bool) -> None:
    with pytest.raises(ConfigError, match="--offline and asking anew exclude each other"):
        make_demand(frozen=False, offline=True, again=again, update=not again)
