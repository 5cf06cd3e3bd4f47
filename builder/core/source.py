"""YAML text -> plain data with the position of every part.

Owns the YAML that devbox reads: one document, at most 1 MB and 32 levels deep, UTF-8, no aliases, no tags, no
duplicate keys. Each scalar stays what was written (`Scalar`), with its YAML 1.2 value beside it, so that the reader of
a text field gets `1.10`, `010`, `22:22` and `NO` unchanged. Must not interpret: what the keys mean is for others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Union

import yaml

from builder.core.problems import Path, Position, Problem, Source, make_error, shown
from builder.errors import ConfigError

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 32

Plain = str | bool | int | float | None
Node = Union["Scalar", dict[str, "Node"], list["Node"]]  # recursive: `|` cannot take a name in quotes

# What no text may hold, written or escaped: control characters, line separators that editors do not show, bidi marks
# (they make a line read other than it is), half surrogates and the byte order mark.
FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_FORBIDDEN_IN_SOURCE: Final = re.compile(FORBIDDEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b\x0c\x0e-\x1f"))

# YAML 1.2 core, less what nobody writes on purpose: 010 (octal once, decimal now), 0x1f, 1e3, .inf stay text.
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# The C parser of libyaml is ten times as fast; PyYAML may have been built without it.
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Scalar(str):
    """A scalar as it was written; `value` is what YAML 1.2 makes of it. Quoted scalars are always text."""

    __slots__ = ("value",)
    value: Plain

    def __new__(cls, text: str, value: Plain) -> Scalar:
        made = super().__new__(cls, text)
        made.value = value
        return made


def decode_source(data: bytes, *, file: str) -> str:
    """The text of a file; raises ConfigError where it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise _too_large(file)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        raise ConfigError("the file is UTF-16, not UTF-8", where=file, hint="save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        position = _position_of(before, len(before))
        source = Source(file=file, data={}, lines=tuple(data.decode("utf-8", "replace").split("\n")))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise make_error([source.problem_at(position, message, hint="save the file as UTF-8")]) from error


def parse_source(text: str, *, file: str) -> Source:
    """Parse one YAML document; raises ConfigError with every problem of its form."""
    if len(text) > MAX_BYTES:
        raise _too_large(file)
    text = text.removeprefix("\ufeff")
    blank = Source(file=file, data={}, lines=tuple(text.splitlines()) if "\r" in text else tuple(text.split("\n")))
    _refuse_characters(text, blank)
    builder = _Builder(blank)
    try:
        data = builder.document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise make_error([*builder.problems, _syntax_problem(error, blank)]) from error
    if builder.problems:
        raise make_error(builder.problems)
    return Source(file=file, data=data, lines=blank.lines, keys=builder.keys, values=builder.values)


def resolve_plain(text: str) -> Plain:
    """What YAML 1.2 makes of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _too_large(file: str) -> ConfigError:
    return ConfigError(f"the file is larger than {MAX_BYTES // 1_000_000} MB", where=file, hint="is it the right file?")


def _refuse_characters(text: str, source: Source) -> None:
    problems = [
        source.problem_at(
            _position_of(text, match.start()),
            f"the character U+{ord(match.group()):04X} is not allowed",
            hint="it cannot be seen, or makes the text read other than it is: delete it",
        )
        for match, _ in zip(_FORBIDDEN_IN_SOURCE.finditer(text), range(20), strict=False)
    ]
    if problems:
        raise make_error(problems)


def _position_of(text: str, index: int) -> Position:
    start = text.rfind("\n", 0, index) + 1
    return Position(line=text.count("\n", 0, index) + 1, column=index - start + 1)


class _Builder:
    """Builds data from parser events, remembering positions and collecting what is refused."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._events: Iterator[yaml.Event] = iter(())
        self.problems: list[Problem] = []
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}

    def document(self, events: Iterator[yaml.Event]) -> Node:
        self._events = events
        data: Node = {}
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self._refuse(event, (), "a second document starts here", "keep one document and remove the `---`")
                    return data
                data = self._node(next(events), ())
        return {} if isinstance(data, Scalar) and data.value is None else data

    def _node(self, event: yaml.Event, path: Path) -> Node:
        self.values[path] = _span(event)
        if len(path) > MAX_DEPTH:
            raise make_error([self._problem(event, path[:1], f"nested deeper than {MAX_DEPTH} levels", None)])
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, f"the alias *{event.anchor} is not supported", "write the value out")
            return Scalar("", "")
        self._check_properties(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, yaml.ScalarEvent)  # noqa: S101  # the grammar of events knows no other node
        return Scalar(event.value, resolve_plain(event.value) if event.implicit[0] else event.value)

    def _mapping(self, path: Path) -> dict[str, Node]:
        result: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            inner = (*path, key)
            first = self.keys.get(inner)
            if first:
                message = f"the key {shown(key)} is there already, in line {first.line}"
                self._refuse(event, inner, message, "keep one of them")
                inner = (*path, f"{key} (again)")
            else:
                self.keys[inner] = _span(event)
            value = self._node(next(self._events), inner)
            if not first:
                result[key] = value
        return result

    def _key(self, event: yaml.Event, path: Path) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self._check_properties(event, path)
            return str(event.value)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, f"the alias *{event.anchor} is not supported", "write the key out")
            return f"*{event.anchor}"
        self._refuse(event, path, "a key must be plain text", "quote it if it starts with { or [")
        self._node(event, (*path, "?"))
        return "?"

    def _sequence(self, path: Path) -> list[Node]:
        result: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            result.append(self._node(event, (*path, len(result))))
        return result

    def _check_properties(self, event: yaml.Event, path: Path) -> None:
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._refuse(event, path, f"the anchor &{anchor} is not supported", "write the value where it is used")
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            self._refuse(event, path, f"the tag {shown(tag)} is not supported", "remove it; quotes make a value text")

    def _problem(self, event: yaml.Event, path: Path, message: str, hint: str | None) -> Problem:
        return self._source.problem_at(_span(event), message, path=path, hint=hint)

    def _refuse(self, event: yaml.Event, path: Path, message: str, hint: str) -> None:
        self.problems.append(self._problem(event, path, message, hint))


