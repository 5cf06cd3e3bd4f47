"""Files of bad input as data: each `# expect: TEXT` names what must be said of its line, and nothing else may be said.

Several texts for one line are parted by `;`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.core.config import parse_config
from builder.core.resolve import resolve_config
from builder.errors import ConfigError
from tests.unit.core.builders import FACTS, make_catalog

BAD = sorted((Path(__file__).parent / "data" / "bad").glob("*.yaml"))


def expectations(text: str) -> dict[int, list[str]]:
    marks = ((number, re.search(r"# expect: ?(.*)$", line)) for number, line in enumerate(text.split("\n"), 1))
    return {number: [part.strip() for part in mark.group(1).split(";")] for number, mark in marks if mark}


def findings(error: ConfigError) -> list[tuple[int, str]]:
    """(line, all that is said of it) for every problem."""
    heads = re.split(r"^(?=devbox\.yaml:\d+:\d+: )", str(error), flags=re.MULTILINE)
    return [(int(head.split(":")[1]), head) for head in heads if head.startswith("devbox.yaml:")]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_bad_line_is_named_and_no_other(path: Path) -> None:
    text = path.read_text()
    with pytest.raises(ConfigError) as caught:
        resolve_config(parse_config(text, file="devbox.yaml", defaults=FACTS), make_catalog(), FACTS)
    said = findings(caught.value)
    expected = expectations(text)
    assert expected, "the file expects nothing"
    assert sorted({line for line, _ in said}) == sorted(expected), str(caught.value)
    for line, wanted in expected.items():
        words = "\n".join(head for number, head in said if number == line)
        assert all(part in words for part in wanted), words
