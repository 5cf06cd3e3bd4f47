"""A small synchronous VNC client (RFB 3.3, 3.7, 3.8): screenshot, readiness and `devbox verify` use it.

    with connect("127.0.0.1", 5901).login(password) as client:
        client.settle(0.5, 20).save_png(path)

Split by phase: faults, wire (bytes), login (the door), client (the session), decode, tight, packed and picture
(pixels), keys and hands (input), clipboard. Why our own: docs/decisions/vnc-client.md.
"""

from __future__ import annotations

from builder.adapters.rfb.client import Greeting, Update, VncClient, connect, greet, security_types
from builder.adapters.rfb.decode import PACKED, PLAIN, ask_tight
from builder.adapters.rfb.faults import (
    ConnectionLostError,
    LoginRefusedError,
    NoVncServerError,
    ProtocolFaultError,
    ResizeRefusedError,
    TooManyFailuresError,
    UnknownKeyError,
    VncError,
    VncTimeoutError,
)
from builder.adapters.rfb.login import SecurityType
from builder.adapters.rfb.picture import Picture

__all__ = [
    "PACKED",
    "PLAIN",
    "ConnectionLostError",
    "Greeting",
    "LoginRefusedError",
    "NoVncServerError",
    "Picture",
    "ProtocolFaultError",
    "ResizeRefusedError",
    "SecurityType",
    "TooManyFailuresError",
    "UnknownKeyError",
    "Update",
    "VncClient",
    "VncError",
    "VncTimeoutError",
    "ask_tight",
    "connect",
    "greet",
    "security_types",
]
