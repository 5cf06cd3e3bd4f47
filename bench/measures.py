"""Which figures there are: a table. Adding one is a function in the module of its theme and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.builds import measure_cold as measure_cold_build
from bench.builds import measure_rebuild
from bench.crowd import measure_crowd
from bench.framework_checkpoint import measure_checkpoint
from bench.framework_search import measure_framework_search
from bench.framework_sessions import measure_framework_10gb, measure_framework_sessions
from bench.framework_steps import measure_steps
from bench.newcomer import measure_newcomer
from bench.sizes import measure_size
from bench.starts import measure_cold, measure_idle, measure_warm
from bench.tunnel import measure_tunnel
from bench.verbs import (
    measure_devcontainer,
    measure_help,
    measure_noop,
    measure_status,
    measure_up_painted,
    measure_verify,
)
from bench.vnc import measure_vnc, measure_vnc_settings
from bench.vnc_browser import measure_vnc_browser

if TYPE_CHECKING:
    from bench.figures import Figure
    from bench.pair import Pair as Pair  # also for the measures of the framework


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of the table; `run` takes what the measures share and the number of rounds."""

    run: Callable[[Pair, int], list[Figure]]
    by_name: bool = False  # too long, or of too few people's interest, for every run
    engine: bool = True  # else it must connect to none
    wants_fresh: bool = False  # the making of the naive image is measured too


MEASURES: Final[Mapping[str, Measure]] = {
    "help": Measure(run=measure_help),
    "noop": Measure(run=measure_noop),
    "status": Measure(run=measure_status),
    "up-painted": Measure(run=measure_up_painted),
    "start-warm": Measure(run=measure_warm),
    "start-cold": Measure(run=measure_cold),
    "idle": Measure(run=measure_idle),
    "size": Measure(run=measure_size),
    "rebuild": Measure(run=measure_rebuild),
    "verify": Measure(run=measure_verify),
    "vnc": Measure(run=measure_vnc),
    "tunnel": Measure(run=measure_tunnel),
    "cold": Measure(run=measure_cold_build, wants_fresh=True),
    "newcomer": Measure(run=measure_newcomer),
    "crowd": Measure(run=measure_crowd),
    "vnc-settings": Measure(run=measure_vnc_settings, by_name=True),
    "vnc-browser": Measure(run=measure_vnc_browser, by_name=True),
    "devcontainer": Measure(run=measure_devcontainer, by_name=True),
    "framework-sessions": Measure(run=measure_framework_sessions, engine=False),
    "framework-10gb": Measure(run=measure_framework_10gb, engine=False, by_name=True),
    "framework-search": Measure(run=measure_framework_search, engine=False),
    "framework-checkpoint": Measure(run=measure_checkpoint, engine=False),
    "framework-steps": Measure(run=measure_steps, engine=False),
}
ENGINELESS: Final = frozenset(name for name, measure in MEASURES.items() if not measure.engine)
USUAL: Final = tuple(name for name, measure in MEASURES.items() if not measure.by_name)
