"""The table of mutations: each is a workstation broken on purpose, and the checks that must see it: these, no other.

Owns data only: `test_mutations` breaks and verifies, and `tests/unit/suite/test_every_check_can_fail` sees to it that
no check is missing here. Must not reach an engine.
"""

from __future__ import annotations

from typing import Final

from tests.engine.mutations.desktop import DESKTOP
from tests.engine.mutations.doors import DOORS
from tests.engine.mutations.framework import FRAMEWORK
from tests.engine.mutations.measures import MEASURES
from tests.engine.mutations.promises import PROMISES, TOOLING
from tests.engine.mutations.ways import Edit as Edit
from tests.engine.mutations.ways import Mutation as Mutation

MUTATIONS: Final = (*TOOLING, *PROMISES, *DOORS, *DESKTOP, *FRAMEWORK, *MEASURES)
