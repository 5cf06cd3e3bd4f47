"""The desktop in a real browser: noVNC in a headless Chromium."""

from __future__ import annotations

import base64
import io
import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from builder.adapters.clock import wait_for
from builder.adapters.rfb import Picture
from tests.engine.conftest import SHELL_RUNS, TERMINAL_ENDS, Workstation
from tests.engine.pictures import assert_desktop
from tests.engine.test_desktop import content, open_terminal, start_cat

CHROMIUM = "/usr/bin/chromium"  # Debian's; `make test` installs it
QUIET = [
    "--no-sandbox",  # the tests run as root in CI
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
CHANGED = "ERR_NETWORK_CHANGED"
SIZE = (1280, 800)
CANVAS = "#screen canvas"
VISIBLE = 24  # of 255 steps of brightness


def visit(page: Page, url: str) -> None:
    """Chromium gives up a page, or a script that it loads, while a network of this machine comes or goes, as those of
    other tests do."""
    cut: list[str] = []
    page.on("requestfailed", lambda request: cut.append(request.url) if CHANGED in (request.failure or "") else None)
    for _ in range(5):
        cut.clear()
        if go(page, lambda: page.goto(url)) and not cut:
            return
    page.goto(url)


def submit(page: Page, button: str) -> None:
    """Press the button of a form that leads to another page; what was given up (see `visit`), a reload sends again."""
    act: Callable[[], object] = page.get_by_role("button", name=button).click
    for _ in range(5):
        if go(page, act):
            return
        act = page.reload
    act()


def go(page: Page, act: Callable[[], object]) -> bool:
    """Whether the page came to which `act` leads; else the browser's own, of an error, is there in its place."""
    try:
        with page.expect_navigation():
            act()
    except Error as error:
        if CHANGED not in error.message:
            raise
        page.wait_for_url("chrome-error://**")
        return False
    return True


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, shared: Workstation) -> Iterator[Page]:
    """The page of the shared workstation, asking for its password; nothing may go wrong on its console."""
    context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]})
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if _is_fault(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    visit(page, shared.ok("open", "web", "--print").strip())
    page.locator("#password").wait_for(state="visible")
    yield page
    context.close()
    with shared.login_vnc() as client:
        client.resize(1920, 1080)
    assert wrong == []


def _is_fault(message: ConsoleMessage) -> bool:
    """noVNC itself writes of a wrong password, and Chromium of a network that changed: no faults of the page."""
    return message.type == "error" and not any(word in message.text for word in ("Authentication failure", CHANGED))


def log_in(page: Page, password: str) -> None:
    page.locator("#password").fill(password)
    page.get_by_role("button", name="Connect").click()


def wait_for_canvas(page: Page) -> None:
    """Until the session has the size of the window. Asked from outside: the page's policy forbids eval."""
    probe = f"document.querySelector('{CANVAS}')?.width ?? 0"
    wait_for("the canvas", lambda: page.evaluate(probe) == SIZE[0] or None, deadline_s=20, interval_s=0.1)


def canvas_picture(page: Page) -> Picture:
    """What is on noVNC's canvas, pixel by pixel."""
    address = page.evaluate(f"document.querySelector('{CANVAS}').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return Picture(width=image.width, height=image.height, rgb=image.convert("RGB").tobytes())


def press_keys(page: Page, text: str) -> None:
    """Keys of another keyboard's layout; `keyboard.type` would insert such characters without pressing a key."""
    devtools = page.context.new_cdp_session(page)
    for character in text:
        for kind in ("keyDown", "keyUp"):
            devtools.send("Input.dispatchKeyEvent", {"type": kind, "key": character, "code": "Quote"})


def unlike(one: Picture, other: Picture) -> float:
    """Share of the pixels that look different: noVNC asks for JPEG, which changes most of them by a little."""
    images = [Image.frombytes("RGB", (picture.width, picture.height), picture.rgb) for picture in (one, other)]
    brightness = ImageChops.difference(*images).convert("L").histogram()
    return sum(brightness[VISIBLE:]) / (one.width * one.height)


def test_browser_shows_the_same_desktop_as_vnc(page: Page, shared: Workstation) -> None:
    log_in(page, shared.password())
    wait_for_canvas(page)

    with shared.login_vnc() as client:

        def shown() -> tuple[Picture, Picture] | None:
            vnc = client.settle(0.5, 20, tolerance=0.002)
            canvas = canvas_picture(page)
            return (
                (vnc, canvas)
                if (vnc.width, vnc.height) == (canvas.width, canvas.height) == SIZE and unlike(canvas, vnc) < 0.002
                else None
            )

        vnc, canvas = wait_for("the picture of VNC in the browser", shown, deadline_s=20, interval_s=0.2)
    assert (canvas.width, canvas.height) == SIZE  # the session took the size of the window
    assert_desktop(canvas)
    assert_desktop(vnc)
    assert not page.locator("#login").is_visible()
    if folder := os.environ.get("DEVBOX_TEST_PICTURES"):
        page.screenshot(path=str(Path(folder) / "browser.png"))


@pytest.mark.parametrize("part", ["viewer.js", "rfb.js", "viewer.css"])
def test_a_page_without_one_of_its_parts_loads_again(part: str, browser: Browser, shared: Workstation) -> None:
    with browser.new_page() as page:
        page.route(f"**/{part}", lambda route: route.abort("failed"), times=1)
        with page.expect_response(f"**/{part}"):  # the first has none
            visit(page, shared.ok("open", "web", "--print").strip())
        log_in(page, shared.password())
        page.locator(CANVAS).wait_for(state="visible")


def test_password_is_neither_in_the_address_nor_in_storage(page: Page, shared: Workstation) -> None:
    password = shared.password()
    log_in(page, password)
    page.locator("#login").wait_for(state="hidden")
    page.locator(CANVAS).wait_for(state="visible")

    assert password not in page.url
    assert page.url == shared.ok("open", "web", "--print").strip()
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie, history.state])")
    assert password not in kept


