"""The form of `devbox-lock.json`: canonical JSON, so that equal locks are equal files and a diff shows what changed.

Owns reading and writing it as bytes. The file comes with a repository, so it is read as strictly as devbox.yaml: what
stands in it ends in a Dockerfile and in command lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Final

from pydantic import TypeAdapter, ValidationError

from builder.core.canonical import make_plain
from builder.core.lock import FILE, Lock
from builder.core.lock_npm import MODULES, NEEDED
from builder.core.problems import Path, dotted, shown
from builder.core.source import FORBIDDEN, parse_source
from builder.errors import ConfigError, LockError

FORMAT: Final = 1
MAX_TEXT: Final = 4096
HINT: Final = "take it back from the repository, or remove it and run `devbox lock`"
CONFLICT: Final = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
HEX: Final = r"[0-9a-f]{64}"
# Of what ends in a command line or names a file; by the last key on the way to it.
FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "architecture": re.compile(r"[a-z0-9-]+"),
    "commits": re.compile(r"[0-9a-f]{40}|" + HEX),
    "identity": re.compile(r"[A-Za-z0-9][\w.:/@+-]*"),
    "image": re.compile(r"[A-Za-z0-9][\w.:/@-]*"),
    "integrity": re.compile(r"(sha(1|256|384|512)-[A-Za-z0-9+/=]+)?"),
    "name": re.compile(r"@?[A-Za-z0-9][\w.+:/@-]*"),
    "path": re.compile(r"([\w+~%][\w.+~%:-]*(/[\w+~%][\w.+~%:-]*)*)?"),
    "packages": re.compile(r"[a-z0-9][a-z0-9+.-]*"),
    "sha256": re.compile(f"({HEX})?"),
    "version": re.compile(r"([0-9A-Za-z][\w.+~:!-]*)?"),
}

# Names of npm's folders: none begins with a dot, so that no path leads out.
NPM_NAME: Final = r"node_modules/(@[\w~-][\w.~-]*/)?[\w~-][\w.~-]*"
NPM_PATH: Final = re.compile(f"{NPM_NAME}(/{NPM_NAME})*")


def dump_lock(lock: Lock) -> bytes:
    """Sorted keys, packages by name, a newline at the end."""
    apt = tuple(sorted(lock.apt, key=lambda package: (package.name, package.architecture)))
    # Why something could not be had is of one machine: with it, two machines would write two files.
    substitutions = [{"what": item.what, "wanted": item.wanted, "got": item.got} for item in lock.substitutions]
    told = {"lock": FORMAT, **_as_dict(replace(lock, apt=apt)), "substitutions": substitutions}
    return (json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _as_dict(lock: Lock) -> dict[str, object]:
    return {item.name: make_plain(getattr(lock, item.name)) for item in fields(lock)}


def parse_lock(data: bytes, *, where: str = FILE) -> Lock:
    """Raises LockError, with the line where that is known, for whatever `dump_lock` would not have written."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _damaged(where, f"byte {error.start} is not UTF-8") from error
    if found := CONFLICT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        hint = "keep one side's file as it was, then run `devbox lock`"
        raise LockError("holds both sides of a merge", where=f"{where}:{line}", hint=hint)
    told = _read_json(text, where)
    number = told.pop("lock", None)
    if isinstance(number, int) and number > FORMAT:
        raise LockError(
            f"was written by a newer devbox (format {number}, this one knows {FORMAT})",
            where=where,
            hint="use the newer devbox; `devbox version` shows this one's",
        )
    if number != FORMAT or isinstance(number, bool):
        raise _damaged(where, f"`lock` is not {FORMAT}")
    return _check(told, text, where)


def _read_json(text: str, where: str) -> dict[str, object]:
    try:
        told = json.loads(text, object_pairs_hook=_refuse_twice)
    except json.JSONDecodeError as error:
        raise _damaged(f"{where}:{error.lineno}:{error.colno}", f"not JSON: {error.msg}") from error
    except RecursionError as error:
        raise _damaged(where, "not JSON: nested too deep") from error
    except ValueError as error:
        raise _damaged(where, str(error)) from error
    if not isinstance(told, dict):
        raise _damaged(where, "not an object")
    return told


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {shown(next(key for key in keys if keys.count(key) > 1))} is there twice")
    return found


