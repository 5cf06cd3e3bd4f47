"""What a person chooses for hands and eyes: keyboard, scale, language, fonts, a browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.corporate import Authority

PANEL = 30  # rows
# Succeeds when the browser asks a server inside for what xdg-open was told.
LINK = """
folder=$(mktemp -d)
(cd "$folder" && exec python3 -m http.server --bind 127.0.0.1 8123 >log 2>&1) &
server=$!
timeout 30 sh -c 'until curl -fso /dev/null http://127.0.0.1:8123/; do sleep 0.1; done'
xdg-open http://127.0.0.1:8123/the-link >/dev/null 2>&1 &
timeout 40 sh -c 'until grep -q the-link "$0/log"; do sleep 0.2; done' "$folder"
found=$?
kill "$server"
pkill -x firefox-esr
exit "$found"
"""

# Succeeds when the browser, too, trusts a server whose authority only the system was told of.
TRUST = """
sudo cp /tmp/company.pem /usr/local/share/ca-certificates/company.crt
sudo update-ca-certificates >/dev/null
folder=$(mktemp -d)
(cd "$folder" && exec python3 -c '
import http.server, ssl
server = http.server.HTTPServer(("127.0.0.1", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()' >log 2>&1) &
server=$!
timeout 30 sh -c 'until curl -fso /dev/null https://127.0.0.1:8443/; do sleep 0.1; done'
timeout 60 firefox-esr --headless --profile "$(mktemp -d)" --screenshot /tmp/page.png https://127.0.0.1:8443/the-page
grep the-page "$folder/log"
found=$?
kill "$server"
exit "$found"
"""


def failed(workstation: Workstation) -> list[str]:
    """The ids of the checks of the group `desktop` that fail."""
    report = json.loads(workstation.run("verify", "--only", "desktop", "--json").stdout)
    return [item["id"] for item in report["results"] if item["verdict"] == "failed"]


def test_scale_and_keyboard_need_no_image_of_their_own(
    new_workstation: NewWorkstation, shared: Workstation, engine: Engine
) -> None:
    workstation = new_workstation("chosen", "desktop: {scale: 2, keyboard: de(nodeadkeys)}\n")

    workstation.up()

    assert workstation.container(engine).image_id == shared.container(engine).image_id
    told = workstation.inside("setxkbmap", "-query")
    assert [line.split() for line in told.splitlines()][-2:] == [["layout:", "de"], ["variant:", "nodeadkeys"]]
    with workstation.login_vnc() as client:
        picture = client.settle(0.5, 20, tolerance=0.002)
    assert picture.colours(200) > 20
    middle = picture.width * 2 // 3  # between the task list and the clock the panel is bare
    bare = picture.pixel(middle, PANEL // 2)
    assert bare == picture.pixel(middle, 2 * PANEL - 3)  # it is twice as high
    assert bare != picture.pixel(middle, 2 * PANEL + 3)


def test_a_keyboard_layout_that_is_not_there_is_told_and_the_desktop_stays(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("unknown-keyboard", "desktop: {keyboard: xx}\n")

    done = workstation.up()

    assert "the keyboard layout xx is not there: it stays us" in done.stderr
    assert "layout:     us" in workstation.inside("setxkbmap", "-query")


@pytest.mark.long
@pytest.mark.parametrize("level", ["dev", "locked"])
def test_browser_language_and_fonts_are_there_and_the_sandbox_is_on(
    new_workstation: NewWorkstation, level: str, tmp_path: Path
) -> None:
    chosen = f"base: debian-12\ntools: [browser, fonts-cjk]\napt: x11-utils\nlocale: de_DE.UTF-8\nsecurity: {level}\n"
    chosen += "desktop: {keyboard: de, dpi: 110}\n"
    workstation = new_workstation("browsing", chosen)

    workstation.up()

    workstation.ok("verify", "--only", "desktop,tooling,promises")
    assert workstation.inside("date", "-d", "2026-03-04", "+%A %d. %B") == "Mittwoch 04. März\n"
    assert "resolution:    110x110 dots per inch" in workstation.inside("xdpyinfo")
    workstation.inside("sh", "-c", LINK)
    if level == "dev":  # at the other one nobody inside may change what is trusted
        company = Authority(tmp_path)
        company.context("127.0.0.1")
        for file, name in ((company.bundle, "company"), (tmp_path / "127.0.0.1.pem", "server")):
            workstation.ok("exec", "--", "sh", "-c", f"cat >/tmp/{name}.pem", stdin=file.read_text())
        workstation.inside("sh", "-c", TRUST)
    # And each of these checks sees what it is for: nothing on the screen, no sandbox, another layout.
    broken = "environment: {MOZ_HEADLESS: '1', MOZ_DISABLE_CONTENT_SANDBOX: '1'}\n"
    workstation.write(chosen + broken)
    workstation.up()
    workstation.inside("setxkbmap", "us")
    assert failed(workstation) == ["desktop.browser", "desktop.browser-sandbox", "desktop.keyboard"]