def test_what_the_address_says_behind_a_question_mark_does_nothing(page: Page, shared: Workstation) -> None:
    """noVNC's own page would take host, port, path and password from there."""
    reached: list[str] = []
    page.on("websocket", lambda socket: reached.append(socket.url))
    page.goto(
        f"{page.url}?host=elsewhere.invalid&port=1&path=other&encrypt=1&password={shared.password()}&autoconnect=1"
    )
    page.locator("#password").wait_for(state="visible")
    assert page.locator("#password").input_value() == ""
    port = shared.port("web")
    assert reached == [f"ws://127.0.0.1:{port}/websockify"]


def test_wrong_password_is_told_and_the_right_one_can_follow(page: Page, shared: Workstation) -> None:
    log_in(page, "wrong")
    page.get_by_role("alert").filter(has_text=re.compile("refused|wrong", re.IGNORECASE)).wait_for(state="visible")
    assert page.locator("#password").is_visible()
    assert page.locator("#password").input_value() == ""

    log_in(page, shared.password())
    page.locator("#login").wait_for(state="hidden")
    page.locator(CANVAS).wait_for(state="visible")


def test_what_is_typed_in_the_browser_arrives(page: Page, shared: Workstation) -> None:
    log_in(page, shared.password())
    page.locator("#login").wait_for(state="hidden")
    wait_for_canvas(page)
    page.locator(CANVAS).focus()
    page.keyboard.press("Control+Alt+t")
    try:
        shared.wait_inside("a shell in a terminal", SHELL_RUNS)
        with shared.login_vnc() as client:
            client.settle(0.5, 20, tolerance=0.002)
        page.keyboard.type("print -r -- 'Typed in the browser: ")
        press_keys(page, "ÄÖÜ")
        page.keyboard.type("' > /tmp/browser\n")
        written = shared.wait_inside("the file", "test -s /tmp/browser && cat /tmp/browser")
    finally:
        shared.wait_inside("the terminal's end", TERMINAL_ENDS)

    assert written == "Typed in the browser: ÄÖÜ\n"


def test_clipboard_goes_both_ways_in_any_script(page: Page, shared: Workstation) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    log_in(page, shared.password())
    page.locator("#login").wait_for(state="hidden")
    wait_for_canvas(page)
    here = f"{uuid.uuid4().hex} Pchnąć Съешь いろは €"
    there = f"{uuid.uuid4().hex} Ταχίστη 漢字 한글"
    page.evaluate("text => navigator.clipboard.writeText(text)", here)
    page.evaluate("window.dispatchEvent(new Event('focus'))")  # as when a person comes back from another window
    with open_terminal(shared) as client:
        start_cat(shared, client, "/tmp/pasted")
        client.hands.press("ctrl+shift+v")
        client.settle(0.3, 10, tolerance=0.002)
        client.hands.type_text("\n")
        client.hands.press("ctrl+d")
        pasted = content(shared, "/tmp/pasted")
        client.hands.type_text(f"clear; print -r -- '{there}'\n")
        client.settle(0.5, 10, tolerance=0.002)
        client.hands.press("ctrl+shift+a")
        client.hands.press("ctrl+shift+c")
        read = "navigator.clipboard.readText()"
        copied = wait_for(
            "the clipboard of the browser",
            lambda: text if there in (text := str(page.evaluate(read))) else None,
            deadline_s=10,
            interval_s=0.1,
        )
    assert pasted == here
    assert copied in page.locator("#clipboard-text").input_value()
