"""The part of the group `desktop` that needs hands: typing, clipboard, resizing, on a screen of its own.

They open one terminal window that takes every key, and type only while it has the focus; it is closed at the end and
the screen gets its size back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import wait_for
from builder.adapters.rfb import ResizeRefusedError, VncTimeoutError
from builder.errors import NotReadyError
from builder.suite.cases import Lane, case
from builder.suite.results import CheckFailure, Skipped

if TYPE_CHECKING:
    from builder.adapters.rfb import VncClient
    from builder.suite.subject import Subject

ASCII: Final = "The quick brown fox jumps over 13 lazy dogs! \"'#$%&()*+,-./:;<=>?@[\\]^_`{|}~"
UNICODE: Final = "Zwölf Boxkämpfer jagen Виктор quer über den Σίσυφος — żółć, ñandú, ½ €"
GERMAN_LEVEL_3: Final = "@€{[]}\\~|"  # AltGr with q, e, 7, 8, 9, 0, ß, +, <
FOCUS_IN: Final = b"\x1b[I"
WINDOW_S: Final = 10.0
TYPED_S: Final = 8.0
LEVEL_3: Final = "altgr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The window that takes the keys."""

    subject: Subject
    folder: str
    token: str  # what it shows, for the clipboard

    def typed(self) -> bytes:
        return self.subject.run("cat", f"{self.folder}/keys").stdout

    def size(self) -> str:
        return self.subject.output("cat", f"{self.folder}/ready")


def _is_tightvnc(subject: Subject) -> bool:
    return any(tool.name == "tightvnc" for tool in subject.resolved.tools)


@contextmanager
def open_terminal(subject: Subject) -> Iterator[Terminal]:
    """A terminal on the workstation's display that has the focus. Raises CheckFailure when it does not come."""
    token = f"devbox-{secrets.token_hex(6)}"
    folder = subject.output("mktemp", "-d", "/tmp/devbox-verify.XXXXXX").strip()  # noqa: S108  # inside, by mktemp
    terminal = Terminal(subject=subject, folder=folder, token=token)
    program = Path(__file__).with_name("terminal_reader.py").read_bytes()
    try:
        subject.run("sh", "-c", 'cat > "$1/reader.py"', "sh", folder, stdin=program)
        _spawn(subject, ["python3", f"{folder}/reader.py", folder, token], folder)
        _await(terminal, "a terminal window", lambda: subject.run("test", "-e", f"{folder}/ready").code == 0)
        _await(terminal, "the focus on the new terminal window", lambda: FOCUS_IN in terminal.typed())
        yield terminal
    finally:
        script = 'read -r pid 2>/dev/null <"$1/pid" && kill "$pid"; rm -rf "$1"'
        subject.run("sh", "-c", script, "sh", folder)


def _spawn(subject: Subject, argv: list[str], folder: str) -> None:
    """As a click would: in the background, with the session's environment, the window's words kept for a failure."""
    script = 'd=$1; shift; setsid xfce4-terminal --disable-server -x "$@" >"$d/log" 2>&1 </dev/null &'
    subject.run("sh", "-c", script, "sh", folder, *argv, patience_s=WINDOW_S)


def _await(terminal: Terminal, what: str, look: Callable[[], bool]) -> None:
    try:
        wait_for(what, lambda: True if look() else None, deadline_s=WINDOW_S, interval_s=0.1)
    except NotReadyError as error:
        said = terminal.subject.run("cat", f"{terminal.folder}/log").stdout.decode(errors="replace").strip()
        look_at = "devbox screenshot picture.png; devbox logs xfwm4"
        raise CheckFailure(f"{what} within {WINDOW_S:g} s", said[-300:] or "nothing", look_at) from error


def _expect_typed(terminal: Terminal, text: str, before: int) -> None:
    """Wait until exactly `text` has arrived behind the first `before` bytes."""
    wanted = text.encode()

    def look() -> bytes | None:
        typed = terminal.typed()[before:]
        return typed if len(typed) >= len(wanted) else None

    try:
        typed = wait_for("the typed text", look, deadline_s=TYPED_S, interval_s=0.1)
    except NotReadyError:
        typed = terminal.typed()[before:]
    if typed != wanted:
        raise CheckFailure(repr(text), repr(typed.decode(errors="replace")), "type it in the web desktop yourself")


def _type(subject: Subject, text: str) -> None:
    with open_terminal(subject) as terminal, subject.login() as client:
        before = len(terminal.typed())
        client.hands.type_text(text)
        client.picture(TYPED_S)  # the server has taken all keys when it answers what came behind them
        _expect_typed(terminal, text, before)


@case("desktop.typing-ascii", "ASCII typed over VNC arrives in a terminal", lane=Lane.SCREEN, door="vnc")
def typing_ascii(subject: Subject) -> None:
    _type(subject, ASCII)


