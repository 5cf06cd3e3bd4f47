"""What a verb asks of the tunnel to a machine, and how one is started where there is none.

Must not import paramiko: `up` of a workstation elsewhere needs the tunnel, and only the tunnel needs that.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from builder.adapters.clock import wait_for
from builder.adapters.files import make_folder
from builder.adapters.remote.address import Address, Place, find_place, parse_address, tunnels_folder
from builder.adapters.scratch import remove_tree
from builder.errors import HostError, NotReadyError

ANSWER_S: Final = 30.0  # it may have to connect again first
STOP_S: Final = 10.0
MOST_ASKED: Final = 32  # at the same time
WITHIN: Final = "DEVBOX_TUNNELS"  # in what runs on the way to a machine: the folders of the tunnels that go that way
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """How a verb tells of the connection, and asks the person. `ask(text, secret)` is None where nobody is there."""

    tell: Callable[[str], None]
    ask: Callable[[str, bool], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelClient:
    """The tunnel to one machine, which runs."""

    address: Address
    place: Place
    fresh: bool = False  # started just now

    def ask(self, do: str, **more: object) -> Answer:
        """Raises HostError where it does not answer, or says that it cannot."""
        try:
            answer = _request(self.place.control, {"do": do, **more})
        except (OSError, ValueError) as error:
            raise self._gone(error) from error
        if problem := answer.get("error"):
            raise HostError(str(problem), where=str(self.address), hint="`devbox tunnel status` says more")
        return answer

    def forward(self, address: str, here: int, there: int, *, host: str | None = None) -> bool:
        """Let a port of this machine lead there: to `host`, as that machine knows it, or to the same address. False
        where something else has it here."""
        return "taken" not in self.ask("forward", address=address, here=here, there=there, host=host or address)

    def drop(self, address: str, here: int) -> None:
        self.ask("drop", address=address, here=here)

    def _gone(self, error: Exception) -> HostError:
        return HostError(
            f"the tunnel does not answer ({error})",
            where=str(self.address),
            hint=f"run the same command again; its log is {self.place.log}",
        )


def open_tunnel(address: Address, environment: Mapping[str, str], talk: Talk) -> TunnelClient:
    """The tunnel to `address`, started if there is none. Raises HostError, by the sub-step that failed."""
    place = find_place(address, environment)
    if place.folder.name in environment.get(WITHIN, "").split():  # it would wait for who waits for this
        place.circle.touch()
        raise circle_error(address)
    for folder in (place.folder.parent, place.folder):
        make_folder(folder, mode=0o700)
    # Before anybody there is asked: who is root with the settings of another one would talk to a tunnel of theirs.
    if (found := place.folder.stat()).st_uid != os.getuid() or found.st_mode & 0o077:
        hint = "it is another person's: `unset XDG_RUNTIME_DIR`; or remove it, and run this again"
        raise HostError("is not yours alone", where=str(place.folder), hint=hint)
    if _answers(place):
        return TunnelClient(address=address, place=place)
    with _alone(place):  # two `devbox up` at once: one starts it, and both use it
        if _answers(place):
            return TunnelClient(address=address, place=place)
        _start(address, place, environment, talk)
    return TunnelClient(address=address, place=place, fresh=True)


def circle_error(address: Address) -> HostError:
    """Where the way to a machine needs the tunnel to it."""
    return HostError(
        "the tunnel would wait for itself: on the way there ~/.ssh/config runs devbox, which needs the same tunnel",
        where=str(address),
        hint="has a jump host the name of a workstation, whose section `devbox ssh-config` wrote? Give one of them "
        "another name (`Host`, or `name:` in devbox.yaml), and write that section anew",
    )


def find_tunnels(environment: Mapping[str, str]) -> tuple[TunnelClient, ...]:
    """Those that run. All are asked at once, so that those that hang take no more than the time of one answer."""
    from concurrent.futures import ThreadPoolExecutor  # here: `up` asks one tunnel alone

    controls = sorted(tunnels_folder(environment).glob("*/control.sock"))
    if not controls:
        return ()
    with ThreadPoolExecutor(min(len(controls), MOST_ASKED), thread_name_prefix="ask-tunnel") as pool:
        return tuple(found for found in pool.map(_find_tunnel, controls) if found)


def _find_tunnel(control: Path) -> TunnelClient | None:
    """The one behind this socket; None for what a killed one left."""
    try:
        told = _request(control, {"do": "status"})
        return TunnelClient(
            address=parse_address(told["address"], where=str(control)), place=Place(folder=control.parent)
        )
    except (OSError, ValueError, KeyError):
        return None


def find_doors(address: str, environment: Mapping[str, str]) -> frozenset[tuple[str, int]]:
    """Addresses and ports of this machine that the tunnel to `address` holds; none where it does not answer."""
    place = find_place(parse_address(address, where="the engine"), environment)
    try:
        told = _request(place.control, {"do": "status"})
    except (OSError, ValueError):
        return frozenset()
    return frozenset((item["address"], item["here"]) for item in told["ports"])


def stop_tunnel(tunnel: TunnelClient) -> None:
    """And wait until its ports are free again."""
    tunnel.ask("stop")
    wait_for(
        f"the tunnel to {tunnel.address} to end",
        lambda: True if not _is_held(tunnel.place.lock) else None,
        deadline_s=STOP_S,
        interval_s=0.02,
    )


def end_tunnels(environment: Mapping[str, str]) -> None:
    """All that run, and what they keep on this machine's disk."""
    for tunnel in find_tunnels(environment):
        stop_tunnel(tunnel)
    if (folder := tunnels_folder(environment)).is_dir():
        remove_tree(folder)


