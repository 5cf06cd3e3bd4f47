"""Owns the way in: banner, security types, password (RFC 6143, section 7.1 and 7.2).

It stops where the server says "OK"; what follows (ClientInit and the session) belongs to `client`.
"""

from __future__ import annotations

import contextlib
import re
from enum import IntEnum
from typing import TYPE_CHECKING

from builder.adapters.rfb.faults import (
    ConnectionLostError,
    LoginRefusedError,
    NoVncServerError,
    ProtocolFaultError,
    TooManyFailuresError,
    VncTimeoutError,
)

if TYPE_CHECKING:
    from builder.adapters.rfb.wire import Wire

BANNER = re.compile(rb"RFB (\d{3})\.(\d{3})\n")
OK = 0
TOO_MANY = 2
BLOCKED_HINT = "wait (10 s at the first block), then log in with the right password: that lifts the count"


class SecurityType(IntEnum):
    NONE = 1
    VNC_AUTH = 2


def answer_challenge(challenge: bytes, password: str) -> bytes:
    """The VncAuth response: the challenge in DES-ECB under the first 8 bytes of the password.

    Each key byte is bit-reversed, a quirk of the first implementation that became the protocol. DES is
    triple DES with one key three times.
    """
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    cut = _password_bytes(password)[:8].ljust(8, b"\0")
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in cut)
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305 (the protocol wants it)
    return encryptor.update(challenge) + encryptor.finalize()


def read_version(wire: Wire) -> tuple[int, int]:
    """Read the server's banner and agree on 3.3, 3.7 or 3.8. Raises NoVncServerError."""
    wire.begin("the banner of a VNC server")
    try:
        banner = wire.read(12)
    except (VncTimeoutError, ConnectionLostError) as error:
        heard = wire.peek()
        reason = f"it only said {heard[:12]!r}" if heard else "it said nothing"
        raise NoVncServerError(
            f"something accepts the connection but does not greet as a VNC server: {reason}", where=wire.where
        ) from error
    found = BANNER.fullmatch(banner)
    if not found:
        wire.close()
        raise NoVncServerError(f"not a VNC server: it greets with {banner!r}", where=wire.where)
    version = _agreed(int(found[1]), int(found[2]))
    # A server that blocks this address gives its reason and hangs up without listening (TigerVNC). If there is
    # no reason to be read either, the next read says that the connection is lost.
    with contextlib.suppress(ConnectionLostError):
        wire.send_bytes(b"RFB %03d.%03d\n" % version)
    return version


def read_security_types(wire: Wire, version: tuple[int, int]) -> tuple[int, ...]:
    """The types that the server offers; with 3.3 the one that it decided on."""
    wire.begin("the security types")
    if version == (3, 3):
        offered = bytes([wire.u32() & 0xFF])
        offered = b"" if offered == b"\0" else offered
    else:
        offered = wire.read(wire.u8())
    if not offered:
        raise _refusal(wire, wire.text())
    return tuple(offered)


def log_in(
    wire: Wire, version: tuple[int, int], offered: tuple[int, ...], password: str | None, force: int | None
) -> None:
    """Pass the door, or raise LoginRefusedError or TooManyFailuresError with the server's reason.

    `force` takes a type that may not have been offered: for the test that such a door is shut.
    """
    chosen = _choose(wire, offered, password) if force is None else force
    wire.begin("the answer to the login")
    if version != (3, 3):
        wire.send("B", chosen)
    if chosen == SecurityType.VNC_AUTH:
        wire.send_bytes(answer_challenge(_challenge(wire), password or ""))
    elif chosen != SecurityType.NONE:
        raise ProtocolFaultError(f"security type {chosen} is not known to this client", where=wire.where)
    if chosen == SecurityType.VNC_AUTH or version == (3, 8):
        _read_result(wire, version)


def _password_bytes(password: str) -> bytes:
    # vncpasswd stores what the terminal gave it: UTF-8 today, Latin-1 only in old viewers.
    return password.encode("utf-8")


def _agreed(major: int, minor: int) -> tuple[int, int]:
    """RFC 6143 knows three versions; 3.4 to 3.6 count as 3.3, and Apple's 3.889 and 4.x and 5.x take 3.8."""
    if (major, minor) < (3, 7):
        return (3, 3)
    return (3, 7) if (major, minor) == (3, 7) else (3, 8)


def _choose(wire: Wire, offered: tuple[int, ...], password: str | None) -> int:
    if password is not None and SecurityType.VNC_AUTH in offered:
        return SecurityType.VNC_AUTH
    if SecurityType.NONE in offered:
        return SecurityType.NONE
    wire.close()
    if SecurityType.VNC_AUTH in offered:
        raise LoginRefusedError("the VNC server wants a password and none was given", where=wire.where)
    names = ", ".join(map(str, offered))
    raise LoginRefusedError(f"the VNC server offers only security types {names}", where=wire.where)


def _challenge(wire: Wire) -> bytes:
    """Sixteen random bytes; a server that closes instead has thrown us out (TigerVNC does so)."""
    try:
        return wire.read(16)
    except ConnectionLostError as error:
        raise LoginRefusedError(
            "the VNC server hung up instead of asking for the password", where=wire.where
        ) from error


def _read_result(wire: Wire, version: tuple[int, int]) -> None:
    try:
        result = wire.u32()
        if result == OK:
            return
        reason = wire.text() if version == (3, 8) else ""
    except ConnectionLostError as error:
        raise LoginRefusedError("the VNC server hung up at the login", where=wire.where) from error
    raise _refusal(wire, reason, too_many=result == TOO_MANY)


def _refusal(wire: Wire, reason: str, *, too_many: bool = False) -> LoginRefusedError:
    wire.close()
    told = f"the server says: {reason}" if reason else "the server gives no reason"
    if too_many or "too many" in reason.lower():
        return TooManyFailuresError(
            f"the VNC server blocks this address; {told}", reason=reason, where=wire.where, hint=BLOCKED_HINT
        )
    return LoginRefusedError(f"the VNC server refuses the login; {told}", reason=reason, where=wire.where)