def _span(event: yaml.Event) -> Position:
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:  # only events made by hand have no marks
        return Position(line=1, column=1)
    width = end.column - start.column if start.line == end.line else 1
    return Position(line=start.line + 1, column=start.column + 1, width=max(1, width))


def _syntax_problem(error: yaml.MarkedYAMLError, source: Source) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return source.problem((), f"not YAML: {error.problem}")
    position = Position(line=mark.line + 1, column=mark.column + 1)
    tab = _tab_indent(source.lines, position.line)
    if tab:
        hint = "YAML allows only spaces there: replace the tab by spaces"
        return source.problem_at(tab, "the line is indented with a tab", hint=hint)
    context = f" ({error.context})" if error.context else ""
    return source.problem_at(position, f"not YAML: {error.problem}{context}", hint=_syntax_hint(error))


def _tab_indent(lines: tuple[str, ...], line: int) -> Position | None:
    """The first tab in the indentation of the line that the parser stumbled over, or of the one before it."""
    for number in (line, line - 1):
        text = lines[number - 1] if 1 <= number <= len(lines) else ""
        indent = text[: len(text) - len(text.lstrip())]
        if "\t" in indent:
            return Position(line=number, column=indent.index("\t") + 1)
    return None


def _syntax_hint(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "mapping values are not allowed" in problem:
        return "a text with `: ` in it must be quoted; or the indentation is wrong"
    if "cannot start any token" in problem:
        return "a text that starts with this character must be quoted"
    return "look at indentation, quotes and brackets up to this place"
