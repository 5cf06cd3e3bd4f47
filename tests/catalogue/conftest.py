"""Doors of the web desktop for tests: their files, a VNC server behind them, and one that is exposed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from builder.adapters.certificates import ensure_own
from tests.catalogue.webdoor import LIB, VNC_BANNER, WEB_PASSWORD, load_webdoor

PAGES = LIB.parents[1] / "share/devbox/web"


@pytest.fixture
def listed(tmp_path: Path) -> Mapping[str, tuple[str, str]]:
    novnc = tmp_path / "novnc"
    novnc.mkdir()
    (novnc / "rfb.js").write_text("export default class {}")
    found: Mapping[str, tuple[str, str]] = load_webdoor("files").find_files(
        (("", str(PAGES)), ("/novnc/core", str(novnc)))
    )
    return found


@pytest.fixture
def vnc_port() -> Iterator[int]:
    """A VNC server that says its banner to the first who comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            try:
                while True:
                    peer, _ = listener.accept()
                    peer.sendall(VNC_BANNER)
            except OSError:
                return

        threading.Thread(target=greet, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def exposed(listed: Mapping[str, tuple[str, str]], vnc_port: int, tmp_path: Path) -> object:
    ensure_own(tmp_path / "authority", tmp_path / "tls.pem", ["box.example"])
    (tmp_path / "vnc-password").write_text("vncvncvn\n")
    entry = load_webdoor("login").Login(sha256(WEB_PASSWORD.encode()).hexdigest(), "box")
    context = load_webdoor("tls").make_context(str(tmp_path / "tls.pem"))
    secret = str(tmp_path / "vnc-password")
    return load_webdoor("server").Door(listed, vnc_port, ["box.example"], entry, context, secret)
