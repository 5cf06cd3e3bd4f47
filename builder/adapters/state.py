"""`.workstation/state.json`: what a workspace remembers between two runs, as versioned JSON.

Owns the file's format and the checks on reading. Does not touch the disk; `workspace` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from builder.errors import LockError
from builder.model import State

FORMAT: Final = 1
MAX_TEXT: Final = 4096


def dump_state(state: State) -> bytes:
    """Canonical JSON, so that what has not changed is not written again."""
    told: dict[str, object] = {
        "format": FORMAT,
        "ports": dict(state.ports),
        "lock": state.lock,
        "fingerprint": state.fingerprint,
        "plan": state.plan,
        "spec": state.spec,
        "project": state.project,
        "token": state.token,
        **({"sidecars": dict(state.sidecars)} if state.sidecars else {}),
        **({"alone": True} if state.alone else {}),
    }
    return (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


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

    def text(self, key: str, default: str | None = None) -> str:
        """One line; what is remembered goes into a Dockerfile, labels and command lines as devbox.yaml does."""
        value = self._told.get(key, default)
        if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_TEXT:
            raise _damaged(self._where, f"`{key}` is no line of text")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """Name -> one line; nothing where there is no such key."""
        value = self._told.get(key, {})
        if not isinstance(value, dict):
            raise _damaged(self._where, f"`{key}` is no object")
        inner = _Reader(value, self._where)
        return {name: inner.text(name) for name in value}

    def flag(self, key: str) -> bool:
        """False where there is no such key."""
        value = self._told.get(key, False)
        if not isinstance(value, bool):
            raise _damaged(self._where, f"`{key}` is neither true nor false")
        return value

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


def _read_state(reader: _Reader) -> State:
    return State(
        ports=reader.ports("ports"),
        lock=reader.text("lock", ""),
        fingerprint=reader.text("fingerprint"),
        plan=reader.text("plan"),
        spec=reader.text("spec"),
        project=reader.text("project", ""),
        token=reader.text("token", ""),
        sidecars=reader.texts("sidecars"),
        alone=reader.flag("alone"),
    )


def _damaged(where: str, why: str) -> LockError:
    return LockError(f"is damaged ({why})", where=where, hint="remove it: it holds no data of yours")
