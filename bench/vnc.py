"""VNC itself: how fast pictures come from each server, plain and through the web page, and how late they are.

Each case (bench/vnc_cases.py) is an X server of its own in a throw-away of our image, with the arguments that are
compared. Throughput: a screen that changes its colour, a terminal that scrolls, a photograph that moves. Latency: from
a key to the picture of what it did. The client is ours: it unpacks what comes as fast as Python can, which bounds raw
pictures at about a hundred a second.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, Grid
from bench.recipe import Recipe, api, listens_in, recipe_of, running
from bench.vnc_cases import TIGER_CASES, TIGHT_CASES, Case
from bench.websocket import WebSocketStream
from builder.adapters.clock import wait_for
from builder.adapters.rfb import NoVncServerError, VncClient, VncTimeoutError, connect, greet

if TYPE_CHECKING:
    import docker

    from bench.pair import Pair

PAINTER: Final = Path(__file__).with_name("painter.py")
SECONDS: Final = 1.5
KEYS: Final = 60
WARM_UP_S: Final = 1.0
TITLE: Final = (
    "VNC: a full-screen colour change, a scrolling terminal, a full-screen photograph that moves, "
    "and the time from a key to its picture"
)
COLUMNS: Final = (
    *("colour, updates/s", "colour, MB/s", "terminal, updates/s", "terminal, MB/s", "photo, updates/s", "photo, MB/s"),
    *("key to picture, median ms", "95 of 100, ms"),
)
GEOMETRY: Final = ("-geometry", "1920x1080", "-depth", "24")
SCROLL: Final = (
    *("xfce4-terminal", "--disable-server", "--hide-menubar", "--geometry=210x55"),
    *("-x", "seq", "1", "99999999"),
)
THROUGHPUT: Final = ("colours", "terminal", "photo")
MANY: Final = 5000  # colours that only a photograph has


def measure_vnc(pair: Pair, rounds: int) -> list[Figure]:
    """No figures with bars, but a grid."""
    return _measure(pair, lambda case: case.usual)


def measure_vnc_settings(pair: Pair, rounds: int) -> list[Figure]:
    """All cases: what a default is chosen from."""
    return _measure(pair, lambda case: True)


def _measure(pair: Pair, wanted: Callable[[Case], bool]) -> list[Figure]:
    rows: dict[str, tuple[float, ...]] = {}
    for recipe, cases in zip(plans(pair), (TIGER_CASES, TIGHT_CASES), strict=True):
        for server in serving(recipe, list(filter(wanted, cases))):
            print(f"vnc: {server.case.words}", file=sys.stderr, flush=True)
            rows[server.case.words] = _measure_case(server)
    pair.grids.append(Grid(title=TITLE, columns=COLUMNS, rows=rows))
    return []


def plans(pair: Pair) -> tuple[Recipe, Recipe]:
    """Our image with TigerVNC, and with TightVNC."""
    tight = pair.stand.new("tight")
    tight.write(desktop={"server": "tightvnc"})
    tight.devbox("up")
    tight.status()
    tight.devbox("stop")
    return recipe_of(pair.ours.container, ""), recipe_of(tight.container, "")


def serving(recipe: Recipe, cases: list[Case]) -> Iterator[Server]:
    """Each case's server, in one container."""
    with running(recipe) as container:
        address = api().inspect_container(container.id)["NetworkSettings"]["IPAddress"]
        wait_for("the container to rest", lambda: container.listens((6080,)) or None, deadline_s=60, interval_s=0.1)
        inside = Inside(engine=api(), id=container.id, pid=container.pid, address=address)
        for number, case in enumerate(cases, start=5):
            yield Server(inside, number, case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A container in which servers are started, and its engine."""

    engine: docker.APIClient
    id: str
    pid: int
    address: str


class Server:
    """A case's X server, and its bridge, on a display of its own inside the container."""

    def __init__(self, inside: Inside, number: int, case: Case) -> None:
        self.inside = inside
        self.address = inside.address
        self.number = number
        self.case = case
        rfb = 5900 + number
        self.port = 6100 + number if case.web else rfb
        self.run(
            case.command[0], f":{number}", *case.command[1:], *GEOMETRY, "-rfbport", str(rfb), "-ac", "-nolisten", "tcp"
        )
        if case.web:
            self.run("/usr/lib/devbox/web", "--port", str(self.port), "--rfb", str(rfb))
        wait_for(
            "the VNC server", lambda: listens_in(inside.pid, (rfb, self.port)) or None, deadline_s=20, interval_s=0.05
        )

    @property
    def ports(self) -> tuple[int, ...]:
        """Of VNC itself, and of the bridge if there is one."""
        return tuple(sorted({5900 + self.number, self.port}))

    def by(self, address: str) -> Server:
        """The same, where something else leads to it."""
        other = copy(self)
        other.address = address
        return other

    def run(self, *argv: str, user: str = "dev") -> None:
        engine, display = self.inside.engine, f":{self.number}"
        made = engine.exec_create(self.inside.id, list(argv), user=user, environment={"DISPLAY": display})
        engine.exec_start(made["Id"], detach=True)

    @contextmanager
    def drawing(self, mode: str) -> Iterator[None]:
        if mode == "terminal":
            self.run(*SCROLL)
        else:
            self.run("/usr/bin/python3", "-c", PAINTER.read_text(), str(self.number), mode)
        if mode == "photo":
            self._wait_photo()  # it is made only then
        else:
            time.sleep(WARM_UP_S)
        yield
        self._wipe()

    def _wait_photo(self) -> None:
        with connect(self.address, 5900 + self.number).login(None) as client:
            client.wait_picture(lambda picture: picture.colours(MANY) == MANY, 20, what="the photograph")

    def _wipe(self) -> None:
        """Ends what draws: with its connection closed, a program of X ends by itself."""
        self.run("sh", "-c", "pkill -f '[9]9999999'; pkill -f '[p]ainter.py DISPLAY'", user="root")
        time.sleep(0.5)

    @contextmanager
    def client(self) -> Iterator[VncClient]:
        with self._greeted() as client:
            client.picture()
            yield client

    def _greeted(self) -> VncClient:
        def knock() -> VncClient | None:
            try:
                if self.case.web:
                    greeting = greet(WebSocketStream(self.address, self.port, "/websockify", 10))
                else:
                    greeting = connect(self.address, self.port)
            except NoVncServerError:
                return None
            return greeting.login(None, encodings=self.case.encodings)

        return wait_for("a greeting", knock, deadline_s=20, interval_s=0.1)


def _measure_case(server: Server) -> tuple[float, ...]:
    """In the order of COLUMNS."""
    row: list[float] = []
    for mode in THROUGHPUT:
        with server.drawing(mode):
            row += throughput(server)
    with server.drawing("keys"):
        late = latencies(server)
    return (*row, statistics.median(late), statistics.quantiles(late, n=20)[-1])


def throughput(server: Server, seconds: float = SECONDS) -> tuple[float, float]:
    """Updates a second, and MB/s."""
    with server.client() as client:
        began = time.perf_counter()
        updates = [update for update in client.updates(seconds) if update.pixels]
        took = time.perf_counter() - began
    return len(updates) / took, sum(update.bytes for update in updates) / took / 1e6


def latencies(server: Server, keys: int = KEYS) -> list[float]:
    """Milliseconds; at moments that keep no step with the server's frame rate."""
    found: list[float] = []
    with server.client() as client:
        for _ in range(keys):
            while client.next_update(random.uniform(0.03, 0.08)):  # noqa: S311 (no secret)
                continue  # until nothing more is on its way, with a request waiting at the server
            began = time.perf_counter()
            client.hands.key("a", down=True)
            _wait_pixels(client)
            found.append(1000 * (time.perf_counter() - began))
            client.hands.key("a", down=False)
    return found


def _wait_pixels(client: VncClient) -> None:
    while True:
        update = client.next_update(5)
        if update is None:
            raise VncTimeoutError("a key changed nothing on the screen", where="bench")
        if update.pixels:
            return
