"""BuildKit's progress: the protobuf messages in `moby.buildkit.trace`, decoded and told as BuildEvents.

Owns a reader for the few wire types that occur (docs/decisions/buildkit-progress.md says why no library) and the state
of each vertex. Pure: bytes in, events out. The field numbers are those of moby/buildkit's control.proto.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from builder.model import BuildEvent

FIXED64: Final = 1
TAIL: Final = 20  # lines of a failed step that are worth showing
Field = tuple[int, int | bytes]


def read_fields(data: bytes) -> Iterator[Field]:
    """The (number, value) pairs of one message. Raises ValueError for what is no protobuf."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        match key & 7:
            case 0:
                value, position = _varint(data, position)
                yield key >> 3, value
            case 2:
                size, position = _varint(data, position)
                yield key >> 3, _slice(data, position, size)
                position += size
            case 1 | 5 as fixed:  # none of ours, but a newer engine may add some
                size = 8 if fixed == FIXED64 else 4
                yield key >> 3, _slice(data, position, size)
                position += size
            case other:
                raise ValueError(f"wire type {other} at byte {position}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
    raise ValueError(f"a number breaks off at byte {position}")


def _slice(data: bytes, position: int, size: int) -> bytes:
    if position + size > len(data):
        raise ValueError(f"a field breaks off at byte {position}")
    return data[position : position + size]


class Message:
    """The fields of one message by number; what is not there is empty."""

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in read_fields(data):
            self._fields.setdefault(number, []).append(value)

    def text(self, number: int) -> str:
        return self.data(number).decode(errors="replace")

    def data(self, number: int) -> bytes:
        value = self._fields.get(number, [b""])[-1]
        return value if isinstance(value, bytes) else b""

    def number(self, number: int) -> int:
        value = self._fields.get(number, [0])[-1]
        return value if isinstance(value, int) else 0

    def messages(self, number: int) -> list[Message]:
        return [Message(value) for value in self._fields.get(number, []) if isinstance(value, bytes)]

    def seconds(self, number: int) -> float | None:
        """A Timestamp { seconds=1 nanos=2 }, or None where there is none."""
        if number not in self._fields:
            return None
        stamp = Message(self.data(number))
        return stamp.number(1) + stamp.number(2) / 1e9


@dataclass(slots=True)
class Vertex:
    """One instruction as far as it has been heard of."""

    name: str = ""
    state: str = ""
    error: str = ""
    partial: dict[int, str] = field(default_factory=dict)  # stream -> a line that has no end yet
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))


class Trace:
    """All vertices of one build. Feed it every message; it yields what is new."""

    def __init__(self) -> None:
        self._vertices: dict[str, Vertex] = {}

    def read(self, data: bytes) -> Iterator[BuildEvent]:
        """Decode one StatusResponse { vertexes=1 statuses=2 logs=3 warnings=4 }. Raises ValueError for other bytes."""
        response = Message(data)
        moved = response.messages(1)
        for message in moved:  # names first: logs of the same message refer to them
            self._vertex(message.text(1)).name = message.text(3)
        for message in response.messages(3):
            text = message.data(4).decode(errors="replace")
            yield from self._log(self._vertex(message.text(1)), text, message.number(3))
        for message in response.messages(2):
            yield from self._status(message)
        for message in response.messages(4):
            yield from self._log(self._vertex(message.text(1)), f"warning: {message.text(3)}\n")
        for message in moved:
            yield from self._change(self._vertex(message.text(1)), message)

    def failed(self) -> Vertex | None:
        """The instruction that broke the build; those that were only stopped because of it do not count."""
        return next((vertex for vertex in self._vertices.values() if vertex.state == "failed"), None)

    def running(self) -> Vertex | None:
        """The instruction that is worked on, the last that began where there are several."""
        return next((vertex for vertex in reversed(self._vertices.values()) if vertex.state == "running"), None)

    def _vertex(self, digest: str) -> Vertex:
        return self._vertices.setdefault(digest, Vertex())

    def _change(self, vertex: Vertex, message: Message) -> Iterator[BuildEvent]:
        """Vertex { digest=1 inputs=2 name=3 cached=4 started=5 completed=6 error=7 }; sent again as it changes."""
        started, completed = message.seconds(5), message.seconds(6)
        vertex.error = message.text(7)
        state = _state(cached=bool(message.number(4)), started=started, completed=completed, error=vertex.error)
        if state == vertex.state or not state:
            return
        if completed is not None:
            for stream in list(vertex.partial):
                yield from self._log(vertex, "\n", stream)
        vertex.state = state
        seconds = (completed or 0.0) - (started or 0.0) if completed and started else 0.0
        yield BuildEvent(vertex=vertex.name, state=state, seconds=max(0.0, seconds))

    def _log(self, vertex: Vertex, text: str, stream: int = 0) -> Iterator[BuildEvent]:
        """VertexLog { vertex=1 timestamp=2 stream=3 msg=4 }, cut anywhere; of a redrawn line the last state counts."""
        *whole, vertex.partial[stream] = (vertex.partial.get(stream, "") + text).split("\n")
        for raw in whole:
            line = raw.rstrip("\r").rpartition("\r")[2]
            if line.strip():
                vertex.tail.append(line)
                yield BuildEvent(vertex=vertex.name, log=line)

    def _status(self, message: Message) -> Iterator[BuildEvent]:
        """VertexStatus { ID=1 vertex=2 name=3 current=4 total=5 timestamp=6 started=7 completed=8 }."""
        current, total = message.number(4), message.number(5)
        if current:
            yield BuildEvent(vertex=self._vertex(message.text(2)).name, done=current, total=total)


def _state(*, cached: bool, started: float | None, completed: float | None, error: str) -> str:
    if error:
        return "canceled" if "context canceled" in error else "failed"
    if cached:
        return "cached"
    if completed is not None:
        return "done"
    return "running" if started is not None else ""