def _check(told: dict[str, object], text: str, where: str) -> Lock:
    for path, value, form in _walk(told, ()):
        if problem := _look_at(value, form):
            raise _damaged_at(path, problem, text, where)
    try:
        # By way of JSON, which turns lists into tuples and text into enums, and nothing else.
        lock = TypeAdapter(Lock).validate_json(json.dumps(told), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged_at(first["loc"], first["msg"], text, where) from error
    if unknown := _find_unknown(told, _as_dict(lock), ()):
        raise _damaged_at(unknown, "no such key is known", text, where)
    seen: set[tuple[str, str]] = set()
    steps = {step.name for step in lock.wanted.apt}
    for index, package in enumerate(lock.apt):
        if (package.name, package.architecture) in seen:
            raise _damaged_at(("apt", index), f"{package.name} is there twice", text, where)
        if package.step not in steps:
            raise _damaged_at(("apt", index, "step"), "no such step is wanted", text, where)
        seen.add((package.name, package.architecture))
    if gap := _find_gap(lock):
        raise _damaged_at(*gap, text, where)
    return lock


def _find_gap(lock: Lock) -> tuple[Path, str] | None:
    """What would leave a part of the build to the world of that day, or to nobody, and where."""
    first = next((step.name for step in lock.wanted.apt), None)
    if first and all(package.step != first for package in lock.apt):  # those of the base are its, too
        return ("apt",), f"no package is of the step {first}"
    for what, closures, wanted in (("npm", lock.npm, lock.wanted.npm), ("python", lock.python, lock.wanted.python)):
        if extra := sorted(closures.keys() - wanted.keys()):
            return (what, extra[0]), "no such tool is wanted"
    for tool, closure in lock.npm.items():
        for index, package in enumerate(closure):
            if extra := sorted(package.needs.keys() - set(NEEDED)):  # it would win over what is checked
                return ("npm", tool, index, "needs", extra[0]), "is nothing that npm needs to install from a lock"
            inside = package.needs.get("inBundle") is True and f"/{MODULES}" in package.path
            if not package.integrity and not inside:
                return ("npm", tool, index, "integrity"), f"there is none of {package.name}"
    return None


def _walk(value: object, path: Path) -> Iterator[tuple[Path, str, re.Pattern[str] | None]]:
    """Every text, keys too, the way to it, and the form that it has to have, if any."""
    match value:
        case str():
            yield path, value, _find_form(path)
        case dict():
            for key, inner in value.items():
                yield (*path, key), key, None
                yield from _walk(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                yield from _walk(inner, (*path, index))


def _find_form(path: Path) -> re.Pattern[str] | None:
    named = [part for part in path if isinstance(part, str)]
    if not named or named[0] == "substitutions" or path[3:4] == ("needs",):  # npm reads its own words
        return None
    if named[0] == "npm" and named[-1] == "path":
        return NPM_PATH
    return FORMS.get("commits" if named[0] == "commits" else named[-1])


def _look_at(value: str, form: re.Pattern[str] | None) -> str:
    """What is wrong with a text, in words."""
    if len(value) > MAX_TEXT:
        return f"is longer than {MAX_TEXT} characters"
    if found := FORBIDDEN.search(value):
        return f"the character U+{ord(found[0]):04X} is not allowed"
    return "" if form is None or form.fullmatch(value) else f"{shown(value)} is none"


def _find_unknown(told: object, known: object, path: Path) -> Path | None:
    """The way to the first key that the nouns do not have: a newer devbox of the same format, or somebody's hand."""
    inner: Iterator[tuple[str | int, object, object]] = iter(())
    match told, known:
        case dict(), dict():
            if extra := sorted(told.keys() - known.keys()):
                return (*path, extra[0])
            inner = ((key, told[key], known[key]) for key in told)
        case list(), list():
            inner = ((index, one, other) for index, (one, other) in enumerate(zip(told, known, strict=False)))
    return next((found for key, one, other in inner if (found := _find_unknown(one, other, (*path, key)))), None)


def _damaged_at(path: Path, why: str, text: str, where: str) -> LockError:
    """With the line, where the file can be read as YAML too: JSON is nearly that."""
    try:
        position = parse_source(text, file=where).position(path)
    except ConfigError:
        position = None
    place = f"{where}:{position.line}:{position.column}" if position else where
    return _damaged(place, f"{dotted(path)}: {why}")


def _damaged(where: str, why: str) -> LockError:
    return LockError(f"is damaged ({why})", where=where, hint=HINT)
