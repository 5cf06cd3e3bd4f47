"""`.workstation/state.json`: what a workspace remembers between two runs, as versioned JSON.

Owns the file's format and the checks on reading. Does not touch the disk; `workspace` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from builder.errors import LockError
from builder.model import Answers, BaseAnswer, Retrieval, State, Substitution

FORMAT: Final = 1
MAX_TEXT: Final = 4096
COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def dump_state(state: State) -> bytes:
    """Canonical JSON, so that what has not changed is not written again."""
    told: dict[str, object] = {
        "format": FORMAT,
        "ports": dict(state.ports),
        "answers": None if state.answers is None else _dump_answers(state.answers),
        "fingerprint": state.fingerprint,
        "plan": state.plan,
        "spec": state.spec,
    }
    return (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _dump_answers(answers: Answers) -> dict[str, object]:
    base = answers.base
    return {
        "question": answers.question,
        "base": {"name": base.name, "reference": base.reference, "how": base.how.value, "identity": base.identity},
        "absent": list(answers.absent),
        "substitutions": [
            {"what": item.what, "wanted": item.wanted, "got": item.got, "reason": _one_line(item.reason)}
            for item in answers.substitutions
        ],
        "commits": dict(answers.commits),
    }


def _one_line(text: str) -> str:
    """What a program of somebody else said, as the reader below takes it."""
    return "".join(char if char.isprintable() else " " for char in text)[:MAX_TEXT]


def load_state(data: bytes, *, where: str) -> State:
    """The state in `data`. Raises LockError when it is damaged or of a newer devbox."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, f"not JSON: {error}") from error
    if not isinstance(told, dict):
        raise _damaged(where, "not an object")
    number = told.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise LockError(
            f"was written by a newer devbox (format {number}, this one knows {FORMAT})",
            where=where,
            hint="use the newer devbox, or remove the file: it holds no data of yours",
        )
    if number != FORMAT:
        raise _damaged(where, f"no format {FORMAT}")
    return _read_state(_Reader(told, where))


class _Reader:
    """Typed looks into parsed JSON; anything unexpected is a damaged file."""

    __slots__ = ("_told", "_where")

    def __init__(self, told: Mapping[str, object], where: str) -> None:
        self._told = told
        self._where = where

    def text(self, key: str) -> str:
        """One line; what is remembered goes into a Dockerfile, labels and command lines as devbox.yaml does."""
        value = self._told.get(key)
        if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_TEXT:
            raise _damaged(self._where, f"`{key}` is no line of text")
        return value

    def word(self, key: str) -> str:
        text = self.text(key)
        if not text or " " in text or text.startswith("-"):
            raise _damaged(self._where, f"`{key}` is no single word")
        return text

    def group(self, key: str) -> _Reader | None:
        value = self._told.get(key)
        if value is None:
            return None
        return self._as_reader(key, value)

    def groups(self, key: str) -> list[_Reader]:
        return [self._as_reader(key, item) for item in self._items(key)]

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._items(key)
        if not all(isinstance(item, str) for item in items):
            raise _damaged(self._where, f"`{key}` holds something else than text")
        return tuple(str(item) for item in items)

    def commits(self, key: str) -> dict[str, str]:
        """Commits by name; none where the key is missing, as in files of an older devbox."""
        value = self._told.get(key, {})
        if not isinstance(value, dict):
            raise _damaged(self._where, f"`{key}` is no object")
        if not all(isinstance(item, str) and COMMIT.fullmatch(item) for item in value.values()):
            raise _damaged(self._where, f"`{key}` holds something else than commits")
        return {str(name): str(text) for name, text in value.items()}

    def ports(self, key: str) -> dict[str, int]:
        value = self._told.get(key)
        found: dict[str, int] = {}
        if not isinstance(value, dict):
            raise _damaged(self._where, f"`{key}` is no object")
        for name, port in value.items():
            if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
                raise _damaged(self._where, f"`{key}.{name}` is no port")
            found[str(name)] = port
        return found

    def damaged(self, why: str) -> LockError:
        return _damaged(self._where, why)

    def _items(self, key: str) -> list[object]:
        value = self._told.get(key)
        if not isinstance(value, list):
            raise _damaged(self._where, f"`{key}` is no list")
        return value

    def _as_reader(self, key: str, value: object) -> _Reader:
        if not isinstance(value, dict):
            raise _damaged(self._where, f"`{key}` is no object")
        return _Reader(value, self._where)


def _read_state(reader: _Reader) -> State:
    answers = reader.group("answers")
    return State(
        ports=reader.ports("ports"),
        answers=None if answers is None else _read_answers(answers),
        fingerprint=reader.text("fingerprint"),
        plan=reader.text("plan"),
        spec=reader.text("spec"),
    )


def _read_answers(reader: _Reader) -> Answers:
    base = reader.group("base")
    if base is None:
        raise reader.damaged("`base` is missing")
    return Answers(
        question=reader.text("question"),
        base=BaseAnswer(
            name=base.word("name"),
            reference=base.word("reference"),
            how=_retrieval(base),
            identity=base.text("identity"),
        ),
        absent=reader.texts("absent"),
        substitutions=tuple(
            Substitution(
                what=item.text("what"), wanted=item.text("wanted"), got=item.text("got"), reason=item.text("reason")
            )
            for item in reader.groups("substitutions")
        ),
        commits=reader.commits("commits"),
    )


def _retrieval(reader: _Reader) -> Retrieval:
    try:
        return Retrieval(reader.text("how"))
    except ValueError as error:
        raise reader.damaged(str(error)) from error


def _damaged(where: str, why: str) -> LockError:
    return LockError(f"is damaged ({why})", where=where, hint="remove it: it holds no data of yours")
