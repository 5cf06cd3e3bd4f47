"""Group `doors`: each way in opens to who may come in, and to nobody else.

VNC, the web page and its web socket, SSH, and the secrets that open them. Every refusal is tried, not read from a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from builder.adapters.rfb import ConnectionLostError, LoginRefusedError, SecurityType
from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure, Skipped

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

RFB_VERSION: Final = (3, 8)
CLIENT_CHOOSES: Final = (3, 7)
TIGHT: Final = 16  # security type of the TightVNC protocol


def make_cases(resolved: Resolved) -> Iterator[Case]:
    from builder.suite import secrets_kept, ssh, web

    ours = (banner, security_types, right_password, wrong_password, empty_password, no_password)
    for item in (*ours, *web.make_cases(resolved), *ssh.CASES, *secrets_kept.CASES):
        if item.door is None or item.door in resolved.doors:
            yield item


@case("doors.vnc-banner", "the VNC server greets with RFB 3.8", door="vnc")
def banner(subject: Subject) -> None:
    greeting = subject.memo.get("greeting", subject.greet)
    greeting.close()
    if greeting.version != RFB_VERSION:
        raise CheckFailure("RFB 3.8", f"RFB {'.'.join(map(str, greeting.version))}", "devbox logs xvnc")


@case("doors.vnc-security-types", "the VNC server asks for a password and offers nothing else", door="vnc")
def security_types(subject: Subject) -> None:
    greeting = subject.memo.get("greeting", subject.greet)
    greeting.close()
    # TightVNC wraps the same login in a type of its own, and offers both.
    wanted = {SecurityType.VNC_AUTH, *([TIGHT] if any(t.name == "tightvnc" for t in subject.resolved.tools) else [])}
    if SecurityType.VNC_AUTH not in greeting.security_types or set(greeting.security_types) - wanted:
        told = ", ".join(map(str, greeting.security_types)) or "none"
        raise CheckFailure("security type 2 (VncAuth) alone", f"types {told}", "devbox logs xvnc")


@case("doors.vnc-password", "the right VNC password opens the desktop", door="vnc")
def right_password(subject: Subject) -> None:
    try:
        subject.login().close()
    except LoginRefusedError as error:
        look = "devbox password --new"
        raise CheckFailure("the password of `devbox password` to be accepted", error.message, look) from error


@case("doors.vnc-wrong-password", "a wrong VNC password is refused", door="vnc")
def wrong_password(subject: Subject) -> None:
    right = subject.keys.password.reveal()
    _expect_refusal(subject, ("b" if right[:1] == "a" else "a") + right[1:], "a wrong password")


@case("doors.vnc-empty-password", "an empty VNC password is refused", door="vnc")
def empty_password(subject: Subject) -> None:
    _expect_refusal(subject, "", "an empty password")


@case("doors.vnc-no-password", "nobody comes in by skipping the VNC password", door="vnc")
def no_password(subject: Subject) -> None:
    """The client takes the type None although it was not offered: a careless server would let it in."""
    if subject.memo.get("greeting", subject.greet).version < CLIENT_CHOOSES:
        raise Skipped("before RFB 3.7 the server alone decides: there is no choice to try")
    _expect_refusal(subject, None, "a login without a password", force=SecurityType.NONE)


def _expect_refusal(subject: Subject, password: str | None, what: str, *, force: int | None = None) -> None:
    greeting = subject.greet()
    try:
        greeting.login(password, force=force).close()
    except LoginRefusedError:
        return
    except ConnectionLostError:
        # It hung up on an answer that it did not offer: a refusal, provided that it goes on serving.
        subject.greet().close()
        return
    raise CheckFailure(f"{what} to be refused", "it opens the desktop", "devbox logs xvnc")
