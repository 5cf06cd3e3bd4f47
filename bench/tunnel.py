"""A desktop on another machine through the tunnel of devbox, against the same desktop through `ssh -L` of OpenSSH.

The machine is a network namespace with an engine and an SSH server of its own; both ways lead to the same server and
the same ports, and take turns. The client is that of bench/vnc.py, with what bounds it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import docker

from bench.far import FAR_DOOR, OURS, THEIRS, WAYS, Door, both_ways, far_end, fetch, round_trip, send, streaming
from bench.figures import Figure, Grid, make_figure, take_turns
from bench.stand import Workstation
from bench.vnc import COLUMNS, KEYS, THROUGHPUT, Inside, Server, latencies, throughput
from bench.vnc_cases import PAGE_CASE, RAW_CASE
from tests.engine.second_engine import copy_image
from tests.engine.ssh_host import SSHD, ssh_host

if TYPE_CHECKING:
    from bench.pair import Pair
    from tests.engine.ssh_host import SshHost

PROGRAMS: Final = ("ip", "nsenter", "ssh", "ssh-keygen", SSHD)
BASE: Final = "`ssh -L` of OpenSSH, to the same server"
BULK: Final = 128 << 20
BOUNCES: Final = 300
SECONDS: Final = 0.8
SAMPLES: Final = 5  # of each throughput, of which there are twelve
TURNS: Final = 4  # in which the keys are pressed
CASES: Final = {"raw": RAW_CASE, "page": PAGE_CASE}
WORDS: Final = {"raw": "VNC, raw", "page": "the web page"}
MODES: Final = {"colours": "colour change", "terminal": "terminal", "photo": "photograph"}
NAMES: Final = {OURS: "the tunnel", THEIRS: "`ssh -L`"}
Samples = dict[str, tuple[float, ...]]


def measure_tunnel(pair: Pair, rounds: int) -> list[Figure]:
    if os.getuid() != 0 or not all(map(shutil.which, PROGRAMS)):
        pair.note(f"tunnel is not measured: it takes root and {', '.join(PROGRAMS)}")
        return []
    with ssh_host(pair.stand.folder / "far") as machine, _workstation(pair, machine) as far, far_end(machine):
        with closing(docker.APIClient(base_url=machine.engine.host)) as engine:
            inside = _look_inside(engine, far.container)
            servers = {key: Server(inside, number, case) for number, (key, case) in enumerate(CASES.items(), start=5)}
            doors = [Door(host=inside.address, port=port) for server in servers.values() for port in server.ports]
            with both_ways(machine, far.environment, [FAR_DOOR, *doors]):
                figures = [*_bulk(rounds), *_desktop(pair, servers, rounds)]
        return [*figures, *_verbs(pair.ours, far, rounds)]


@contextmanager
def _workstation(pair: Pair, machine: SshHost) -> Iterator[Workstation]:
    """Like ours, over there, of the image that ours has."""
    copy_image(str(pair.ours.status()["image"]), pair.engine.host.url, machine.engine.host)
    folder = pair.stand.folder / f"bench-{os.getpid()}-far"
    folder.mkdir()
    shutil.copy(pair.ours.folder / "devbox-lock.json", folder)
    far = Workstation(folder=folder, environment={**pair.stand.environment, **machine.person()})
    far.write(host=machine.url)
    try:
        far.devbox("up")
        far.wait_healthy()
        yield far
    finally:
        try:
            far.devbox("down", "--volumes", "--yes")
        finally:
            far.devbox("tunnel", "stop")


def _look_inside(engine: docker.APIClient, container: str) -> Inside:
    found = engine.inspect_container(container)
    (network,) = found["NetworkSettings"]["Networks"].values()
    return Inside(engine=engine, id=found["Id"], pid=found["State"]["Pid"], address=network["IPAddress"])


def _turns(rounds: int, act: Callable[[str], float]) -> Samples:
    """What `act` returns for each way; who begins changes."""
    return _turns_of_many(rounds, lambda way: [act(way)])


def _turns_of_many(rounds: int, act: Callable[[str], list[float]]) -> Samples:
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            found[way] += act(way)
    return {way: tuple(values) for way, values in found.items()}


def _figure(name: str, what: str, unit: str, samples: Samples) -> Figure:
    return make_figure(f"tunnel-{name}", what, unit, samples[OURS], BASE, samples[THEIRS])


def _bulk(rounds: int) -> Iterator[Figure]:
    size = f"{BULK >> 20} MiB"
    yield _figure("fetch", f"{size} from another machine by the tunnel", "MB/s", _turns(rounds, _fetch))
    yield _figure("send", f"{size} to another machine by the tunnel", "MB/s", _turns(rounds, _send))
    yield _figure("byte", "a byte there and back by the tunnel", "ms", _turns(rounds, _bounce))
    beside = _turns(rounds, _bounce_beside)
    yield _figure("byte-beside", "the same beside a stream that takes all it can get", "ms", beside)


def _fetch(way: str) -> float:
    return fetch(way, BULK)


def _send(way: str) -> float:
    return send(way, BULK)


def _bounce(way: str) -> float:
    return round_trip(way, BOUNCES)


def _bounce_beside(way: str) -> float:
    with streaming(way):
        return round_trip(way, BOUNCES // 3)


def _desktop(pair: Pair, servers: dict[str, Server], rounds: int) -> Iterator[Figure]:
    rows: dict[str, list[float]] = {}
    for key, server in servers.items():
        print(f"tunnel: {WORDS[key]}", file=sys.stderr, flush=True)
        for mode in THROUGHPUT:
            rates, amounts = _throughput(server, mode, min(rounds, SAMPLES))
            yield _figure(f"{key}-{mode}", f"desktop by the tunnel, {WORDS[key]}: {MODES[mode]}", "updates/s", rates)
            for way in WAYS:
                row = rows.setdefault(f"{NAMES[way]}, {WORDS[key]}", [])
                row += statistics.median(rates[way]), statistics.median(amounts[way])
        with server.by(OURS).drawing("keys"):
            late = _turns_of_many(TURNS, partial(_latencies, server))
            beside = _turns_of_many(TURNS, partial(_latencies_beside, server))
        yield _figure(f"{key}-key", f"desktop by the tunnel, {WORDS[key]}: from a key to its picture", "ms", late)
        yield _figure(f"{key}-key-beside", "the same beside a stream that takes all it can get", "ms", beside)
        for way in WAYS:
            rows[f"{NAMES[way]}, {WORDS[key]}"] += (
                statistics.median(late[way]),
                statistics.quantiles(late[way], n=20)[-1],
            )
    pair.grids.append(
        Grid(
            title="The desktop of another machine, medians of the same run",
            columns=COLUMNS,
            rows={name: tuple(row) for name, row in rows.items()},
        )
    )


def _throughput(server: Server, mode: str, rounds: int) -> tuple[Samples, Samples]:
    """Updates a second, and MB/s."""
    amounts: dict[str, list[float]] = {way: [] for way in WAYS}

    def take(way: str) -> float:
        rate, amount = throughput(server.by(way), SECONDS)
        amounts[way].append(amount)
        return rate

    with server.by(OURS).drawing(mode):
        rates = _turns(rounds, take)
    return rates, {way: tuple(values) for way, values in amounts.items()}


def _latencies(server: Server, way: str) -> list[float]:
    return latencies(server.by(way), KEYS // TURNS)


def _latencies_beside(server: Server, way: str) -> list[float]:
    with streaming(way):
        return latencies(server.by(way), KEYS // TURNS // 2)


def _verbs(near: Workstation, far: Workstation, rounds: int) -> Iterator[Figure]:
    for side in (near, far):
        side.devbox("up")  # the first one may have something to do
    verbs = {"status": "`devbox status`", "up": "`devbox up`, nothing to do"}
    acts: dict[str, Callable[[], object]] = {
        f"{verb} {side.name}": partial(side.devbox, verb) for verb in verbs for side in (far, near)
    }
    seconds = take_turns(rounds, acts)
    for verb, words in verbs.items():
        ours, theirs = (seconds[f"{verb} {side.name}"] for side in (far, near))
        yield make_figure(
            f"tunnel-{verb}", f"workstation on another machine: {words}", "s", ours, "the same of one here", theirs
        )
