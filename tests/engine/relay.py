"""A socket in front of the engine's own: it sees every request, and springs a trap at a chosen one.

So a fault comes at an exact moment of a real run on a real engine: devbox is killed when it asks for its third volume,
an answer is replaced, cut or held back. What the process under test is told is `DOCKER_HOST`, and nothing else.
"""

from __future__ import annotations

import functools
import io
import os
import re
import select
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CHUNK = 1 << 16
REQUEST = re.compile(rb"([A-Z]+) (?:/v[0-9.]+)?(/\S*) HTTP/1\.[01]\r\n")

Act = Callable[[], bytes | None]
Rewrite = Callable[[bytes], bytes]


def cut() -> bytes:
    """The `Act` of an engine that goes away: not a word more, and the connection is closed."""
    return b""


@dataclass(slots=True, kw_only=True)
class Trap:
    """What happens at the `nth` request that matches.

    `request` is a pattern of method and path, without the API's version: r"POST /containers/create".
    `moment` is "before" the engine hears of the request; "during" its answer, once `mark` was in it (any byte where
    there is none); or "after" the whole answer is there, of which the client has not heard yet.
    `act` says what the client gets from then on in place of the engine's words, after which the connection is closed;
    None: it goes on as if nothing had happened.
    """

    request: str
    act: Act = cut
    moment: Literal["before", "during", "after"] = "before"
    nth: int = 1
    mark: bytes = b""
    sprung: threading.Event = field(default_factory=threading.Event)
    _left: int = 0

    def __post_init__(self) -> None:
        self._left = self.nth

    def catches(self, request: str) -> bool:
        if not re.match(self.request, request):
            return False
        self._left -= 1
        return self._left == 0

    def is_due(self, answer: bytes) -> bool:
        if self.moment == "during":
            return self.mark in answer
        return is_whole(answer)

    def spring(self) -> bytes | None:
        try:
            return self.act()
        finally:
            self.sprung.set()


@dataclass(slots=True, kw_only=True)
class Relay:
    """`requests` holds "METHOD /path?query" of all that were made, `said` all that each connection sent."""

    socket: Path
    engine: str
    traps: Sequence[Trap] = ()
    rewrite: Rewrite | None = None  # of what goes to the engine
    requests: list[str] = field(default_factory=list)
    said: list[bytearray] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.socket}"

    def asked(self, pattern: str) -> list[str]:
        return [request for request in self.requests if re.match(pattern, request)]

    def find_trap(self, request: str) -> Trap | None:
        with self._lock:
            self.requests.append(request)
            return next((trap for trap in self.traps if trap.catches(request)), None)

    def contexts(self) -> Iterator[dict[str, bytes]]:
        """The files of every build context that went through, by path."""
        for talk in self.said:
            for match in re.finditer(rb"POST /v[0-9.]+/build\?.*?\r\n\r\n", talk, re.DOTALL):
                with tarfile.open(fileobj=io.BytesIO(join_chunks(bytes(talk[match.end() :])))) as archive:
                    members = [item for item in archive if item.isfile()]
                    yield {item.name: (archive.extractfile(item) or io.BytesIO()).read() for item in members}