def _is_held(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _answers(place: Place) -> bool:
    try:
        return bool(_request(place.control, {"do": "status"}))
    except (OSError, ValueError):
        return False


def _request(control: Path, request: Mapping[str, object]) -> Answer:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(ANSWER_S)
        wire.connect(str(control))
        wire.sendall(json.dumps(request).encode() + b"\n")
        with wire.makefile("rb") as answer:
            told: Answer = json.loads(answer.readline())
            return told


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    with (place.folder / "starting").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(address: Address, place: Place, environment: Mapping[str, str], talk: Talk) -> None:
    talk.tell(f"connecting to {address}")
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "builder.adapters.remote.tunnel", str(address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**environment, WITHIN: f"{environment.get(WITHIN, '')} {place.folder.name}".strip()},
            cwd="/",
            text=True,
            start_new_session=True,  # it outlives this verb, and its Ctrl-C
        )
    try:
        _follow(process, address, place, talk)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(STOP_S)
        raise


def _follow(process: subprocess.Popen[str], address: Address, place: Place, talk: Talk) -> None:
    """Pass on its steps and questions until it is connected."""
    assert process.stdin is not None  # noqa: S101  # for the types: both are pipes
    assert process.stdout is not None  # noqa: S101
    with process.stdin as questions, process.stdout as lines:
        for line in lines:
            if _hear(json.loads(line), questions, address, talk):
                return
    raise HostError("the tunnel ended before it was connected", where=str(address), hint=f"its log is {place.log}")


def _hear(message: Answer, answers: IO[str], address: Address, talk: Talk) -> bool:
    """Whether that was its last word."""
    if failed := message.get("failed"):
        raise HostError(failed["message"], where=failed["where"], hint=failed["hint"], detail=failed["detail"])
    if question := message.get("ask"):
        answer = talk.ask(question["text"], bool(question["secret"]))
        answers.write(json.dumps({"answer": answer}) + "\n")
        answers.flush()
    elif (told := message.get("step")) and told["warning"]:
        talk.tell(f"{address}: {told['name']}: {told['detail']}: {told['warning']}")
    elif message.get("busy"):
        raise NotReadyError(f"another tunnel to {address} is ending", hint="run the same command again")
    return bool(message.get("ready"))
