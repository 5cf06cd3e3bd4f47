"""An exposed workstation from outside: a second loopback address stands for the network. In a real browser, too."""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Error, Page, sync_playwright

from builder.adapters.web import WebPlace, ask
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.pictures import assert_desktop
from tests.engine.test_browser import CANVAS, CHROMIUM, QUIET, SIZE, canvas_picture, submit, visit, wait_for_canvas

OUTSIDE = "127.0.0.2"


@pytest.fixture(scope="module")
def exposed(session_workstations: NewWorkstation) -> Iterator[Workstation]:
    workstation = session_workstations("exposed", f"expose: {OUTSIDE}\n")
    workstation.up()
    yield workstation
    workstation.take_away()


def trusting(workstation: Workstation) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(workstation.status()["trust"]))


def log_in(place: WebPlace, password: str) -> int:
    body = urlencode({"password": password}).encode()
    return ask(place, "POST", "/login", headers={"Origin": place.origin}, body=body).status


def test_every_door_of_an_exposed_workstation_keeps_its_promise(exposed: Workstation) -> None:
    exposed.ok("verify", "--only", "ports,doors")


def test_a_browser_that_trusts_nothing_of_ours_is_warned(exposed: Workstation) -> None:
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET) as browser:
        page = browser.new_page()
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            visit(page, exposed.ok("open", "--print").strip())


@pytest.fixture
def page(exposed: Workstation) -> Iterator[Page]:
    """A browser that trusts this workstation's key and no other; nothing of the page goes anywhere else."""
    certificate = x509.load_pem_x509_certificate((exposed.secrets() / "tls.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    arguments = [*QUIET, f"--ignore-certificate-errors-spki-list={pin}"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=arguments) as chrome,
    ):
        page = chrome.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        asked: set[str] = set()
        wrong: list[str] = []
        page.on("request", lambda request: asked.add(request.url))
        page.on("websocket", lambda socket: asked.add(socket.url.replace("wss:", "https:")))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        home = exposed.ok("open", "--print").strip()
        assert wrong == []
        assert [url for url in asked if not url.startswith((home, "data:"))] == []


def test_a_person_logs_in_once_sees_the_desktop_and_logs_out(exposed: Workstation, page: Page) -> None:
    home = exposed.ok("open", "--print").strip()
    assert home.startswith(f"https://{OUTSIDE}:")
    visit(page, f"{home}?host=elsewhere.invalid&port=1&path=other&encrypt=0&password=guessed")
    assert page.url == f"{home}login"
    page.locator("#password").fill("guessed")
    submit(page, "Log in")
    page.get_by_role("alert").filter(has_text="wrong").wait_for()

    password = exposed.ok("password", "web").strip()
    page.locator("#password").fill(password)
    submit(page, "Log in")
    page.locator(CANVAS).wait_for(state="visible")  # and no VNC password was asked for
    wait_for_canvas(page)
    assert page.url == home
    with exposed.login_vnc() as client:
        client.settle(0.5, 20, tolerance=0.002)
    assert_desktop(canvas_picture(page))
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie, history.state])")
    assert kept == '[{},{},"",null]'
    if folder := os.environ.get("DEVBOX_TEST_PICTURES"):
        page.screenshot(path=str(Path(folder) / "exposed.png"))

    page.locator("#tools").hover()
    submit(page, "Log out")
    page.locator("#password").wait_for(state="visible")
    visit(page, home)
    assert page.url == f"{home}login"


def test_new_passwords_are_taken_over_and_one_of_the_web_ends_all_sessions(exposed: Workstation) -> None:
    host, _, port = exposed.ok("open", "--print").strip().removeprefix("https://").rstrip("/").partition(":")
    place = WebPlace(host=host, port=int(port), tls=trusting(exposed), name=host)
    before = exposed.ok("password", "web").strip()
    session = ask(place, "POST", "/login", body=urlencode({"password": before}).encode()).header("set-cookie")
    inside = {"Cookie": session.partition(";")[0]}
    vnc = exposed.ok("password", "--new").strip()
    assert vnc in ask(place, "GET", "/session", headers=inside).body.decode()

    after = exposed.ok("password", "web", "--new").strip()
    assert after != before
    assert len(after) == 20
    assert ask(place, "GET", "/session", headers=inside).status == 401
    assert (log_in(place, before), log_in(place, after)) == (403, 303)


def test_its_certificate_and_password_are_kept_by_the_next_up(exposed: Workstation) -> None:
    before = (exposed.secrets() / "tls.pem").read_bytes(), exposed.ok("password", "web")
    assert "nothing to do" in exposed.up().stdout
    exposed.write(f"# the same in other words\nexpose: {{address: {OUTSIDE}}}\n")
    assert "nothing to do" in exposed.up().stdout
    assert before == ((exposed.secrets() / "tls.pem").read_bytes(), exposed.ok("password", "web"))
