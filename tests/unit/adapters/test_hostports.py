"""Whether a port is free, and whose it is otherwise."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from builder.adapters.ports import HostPorts, find_holder, is_free, next_free
from builder.errors import HostError


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free(busy: int) -> None:
    assert not is_free("127.0.0.1", busy)
    assert not is_free("0.0.0.0", busy)  # noqa: S104


def test_a_port_is_free_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert is_free("127.0.0.1", port)


def test_a_listener_on_all_addresses_takes_loopback_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104
        assert not is_free("127.0.0.1", server.getsockname()[1])


def test_the_next_free_port_leaves_out_busy_and_taken_ones(busy: int) -> None:
    found = next_free("127.0.0.1", busy, taken=frozenset({busy + 1}))
    assert found > busy + 1


def test_the_holder_is_found(busy: int) -> None:
    holder = find_holder(busy)
    assert holder is not None
    assert holder.pid == os.getpid()
    assert str(holder) == f"{holder.command} (process {os.getpid()})"
    assert HostPorts().holder(busy) == str(holder)


def test_a_free_port_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert find_holder(port) is None


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(HostError, match="no such address"):
        is_free("192.0.2.1", 5901)
