"""The traps of the relay spring at their moment: what other tests prove with them stands on that."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine, connect_engine
from builder.errors import EngineError
from tests.engine.relay import Trap, is_whole, relay

REFUSED = b"HTTP/1.1 500 No\r\nContent-Length: 22\r\n\r\n" + b'{"message":"a mishap"}'
NETWORK = "relayed-network"


def made(engine: Engine) -> bool:
    """Whether the network is there; it is taken away again."""
    found = [item for item in engine._api.networks(names=[NETWORK]) if item["Name"] == NETWORK]
    for item in found:
        engine._api.remove_network(item["Id"])
    return bool(found)


@pytest.mark.parametrize(
    ("moment", "reply", "reached", "error"),
    [
        ("before", REFUSED, False, "a mishap"),
        ("after", REFUSED, True, "a mishap"),
        ("before", b"", False, "broke"),
        ("after", b"", True, "broke"),
        ("during", b"", True, "broke"),
        ("before", None, True, None),
        ("after", None, True, None),
    ],
)
def test_a_trap_springs_before_or_after_the_engine_acts(
    engine: Engine, tmp_path: Path, moment: str, reply: bytes | None, reached: bool, error: str | None
) -> None:
    trap = Trap(request="POST /networks/create", act=lambda: reply, moment=moment, nth=2)  # type: ignore[arg-type]
    with relay(tmp_path, str(engine.host.socket), trap) as door:
        ours = connect_engine({"DOCKER_HOST": door.host})
        ours._api.create_network(NETWORK)
        assert made(engine)
        assert not trap.sprung.is_set()

        if error is None:
            ours._api.create_network(NETWORK)
        else:
            with pytest.raises(EngineError, match=error), ours.asking("cannot make a network"):
                ours._api.create_network(NETWORK)

        assert trap.sprung.is_set()
        assert made(engine) == reached
        assert len(door.asked("POST /networks/create")) == 2
        assert ours.version().version == engine.version().version  # every other request goes through


def test_the_end_of_an_answer_is_known() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    assert is_whole(head + b"Content-Length: 2\r\n\r\n{}")
    assert not is_whole(head + b"Content-Length: 3\r\n\r\n{}")
    assert not is_whole(head)
    assert is_whole(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert is_whole(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert not is_whole(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
