"""A desktop through the tunnel while the connection breaks: what a person sees, and finds again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from builder.adapters.clock import monotonic, wait_for
from builder.adapters.engine.client import Engine
from builder.adapters.ports import next_free
from builder.adapters.remote.address import parse_address
from builder.adapters.remote.client import Talk, TunnelClient, open_tunnel, stop_tunnel
from builder.adapters.rfb import ConnectionLostError, VncClient, connect
from tests.engine.conftest import SHELL_RUNS, TERMINAL_ENDS, Workstation
from tests.engine.ssh_host import Borrowing, SshHost, ssh_host
from tests.engine.test_browser import CANVAS, CHROMIUM, QUIET, SIZE, canvas_picture, log_in, unlike, visit
from tests.engine.test_browser import wait_for_canvas as await_size

HERE = "127.0.0.1"
BACK_S = 40.0  # the page's own pauses, and those of the tunnel
NOTICED_S = 10.0  # its keep-alive is a second, and three may be missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A tunnel to a machine from which the shared workstation is reached, and a port here for each door."""

    machine: SshHost
    tunnel: TunnelClient
    doors: Mapping[str, int]

    def state(self) -> str:
        return str(self.tunnel.ask("status")["state"])

    def hang_up(self) -> None:
        self.machine.cut()

    def pull_the_cable(self) -> None:
        self.machine.link("down")
        wait_for(
            "the tunnel to notice",
            lambda: True if self.state() == "connecting" else None,
            deadline_s=NOTICED_S,
            interval_s=0.1,
        )

    def mend(self) -> None:
        self.machine.link("up")


@pytest.fixture(scope="module")
def line(
    tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str], engine: Engine, shared: Workstation
) -> Iterator[Line]:
    with ssh_host(tmp_path_factory.mktemp("s") / "h", Borrowing) as machine:
        nobody = Talk(tell=lambda _: None, ask=lambda _text, _secret: None)
        tunnel = open_tunnel(parse_address(machine.url, where="test"), {**environment, **machine.person()}, nobody)
        networks = engine.inspect(shared.container(engine).id)["NetworkSettings"]["Networks"]
        address = next(iter(networks.values()))["IPAddress"]
        doors: dict[str, int] = {}
        for name, inside in (("web", 6080), ("vnc", 5901)):
            doors[name] = next_free(HERE, 16080 + len(doors))
            assert tunnel.forward(HERE, doors[name], inside, host=address)
        yield Line(machine=machine, tunnel=tunnel, doors=doors)
        stop_tunnel(tunnel)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, line: Line, shared: Workstation) -> Iterator[Page]:
    """The desktop, with a terminal open on it."""
    context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]})
    page = context.new_page()
    visit(page, f"http://{HERE}:{line.doors['web']}/")
    log_in(page, shared.password())
    await_size(page)
    page.locator(CANVAS).focus()
    page.keyboard.press("Control+Alt+t")
    shared.wait_inside("a shell in a terminal", SHELL_RUNS)
    yield page
    shared.wait_inside("the terminal's end", TERMINAL_ENDS)
    context.close()
    with shared.login_vnc() as client:
        client.resize(1920, 1080)


def type_line(page: Page, shared: Workstation, text: str, file: str) -> str:
    page.keyboard.type(f"print -r -- {text} $$ >{file}\n")
    return shared.wait_inside(file, f"test -s {file} && cat {file} && rm {file}")


@pytest.mark.parametrize("cut", [pytest.param(Line.hang_up, marks=pytest.mark.long), Line.pull_the_cable])
def test_the_web_page_shows_the_same_session_again_without_a_hand(
    page: Page, line: Line, shared: Workstation, cut: Callable[[Line], None]
) -> None:
    with shared.login_vnc() as client:
        client.settle(0.5, 20, tolerance=0.002)
    words, shell = type_line(page, shared, "before", "/tmp/before").split()
    before = canvas_picture(page)
    try:
        cut(line)
        page.get_by_text("The connection is lost").wait_for(state="visible", timeout=1000 * NOTICED_S)
    finally:
        line.mend()
    page.get_by_text("The connection is lost").wait_for(state="hidden", timeout=1000 * BACK_S)
    await_size(page)
    wait_for(
        "the picture of before",
        lambda: True if unlike(canvas_picture(page), before) < 0.01 else None,
        deadline_s=20,
        interval_s=0.2,
    )
    assert not page.locator("#login").is_visible()
    assert type_line(page, shared, "after", "/tmp/after").split() == ["after", shell]
    assert words == "before"


@pytest.mark.parametrize("cut", [Line.hang_up, Line.pull_the_cable])
def test_a_viewer_is_told_that_the_connection_is_lost_and_can_connect_again(
    line: Line, shared: Workstation, cut: Callable[[Line], None]
) -> None:
    def log_in_again() -> VncClient:
        return connect(HERE, line.doors["vnc"], timeout=BACK_S).login(shared.password())

    with log_in_again() as client:
        client.settle(0.3, 20, tolerance=0.002)
        began = monotonic()
        try:
            cut(line)
            with pytest.raises(ConnectionLostError, match="the VNC connection is gone"):
                list(client.updates(2 * NOTICED_S))
        finally:
            line.mend()
        assert monotonic() - began < NOTICED_S
    with log_in_again() as client:
        client.settle(0.3, 20, tolerance=0.002)


def test_a_connection_that_is_made_while_the_line_is_down_waits_for_it(line: Line) -> None:
    try:
        line.pull_the_cable()
        with socket.create_connection((HERE, line.doors["vnc"]), 5) as wire:
            wire.settimeout(BACK_S)
            line.mend()
            assert wire.recv(4) == b"RFB "
    finally:
        line.mend()