@dataclass(slots=True, kw_only=True)
class Talk:
    """One connection: the client is near, the engine far."""

    relay: Relay
    near: socket.socket
    far: socket.socket
    said: bytearray = field(default_factory=bytearray)
    _trap: Trap | None = None  # that waits for its moment in the answer
    _answer: bytearray = field(default_factory=bytearray)

    def run(self) -> None:
        both = [self.near, self.far]
        while self.far in both:
            for ready in select.select(both, [], [], 60)[0]:
                data = b""
                with suppress(OSError):
                    data = ready.recv(CHUNK)
                if not data:
                    both.remove(ready)
                    if not self._half_close(ready):
                        return
                elif not (self._from_client(data) if ready is self.near else self._from_engine(data)):
                    return

    def _half_close(self, ended: socket.socket) -> bool:
        """Hand on that one side has no more to say. False: there is nobody left who listens."""
        if ended is self.near and has_hung_up(ended):
            return False
        if ended is self.far and self._trap is not None and self._trap.moment == "after":
            return self._spring(bytes(self._answer))  # an answer without a length is whole when it ends
        with suppress(OSError):
            (self.far if ended is self.near else self.near).shutdown(socket.SHUT_WR)
        return True

    def _from_client(self, data: bytes) -> bool:
        self.said.extend(data)
        if head := REQUEST.match(data):
            self._trap = self.relay.find_trap(f"{head[1].decode()} {head[2].decode()}")
            self._answer.clear()
            if self._trap is not None and self._trap.moment == "before" and not self._spring(b""):
                return False
        with suppress(OSError):
            self.far.sendall(self.relay.rewrite(data) if self.relay.rewrite else data)
        return True

    def _from_engine(self, data: bytes) -> bool:
        if self._trap is None:
            self._deliver(data)
            return True
        self._answer.extend(data)
        if not self._trap.is_due(bytes(self._answer)):
            if self._trap.moment == "during":
                self._deliver(data)
            return True
        return self._spring(data if self._trap.moment == "during" else bytes(self._answer))

    def _spring(self, held: bytes) -> bool:
        """Let the trap act, then hand on what was `held` back for it. False: that was the end of this connection."""
        trap, self._trap = self._trap, None
        reply = trap.spring() if trap is not None else None
        self._deliver(held if reply is None else reply)
        return reply is None

    def _deliver(self, data: bytes) -> None:
        with suppress(OSError):  # a client that is gone is seen when it is read
            self.near.sendall(data)


def has_hung_up(wire: socket.socket) -> bool:
    """Whether the other side closed its socket, as a killed process does, and not only its writing half."""
    poll = select.poll()
    poll.register(wire, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def is_whole(answer: bytes) -> bool:
    """Whether an answer has come to its end, as far as its head tells where that is."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    if re.match(rb"HTTP/1\.[01] (?:1\d\d|204|304)", head):
        return True
    if length := re.search(rb"(?im)^content-length: *(\d+)", head):
        return len(body) >= int(length[1])
    return b"chunked" in head.lower() and body.endswith(b"0\r\n\r\n")


def join_chunks(body: bytes) -> bytes:
    """The content of a chunked HTTP body."""
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0 and (size := int(body[at:end], 16)):
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts)


def build_once_without_cache() -> Rewrite:
    """The first build of an image is made one without a cache: what an earlier run left would not be asked for again.

    Not the questions before it, which go through the same steps.
    """
    built = False

    def rewrite(data: bytes) -> bytes:
        nonlocal built
        build = re.match(rb"POST /v[0-9.]+/build\?", data)
        if built or not build or b"t=devbox%2Fquestion" in data.partition(b"\r\n")[0]:
            return data
        built = True
        return build[0] + b"nocache=1&" + data[build.end() :]

    return rewrite


@contextmanager
def relay(folder: Path, engine: str, *traps: Trap, rewrite: Rewrite | None = None) -> Iterator[Relay]:
    """Listen at a socket below `folder` for the engine whose socket is `engine`."""
    found = Relay(socket=folder / "relay.sock", engine=engine, traps=traps, rewrite=rewrite)
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(found.socket))
        server.listen(64)
        server.settimeout(0.1)
        thread = threading.Thread(target=functools.partial(_accept, server, found, ended), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()
            found.socket.unlink()


def _accept(server: socket.socket, found: Relay, ended: threading.Event) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            near, _ = server.accept()
            near.settimeout(None)
            threading.Thread(target=_carry, args=(near, found), daemon=True).start()


def _carry(near: socket.socket, found: Relay) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        try:
            far.connect(found.engine)
        except (FileNotFoundError, ConnectionRefusedError):
            return  # a trap took the engine away: whoever asks sees the connection closed
        talk = Talk(relay=found, near=near, far=far)
        found.said.append(talk.said)
        talk.run()
