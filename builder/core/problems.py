"""What is wrong in a file that a person wrote, and how it is shown: `file:line:col: what`, excerpt, caret, hint.

Owns positions and the layout of such messages; knows neither YAML nor pydantic. Must not read the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.errors import ConfigError
from builder.redaction import redact

if TYPE_CHECKING:
    from builder.core.source import Node

Path = tuple[str | int, ...]  # keys of mappings and indices of lists, from the top of the document

_EXCERPT_WIDTH = 100
_SHOWN = 60
_TOLD = 50  # nobody reads more at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a text: line and column count from 1, width is in characters."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `excerpt` is the line with its caret, ready to print, or empty."""

    where: str
    message: str
    excerpt: str = ""
    hint: str | None = None
    place: tuple[int, int] = (0, 0)  # line and column, to list problems in the order of the text

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message}", self.excerpt, f"hint: {self.hint}" if self.hint else ""]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document and where each of its parts stands. Two are always equal: where a value came from is no value."""

    file: str = field(compare=False)
    lines: tuple[str, ...] = field(default=(), compare=False)
    data: Node = field(compare=False)
    keys: Mapping[Path, Position] = field(default_factory=dict, compare=False)
    values: Mapping[Path, Position] = field(default_factory=dict, compare=False)

    def position(self, path: Path, *, of_key: bool = False) -> Position | None:
        """The place of the value (or key) at `path`, or of its nearest ancestor that was written."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        while path:
            found = first.get(path) or second.get(path)
            if found:
                return found
            path = path[:-1]
        return self.values.get(())

    def as_written(self, path: Path) -> Path:
        """`path` without the key that a list in short form stands for: `apt[0]`, not `apt.packages[0]`."""
        for at in range(1, len(path) - 1):
            short = path[:at] + path[at + 1 :]
            if path[: at + 1] not in self.values and short in self.values and isinstance(path[at + 1], int):
                return short
        return path

    def problem(self, path: Path, message: str, *, hint: str | None = None, of_key: bool = False) -> Problem:
        return self.problem_at(self.position(path, of_key=of_key), message, path=path, hint=hint)

    def problem_at(
        self, position: Position | None, message: str, *, path: Path = (), hint: str | None = None
    ) -> Problem:
        """`path` is what the problem is about, where that is known; it stands before the message."""
        message = f"{dotted(path)}: {message}" if path else message
        if position is None:
            return Problem(where=self.file, message=message, hint=hint)
        where = f"{self.file}:{position.line}:{position.column}"
        place = (position.line, position.column)
        return Problem(where=where, message=message, hint=hint, excerpt=_excerpt(self.lines, position), place=place)

    def error(self, path: Path, message: str, *, hint: str | None = None) -> ConfigError:
        """The exception for a single problem found later than parsing."""
        return make_error([self.problem(path, message, hint=hint)])


def make_error(problems: Sequence[Problem]) -> ConfigError:
    """All problems as one error. One alone keeps its place and hint apart, several are listed one below the other."""
    if len(problems) == 1:
        only = problems[0]
        return ConfigError(only.message, where=only.where, hint=only.hint, detail=only.excerpt or None)
    told = [f"{len(problems)} things are wrong", *map(str, problems[:_TOLD])]
    if len(problems) > _TOLD:
        told.append(f"... and {len(problems) - _TOLD} more like these")
    return ConfigError("\n\n".join(told))


def nearest(wanted: str, known: Iterable[str]) -> str | None:
    """The known name that `wanted` was probably meant to be."""
    names = sorted(known)
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def choose_hint(wanted: str, known: Iterable[str]) -> str:
    """`did you mean x?` and the choices, for a name that is none of them."""
    names = sorted(known)
    close = nearest(wanted, names)
    choices = f"the choices are {', '.join(names)}" if names else "there are none to choose from"
    return f"did you mean `{close}`? {choices}" if close else choices


def shown(value: object) -> str:
    """A value as a message shows it: on one line, printable, not too long; without credentials, before it is cut."""
    text = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in redact(str(value)))
    return f"`{text}`" if len(text) <= _SHOWN else f"`{text[:_SHOWN]}…`"


def dotted(path: Path) -> str:
    """A path as a person would write it: `ports.dev[3].host`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_part(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _part(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else shown(key)


def _excerpt(lines: Sequence[str], position: Position) -> str:
    if not 1 <= position.line <= len(lines):
        return ""
    start = max(0, position.column - _EXCERPT_WIDTH + 20)
    line = redact(lines[position.line - 1], same_width=True)[start : start + _EXCERPT_WIDTH]
    text = "".join(char if char.isprintable() else " " if char == "\t" else "�" for char in line)
    indent = position.column - 1 - start
    carets = "^" * max(1, min(position.width, len(text) - indent))
    return f"{position.line:5d} | {text}\n      | {' ' * indent}{carets}"
