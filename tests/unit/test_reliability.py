"""docs/reliability.md says what the table of faults says, and the table keeps to the documented exit codes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from docsite.codes import find_codes
from tests.engine.faults.model import KILLED, Family
from tests.engine.faults.page import PAGE, render_page, without_seconds
from tests.engine.faults.table import FAULTS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_the_faults_of_the_table_with_their_codes_and_messages() -> None:
    assert without_seconds(PAGE.read_text()) == without_seconds(render_page(FAULTS, {})), "`make reliability` writes it"


def test_the_page_tells_the_seconds_of_every_fault() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "`devbox " in line]
    assert len(rows) == len(FAULTS)
    assert [row for row in rows if not re.search(r"\| [0-9]+\.[0-9] \|$", row)] == []


def test_there_are_many_faults_of_every_family_each_once() -> None:
    assert [name for name, count in Counter(fault.id for fault in FAULTS).items() if count > 1] == []
    assert len(FAULTS) >= 64
    assert {fault.family for fault in FAULTS} == set(Family)


def test_every_fault_ends_with_a_documented_code() -> None:
    documented = {0, *(code for code, _ in find_codes())}
    ours = {fault.code for fault in FAULTS if not fault.verb.startswith("exec")}  # that ends with the code of what ran
    assert ours - {KILLED} <= documented


def test_every_failure_says_what_happened_and_what_to_do() -> None:
    assert [fault.id for fault in FAULTS if (fault.fails or fault.code == 130) and not fault.says.strip()] == []
    assert [fault.id for fault in FAULTS if fault.fails and not fault.hint.strip()] == []