@case("desktop.typing-unicode", "a Unicode pangram typed over VNC arrives", lane=Lane.SCREEN, door="vnc")
def typing_unicode(subject: Subject) -> str | None:
    if _is_tightvnc(subject):
        _type(subject, UNICODE.lower())
        return "small letters: TightVNC knows no capitals beyond Latin-1"
    _type(subject, UNICODE)
    return None


@case("desktop.typing-layout", "a German keyboard's third level typed over VNC arrives", lane=Lane.SCREEN, door="vnc")
def typing_layout(subject: Subject) -> None:
    """A viewer on a German keyboard sends AltGr and the character it makes; the server's own layout is another one."""
    with open_terminal(subject) as terminal, subject.login() as client:
        before = len(terminal.typed())
        for character in GERMAN_LEVEL_3:
            client.hands.key(LEVEL_3, down=True)
            client.hands.key(character, down=True)
            client.hands.key(character, down=False)
            client.hands.key(LEVEL_3, down=False)
        client.picture(TYPED_S)
        _expect_typed(terminal, GERMAN_LEVEL_3, before)


@case("desktop.terminal", "a terminal opens and gets the focus", lane=Lane.SCREEN, door="vnc")
def terminal_opens(subject: Subject) -> str:
    with open_terminal(subject) as terminal:
        size = terminal.size()
    columns, _, lines = size.partition("x")
    if int(columns) < 40 or int(lines) < 10:
        raise CheckFailure("a terminal of a usable size", size, "devbox screenshot picture.png")
    return size


def _need_clipboard(subject: Subject) -> None:
    if _is_tightvnc(subject):
        raise Skipped(
            "TightVNC has only X's old cut buffer, which XFCE does not use; `desktop.server: tigervnc` has both"
        )


@case("desktop.clipboard-in", "text copied here can be pasted there", lane=Lane.SCREEN, door="vnc")
def clipboard_in(subject: Subject) -> None:
    _need_clipboard(subject)
    text = f"in-{secrets.token_hex(4)}"
    with open_terminal(subject) as terminal, subject.login() as client:
        before = len(terminal.typed())
        client.picture(TYPED_S)  # by now the server has told what its clipboard can do
        client.set_clipboard(text)
        client.picture(TYPED_S)
        client.hands.press("ctrl+shift+V")
        _serve_until(client, terminal, before, len(text))
        _expect_typed(terminal, text, before)


def _serve_until(client: VncClient, terminal: Terminal, before: int, count: int) -> None:
    """Answer the server, which may ask for the clipboard only when it is pasted, until the text is there or late."""

    def look() -> bool | None:
        client.next_update(0.1)
        return True if len(terminal.typed()) >= before + count else None

    try:
        wait_for("the pasted text", look, deadline_s=TYPED_S, interval_s=0.05)
    except NotReadyError:
        return  # what arrived, if anything, is judged next


@case("desktop.clipboard-out", "text copied there arrives here", lane=Lane.SCREEN, door="vnc")
def clipboard_out(subject: Subject) -> None:
    _need_clipboard(subject)
    with open_terminal(subject) as terminal, subject.login() as client:
        client.picture(TYPED_S)
        client.hands.press("ctrl+shift+A")
        client.hands.press("ctrl+shift+C")
        try:
            client.wait_clipboard(TYPED_S, lambda text: terminal.token in text)
        except VncTimeoutError as error:
            raise CheckFailure(f"a clipboard with {terminal.token}", error.message, "devbox logs xvnc") from error


@case("desktop.resize", "the screen takes another size and its own one again", lane=Lane.SCREEN, door="vnc")
def resize(subject: Subject) -> str:
    if _is_tightvnc(subject):
        raise Skipped("TightVNC cannot resize its screen; `desktop.server: tigervnc` can")
    with subject.login() as client:
        client.picture(TYPED_S)
        before = client.size
        wanted = (before[0] - 160, before[1] - 120)
        try:
            client.resize(*wanted)
        except ResizeRefusedError as error:
            raise CheckFailure(f"a screen of {wanted[0]}x{wanted[1]}", error.message, "devbox logs xvnc") from error
        try:
            picture = client.picture(TYPED_S)
        finally:
            client.resize(*before)
        found = (picture.width, picture.height)
        if found != wanted:
            raise CheckFailure(f"{wanted[0]}x{wanted[1]}", f"{found[0]}x{found[1]}", "devbox logs xvnc")
        return f"{before[0]}x{before[1]} -> {wanted[0]}x{wanted[1]} and back"


CASES = (terminal_opens, typing_ascii, typing_unicode, typing_layout, clipboard_in, clipboard_out, resize)
