"""What flows into a command: how it ended is told by the command where it can be, else by the connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.adapters.engine.client import connect_engine
from builder.errors import LostEngineError
from builder.model import ExecResult
from tests.unit.adapters.scripted_engine import Answer, reply, scripted_engine

FULL = b"No space left"


def closes_unread(connection: socket.socket, line: str) -> None:
    """As an engine whose command ended in the middle: what was not read yet resets the connection."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n\x02\0\0\0" + len(FULL).to_bytes(4, "big") + FULL)
    connection.recv(1)


def pour(folder: Path, code: int) -> ExecResult:
    answers: dict[str, bytes | Answer] = {
        "exec/e/start": closes_unread,
        "exec/e/json": reply({"Running": False, "ExitCode": code, "Pid": 7}),
        "/exec": reply({"Id": "e"}),
    }
    with scripted_engine(folder, answers) as environment:
        return connect_engine(environment).pour("box", ["tar"], _chunks())


def _chunks() -> Iterator[bytes]:
    for _ in range(100):
        yield bytes(1 << 20)


def test_a_command_that_ended_in_the_middle_says_why_itself(tmp_path: Path) -> None:
    assert pour(tmp_path, 2) == ExecResult(code=2, stdout=b"", stderr=FULL)


def test_a_command_that_had_not_all_and_ended_well_was_cut_off(tmp_path: Path) -> None:
    with pytest.raises(LostEngineError, match=r"the connection to .* broke"):
        pour(tmp_path, 0)
