"""Reads the corpus of bad input: how a case is written down, and what it expects. See data/bad/README.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "data" / "bad"
SEPARATOR: Final = "\n====\n"

_MACRO: Final = re.compile(r"⟦(?:U\+(?P<point>[0-9A-F]{4,6})|0x(?P<byte>[0-9A-F]{2})|(?P<unit>.+?) × (?P<times>\d+))⟧")
_EXPECTED: Final = re.compile(r"(?:(?P<indent> *)\^|@(?P<line>\d+):(?P<column>\d+)|(?P<whole>!)) (?P<reason>.+)")
_SAID: Final = re.compile(r"(?:error: )?devbox\.yaml(?::(?P<line>\d+):(?P<column>\d+))?: (?P<reason>.+)")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """What is said of a case, and where; 0:0 is the file as a whole. `reason` begins with the path of the field."""

    line: int
    column: int
    reason: str

    def meets(self, other: Finding) -> bool:
        """Whether this one, which was said, is what `other` expects."""
        return (self.line, self.column) == (other.line, other.column) and self.reason.startswith(other.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCase:
    name: str
    text: bytes
    expected: tuple[Finding, ...]


def load_cases() -> dict[str, list[BadCase]]:
    """All cases by class, which is the name of their file."""
    return {path.stem: read_cases(path) for path in sorted(FOLDER.glob("*.txt"))}


def parse_findings(stderr: str) -> list[Finding]:
    """What devbox said: the first line of every problem."""
    heads = (_SAID.fullmatch(line) for line in stderr.split("\n"))
    return [
        Finding(line=int(head["line"] or 0), column=int(head["column"] or 0), reason=head["reason"])
        for head in heads
        if head
    ]


def read_cases(path: Path) -> list[BadCase]:
    """The cases of one file."""
    blocks = path.read_text(encoding="utf-8").removesuffix("\n").split(SEPARATOR)
    return [_parse(f"{path.stem}-{number}", block) for number, block in enumerate(blocks, 1)]


def _parse(name: str, block: str) -> BadCase:
    document: list[str] = []
    expected: list[Finding] = []
    for line in block.split("\n"):
        if match := _EXPECTED.fullmatch(line):
            expected.append(_expected(match, len(document)))
        else:
            document.append(line)
    return BadCase(name=name, text=expand("\n".join(document) + "\n"), expected=tuple(expected))


def _expected(match: re.Match[str], above: int) -> Finding:
    if match["whole"]:
        return Finding(line=0, column=0, reason=match["reason"])
    if match["line"]:
        return Finding(line=int(match["line"]), column=int(match["column"]), reason=match["reason"])
    return Finding(line=above, column=len(match["indent"]) + 1, reason=match["reason"])


def expand(text: str) -> bytes:
    """The bytes of a document: what cannot be written in the corpus as it is stands between ⟦ and ⟧."""
    parts: list[bytes] = []
    start = 0
    for match in _MACRO.finditer(text):
        parts += [text[start : match.start()].encode(), _expand_one(match)]
        start = match.end()
    return b"".join([*parts, text[start:].encode()])


def _expand_one(match: re.Match[str]) -> bytes:
    if match["point"]:
        return chr(int(match["point"], 16)).encode()
    if match["byte"]:
        return bytes.fromhex(match["byte"])
    return match["unit"].replace("⏎", "\n").encode() * int(match["times"])
