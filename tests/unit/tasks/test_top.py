"""`devbox top`: what is measured of which workstation, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from builder.core.load import describe_loads
from builder.errors import EngineError
from builder.tasks.top import measure_loads
from builder.views import Stats
from tests.unit.tasks.fakes import FakeEngine, World, make_container


def labels(project: str) -> dict[str, str]:
    return {"dev.devbox.workspace": f"/home/me/{project}", "com.docker.compose.project": project}


def world() -> World:
    containers = {
        "app": make_container("app", labels=labels("app")),
        "old": make_container("old", state="exited", labels=labels("old")),
    }
    return World(engine=FakeEngine(containers=containers))


def test_each_workstation_is_measured_and_one_that_is_stopped_takes_only_disk() -> None:
    running, stopped = measure_loads(world().context())
    assert (running.name, running.cpu_percent, running.memory_bytes, running.disk_bytes) == (
        "app", 50.0, 100_000_000, 12_345_678
    )  # fmt: skip
    assert (stopped.name, stopped.memory_limit_bytes, stopped.memory_bytes, stopped.workspace) == (
        "old", None, 0, "/home/me/old"
    )  # fmt: skip


def test_one_that_goes_away_before_it_is_measured_is_left_out_and_one_that_stays_is_an_error() -> None:
    class Failing(FakeEngine):
        goes: bool

        def stats(self, container: str) -> Stats:
            if self.goes:
                del self.containers["app"]
            raise EngineError(f"cannot measure {container}")

    engine = Failing(containers=world().engine.containers)
    engine.goes = True
    assert [load.name for load in measure_loads(World(engine=engine).context())] == ["old"]
    engine = Failing(containers=world().engine.containers)
    engine.goes = False
    with pytest.raises(EngineError, match="cannot measure"):
        measure_loads(World(engine=engine).context())


def test_where_there_is_no_workstation_the_engine_does_not_add_up_its_disk() -> None:
    class Slow(FakeEngine):
        def measure_disks(self) -> Mapping[str, int]:
            raise AssertionError

    assert measure_loads(World(engine=Slow()).context()) == ()


def test_the_table_has_a_line_for_each() -> None:
    assert list(describe_loads(measure_loads(world().context()))) == [
        "NAME  STATE       CPU  MEMORY     LIMIT   DISK",
        "app   running  50.0 %  100 MB  4,000 MB  12 MB",
        "old   exited        -       -         -   0 MB",
    ]
