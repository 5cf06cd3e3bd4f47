"""A person at the desktop, through VNC: logs in, types, copies and pastes, changes the size of the window."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.rfb import PACKED, LoginRefusedError, SecurityType, VncClient, ask_tight, connect, security_types
from tests.engine.conftest import SHELL_RUNS, TERMINAL_ENDS, Workstation
from tests.engine.pictures import assert_desktop

PANGRAM = 'The quick brown fox jumps over 13 lazy dogs; VEXED! {[(<~#$%&*+=?^_|/\\@`-">)]}'
PANGRAMS = {
    "polish": "Pchnąć w tę łódź jeża lub ośm skrzyń fig",
    "german": "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg",
    "greek": "Ταχίστη αλώπηξ βαφής ψημένη γη, δρασκελίζει υπέρ νωθρού κυνός",
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "japanese": "いろはにほへと ちりぬるを",
    "money and maths": "€ £ ¥ ∑ √ ≠ “quoted” … ½",
}


@contextmanager
def open_terminal(shared: Workstation) -> Iterator[VncClient]:
    """A session with a terminal that listens; closed by the keyboard at the end."""
    with shared.login_vnc() as client:
        client.settle(0.3, 20, tolerance=0.002)
        client.hands.press("ctrl+alt+t")
        try:
            shared.wait_inside("a shell in a terminal", SHELL_RUNS)
            client.settle(0.5, 20, tolerance=0.002)
            yield client
        finally:
            shared.wait_inside("the terminal's end", TERMINAL_ENDS)


@pytest.fixture
def file(shared: Workstation) -> Iterator[str]:
    """A file inside that nothing wrote before."""
    name = f"/tmp/test-{uuid.uuid4().hex[:8]}"
    yield name
    shared.inside("rm", "-f", name)


def start_cat(shared: Workstation, client: VncClient, file: str) -> None:
    """Have what is typed from now on written to `file`. What comes while zsh still edits its line is not for cat:
    the kernel would take a ctrl+d of that time as a character like any other.
    """
    client.hands.type_text(f"cat > {file}\n")
    shared.wait_inside("cat to listen", "pgrep -x cat")


def content(shared: Workstation, file: str) -> str:
    """What was written into `file`, once nobody writes to it any more."""
    return shared.wait_inside(f"{file} to be written", f"! pgrep -x cat && test -s {file} && cat {file}").rstrip("\n")


@pytest.mark.parametrize("encodings", [PACKED, ask_tight(), ask_tight(compression=0)], ids=["ZRLE", "Tight", "stored"])
def test_what_comes_packed_without_loss_is_the_raw_picture(shared: Workstation, encodings: Sequence[int]) -> None:
    port, password = shared.port("vnc"), shared.password()
    with shared.login_vnc() as raw, connect("127.0.0.1", port).login(password, encodings=encodings) as packed:

        def is_same() -> bool | None:
            """A clock may tick between the two."""
            return raw.picture().difference(packed.picture()) == 0 or None

        wait_for("two pictures that are the same", is_same, deadline_s=20, interval_s=0.2)


# ------------------------------------------------------------------------------------------------------- login


def test_only_the_password_of_the_workstation_logs_in(shared: Workstation) -> None:
    port, password = shared.port("vnc"), shared.password()

    assert security_types("127.0.0.1", port) == (SecurityType.VNC_AUTH,)
    with connect("127.0.0.1", port).login(password) as client:
        assert client.size == (1920, 1080)
        assert client.name.startswith("shared")
    for wrong in ("wrong", "", password.swapcase(), password[:-1], None):
        with pytest.raises(LoginRefusedError):
            connect("127.0.0.1", port).login(wrong)


def test_no_login_without_authentication_even_if_the_client_insists(shared: Workstation) -> None:
    with pytest.raises(LoginRefusedError):
        connect("127.0.0.1", shared.port("vnc")).login(None, force=SecurityType.NONE)


def test_wrong_guesses_lock_nobody_out(shared: Workstation) -> None:
    for _ in range(12):
        with pytest.raises(LoginRefusedError):
            connect("127.0.0.1", shared.port("vnc")).login("guess")
    with shared.login_vnc() as client:
        assert client.size == (1920, 1080)


def test_a_new_password_takes_over_at_once_and_open_sessions_stay(shared: Workstation) -> None:
    old = shared.password()
    with shared.login_vnc() as before:
        new = shared.ok("password", "--new").strip()

        assert new != old
        assert shared.password() == new
        with pytest.raises(LoginRefusedError):
            connect("127.0.0.1", shared.port("vnc")).login(old)
        with connect("127.0.0.1", shared.port("vnc")).login(new) as after:
            assert after.size == before.size
        assert not before.picture().is_one_colour()


# -------------------------------------------------------------------------------------------------- the screen


def test_desktop_has_a_panel_and_a_wallpaper(shared: Workstation) -> None:
    with shared.login_vnc() as client:
        assert_desktop(client.settle(0.5, 20, tolerance=0.002))


def test_size_follows_the_client(shared: Workstation) -> None:
    with shared.login_vnc() as client:
        assert_desktop(client.settle(0.3, 20, tolerance=0.002))
        for width, height in ((1280, 720), (2560, 1440), (1920, 1080)):
            client.resize(width, height)
            assert client.size == (width, height)
            assert_desktop(client.settle(0.8, 20, tolerance=0.002))


def test_launcher_in_the_panel_opens_a_terminal(shared: Workstation) -> None:
    with shared.login_vnc() as client:
        before = client.settle(0.5, 20, tolerance=0.002)
        # The first launcher stands right of the menu, whose width depends on the font.
        client.hands.click(128, 14)
        try:
            client.wait_picture(lambda now: now.difference(before) > 0.05, 20, what="a window")
            shared.wait_inside("a shell in a terminal", SHELL_RUNS)
        finally:
            shared.wait_inside("the terminal's end", TERMINAL_ENDS)


# -------------------------------------------------------------------------------------------- keys and clipboard


def test_typed_command_runs_in_the_workstation(shared: Workstation, file: str) -> None:
    with open_terminal(shared) as client:
        client.hands.type_text(f"print -r -- {shlex.quote(PANGRAM)} > {file}\n")
        assert content(shared, file) == PANGRAM


def test_terminal_is_the_login_users_zsh(shared: Workstation, file: str) -> None:
    with open_terminal(shared) as client:
        client.hands.type_text(f"print -r -- $USER $SHELL ${{DISPLAY%.0}} $options[interactive] $PWD > {file}\n")
        assert content(shared, file) == "dev /bin/zsh :1 on /home/dev"


@pytest.mark.parametrize("text", PANGRAMS.values(), ids=PANGRAMS.keys())
def test_typed_unicode_arrives(shared: Workstation, file: str, text: str) -> None:
    with open_terminal(shared) as client:
        start_cat(shared, client, file)
        client.hands.type_text(f"{text}\n")
        client.hands.press("ctrl+d")
        assert content(shared, file) == text


def test_clipboard_of_the_client_is_pasted(shared: Workstation, file: str) -> None:
    text = f"{uuid.uuid4().hex} {PANGRAMS['polish']} {PANGRAMS['japanese']}"
    with open_terminal(shared) as client:
        client.set_clipboard(text)
        start_cat(shared, client, file)
        client.hands.press("ctrl+shift+v")
        client.settle(0.3, 10, tolerance=0.002)  # pasting asks for the text first; the newline must not overtake it
        client.hands.type_text("\n")
        client.settle(0.3, 10, tolerance=0.002)
        client.hands.press("ctrl+d")
        assert content(shared, file) == text


def test_text_copied_on_the_desktop_reaches_the_client(shared: Workstation) -> None:
    mark = uuid.uuid4().hex
    with open_terminal(shared) as client:
        client.hands.type_text(f"clear; print -r -- {mark} '{PANGRAMS['greek']}'\n")
        client.settle(0.5, 10, tolerance=0.002)
        client.hands.press("ctrl+shift+a")
        client.hands.press("ctrl+shift+c")
        copied = client.wait_clipboard(10, lambda text: mark in text)
        assert f"{mark} {PANGRAMS['greek']}" in copied
