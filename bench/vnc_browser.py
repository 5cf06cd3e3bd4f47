"""VNC as a person has it in the web page: pictures a second that noVNC draws in a real browser, and how late a key is.

Headless Chromium on this machine, so it shares the cores with the server that is measured, and has no graphics card.
The page is the image's own; only the two levels that noVNC asks for are changed on their way to the browser.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, Grid
from bench.vnc import KEYS, SECONDS, THROUGHPUT, Server, plans, serving
from bench.vnc_cases import TIGER, TIGHT, Case
from builder.adapters.clock import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

    from bench.pair import Pair

CHROMIUM: Final = Path("/usr/bin/chromium")  # Debian's, as for the tests
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
TITLE: Final = "VNC in Chromium by the web page, what noVNC draws"
COLUMNS: Final = ("colour, updates/s", "terminal, updates/s", "photo, updates/s", "key to picture, median ms", "95, ms")
LEVELS: Final = ((6, 1), (6, 2), (9, 2))  # quality and compression: the page's, noVNC's own, the finest
# noVNC shows an update by one call of drawImage on the canvas that is in the page.
WATCH: Final = """
window.drawn = [];
window.pressed = 0;
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...values) {
  draw.apply(this, values);
  if (this.canvas.isConnected) drawn.push(performance.now());
};
addEventListener("keydown", () => { pressed = performance.now(); drawn.length = 0; }, true);
"""


def measure_vnc_browser(pair: Pair, rounds: int) -> list[Figure]:
    """No figures with bars, but a grid."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.is_file():
        pair.note(f"vnc-browser is left out: there is no {CHROMIUM}")
        return []
    rows: dict[str, tuple[float, ...]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for recipe, command in zip(plans(pair), (TIGER, TIGHT), strict=True):
            cases = [Case(words=command[0].removeprefix("X"), command=command, web=True)] * len(LEVELS)
            for server, levels in zip(serving(recipe, cases), LEVELS, strict=True):
                words = f"{server.case.words}, quality {levels[0]}, compression {levels[1]}"
                print(f"vnc: {words}", file=sys.stderr, flush=True)
                rows[words] = _measure_case(browser, server, *levels)
        browser.close()
    pair.grids.append(Grid(title=TITLE, columns=COLUMNS, rows=rows))
    return []


def _measure_case(browser: Browser, server: Server, quality: int, compression: int) -> tuple[float, ...]:
    """In the order of COLUMNS."""
    with _page(browser, server, quality, compression) as page:
        row = []
        for mode in THROUGHPUT:
            with server.drawing(mode):
                row.append(_throughput(page))
        with server.drawing("keys"):
            late = _latencies(page)
    return (*row, statistics.median(late), statistics.quantiles(late, n=20)[-1])


@contextmanager
def _page(browser: Browser, server: Server, quality: int, compression: int) -> Iterator[Page]:
    """Our page, connected, with the session in the size of the window."""

    def change_levels(route: Route) -> None:
        response = route.fetch()
        text = re.sub(r"(qualityLevel = )\d", rf"\g<1>{quality}", response.text())
        text = re.sub(r"(compressionLevel = )\d", rf"\g<1>{compression}", text)
        route.fulfill(response=response, body=text)

    with browser.new_context(viewport={"width": 1920, "height": 1080}) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        page.route(re.compile(r"/(rfb|viewer)\.js$"), change_levels)
        page.goto(f"http://{server.address}:{server.port}/")
        wait_for("noVNC's first picture", lambda: page.evaluate("drawn.length") or None, deadline_s=20, interval_s=0.1)
        page.locator("#screen canvas").focus()
        yield page


def _throughput(page: Page) -> float:
    count = "[drawn.length, performance.now()]"
    before, began = page.evaluate(count)
    time.sleep(SECONDS)
    after, ended = page.evaluate(count)
    return float(1000 * (after - before) / (ended - began))


def _latencies(page: Page) -> list[float]:
    """Milliseconds from the key's event in the page to the first drawing after it."""
    found: list[float] = []
    for _ in range(KEYS):
        page.keyboard.press("a", delay=30)
        wait_for("a key's picture", lambda: page.evaluate("drawn.length") or None, deadline_s=5, interval_s=0.02)
        found.append(float(page.evaluate("drawn[0] - pressed")))
        time.sleep(0.05)  # so that nothing of this key is drawn after the next
    return found
