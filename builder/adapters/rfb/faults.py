"""Owns the ways in which a VNC connection can fail, as exceptions a caller can tell apart.

Every one is a NotReadyError (exit code 6): whoever asked for a picture or a key press did not get it.
"""

from __future__ import annotations

from builder.errors import NotReadyError


class VncError(NotReadyError):
    """Base of all failures of the VNC client."""


class NoVncServerError(VncError):
    """Nothing listens there, or what listens does not greet as a VNC server does."""


class LoginRefusedError(VncError):
    """The server does not let us in; `reason` holds its own words, empty when it gave none."""

    def __init__(self, message: str, *, reason: str = "", where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.reason = reason


class TooManyFailuresError(LoginRefusedError):
    """The server blocks this address for a while after failed logins.

    TigerVNC 1.12 counts every connection that ends before a login as a failed one, a mere look at the banner
    too: five of them block the address for 10 s. Then one connection is let through; unless it logs in, the next
    block is longer. Only a login that succeeds resets the count, time does not.
    """


class VncTimeoutError(VncError):
    """What was waited for did not come before the deadline."""


class ConnectionLostError(VncError):
    """The server closed the connection, or it broke."""


class ProtocolFaultError(VncError):
    """The server sent something that RFC 6143 does not allow, or that was not asked for."""


class ResizeRefusedError(VncError):
    """The server cannot or will not change the size of its desktop."""


class UnknownKeyError(VncError):
    """A key name or character that has no keysym, or text that this clipboard cannot carry."""
