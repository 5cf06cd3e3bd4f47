"""What goes with a container."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from builder.adapters.engine.client import connect_engine
from tests.unit.adapters.scripted_engine import reply, scripted_engine


@pytest.mark.parametrize(("unnamed", "asked"), [(False, "v=False"), (True, "v=True")])
def test_volumes_that_nobody_named_go_only_where_that_is_said(tmp_path: Path, unnamed: bool, asked: str) -> None:
    lines: list[str] = []

    def remove(connection: socket.socket, line: str) -> None:
        lines.append(line)
        connection.sendall(reply(b"", "204 No Content"))

    with scripted_engine(tmp_path, {"DELETE": remove}) as environment:
        connect_engine(environment).remove("x", unnamed=unnamed)
    assert asked in lines[0]
