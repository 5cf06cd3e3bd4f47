"""All faults. docs/reliability.md is written from this table, and every row of it is a test."""

from __future__ import annotations

from typing import Final

from tests.engine.faults.model import Fault
from tests.engine.faults.of_backups import BACKUPS
from tests.engine.faults.of_builds import BUILD
from tests.engine.faults.of_engine import ENGINE
from tests.engine.faults.of_inside import INSIDE
from tests.engine.faults.of_life import LIFE
from tests.engine.faults.of_machine import MACHINE
from tests.engine.faults.of_second_engine import SECOND_ENGINE

HERE: Final[tuple[Fault, ...]] = (*ENGINE, *BUILD, *LIFE, *INSIDE, *BACKUPS, *MACHINE)
FAULTS: Final = (*HERE, *SECOND_ENGINE)
