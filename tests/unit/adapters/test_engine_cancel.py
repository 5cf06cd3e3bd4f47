"""A build that another thread waits for ends when nobody wants it any more."""

from __future__ import annotations

import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.adapters.engine.client import connect_engine
from builder.errors import BuildError
from builder.model import RenderedFile
from tests.unit.adapters.scripted_engine import chunked, reply, scripted_engine


def test_a_build_that_is_cancelled_fails_where_it_is_waited_for(tmp_path: Path) -> None:
    building, ended = threading.Event(), threading.Event()
    asked: list[str] = []

    def build(connection: socket.socket, request: str) -> None:
        asked.append(request)
        building.set()
        assert ended.wait(10)
        connection.sendall(chunked({"error": "context canceled"}))

    def cancel(connection: socket.socket, request: str) -> None:
        asked.append(request)
        connection.sendall(reply(b""))
        ended.set()

    with scripted_engine(tmp_path, {"/build?": build, "/build/cancel": cancel}) as environment:
        engine = connect_engine(environment)
        with ThreadPoolExecutor(1) as pool:
            tree = {"Dockerfile": RenderedFile(data=b"FROM scratch\n")}
            waited = pool.submit(engine.build, tree, {}, "x:1", lambda event: None)
            assert building.wait(10)
            engine.cancel_builds()
            with pytest.raises(BuildError, match="context canceled"):
                waited.result(10)
        begun, cancelled = asked
        assert re.findall(r"buildid=(\w+)", begun) == re.findall(r"[?&]id=(\w+)", cancelled)
        asked.clear()
        engine.cancel_builds()
        assert asked == []
