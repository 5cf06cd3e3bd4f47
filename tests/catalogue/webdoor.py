"""The image's web door in this process: its modules, and a connection to one of its doors."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

LIB = Path(__file__).parents[2] / "images/rootfs/web/usr/lib/devbox"
PATIENCE = 10  # seconds
WEB_PASSWORD = "correct horse"
VNC_BANNER = b"RFB 003.008\n"


def load_webdoor(name: str) -> ModuleType:
    """A module of the package, without leaving byte code in the image's files."""
    kept = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(LIB))
    try:
        return importlib.import_module(f"webdoor.{name}")
    finally:
        sys.path.remove(str(LIB))
        sys.dont_write_bytecode = kept


def loopback_pair() -> tuple[socket.socket, socket.socket]:
    """TCP, as clients and the VNC server have: options are set that a pair of Unix sockets does not know."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), PATIENCE)
        return near, listener.accept()[0]


@contextmanager
def connected(door: object, address: str = "192.0.2.1") -> Iterator[socket.socket]:
    """A client's end of a connection that the door handles; all of it has ended in the end."""
    near, far = loopback_pair()
    near.settimeout(PATIENCE)
    places = threading.BoundedSemaphore(1)
    places.acquire()
    thread = threading.Thread(target=load_webdoor("server").handle, args=(door, far, address, places), daemon=True)
    thread.start()
    with near:
        yield near
    thread.join(PATIENCE)
    assert not thread.is_alive()
