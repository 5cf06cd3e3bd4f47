"""BuildKit's progress is read from bytes alone: what happens to each instruction, in order, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.adapters.buildkit_trace import TAIL, Trace, read_fields

if TYPE_CHECKING:
    from builder.model import BuildEvent


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def put(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def stamp(seconds: float) -> bytes:
    return put(1, int(seconds)) + put(2, int(seconds % 1 * 1e9))


def vertex(
    digest: str = "d",
    name: str = "[1/1] RUN x",
    *,
    cached: bool = False,
    started: float | None = None,
    completed: float | None = None,
    error: str = "",
) -> bytes:
    data = put(1, digest) + put(2, "parent") + put(3, name) + put(4, int(cached))
    data += put(5, stamp(started)) if started is not None else b""
    data += put(6, stamp(completed)) if completed is not None else b""
    return put(1, data + (put(7, error) if error else b""))


def log(text: str, digest: str = "d", stream: int = 1) -> bytes:
    return put(3, put(1, digest) + put(2, stamp(1)) + put(3, stream) + put(4, text))


def read(*messages: bytes) -> list[BuildEvent]:
    trace = Trace()
    return [event for message in messages for event in trace.read(message)]


def test_instruction_that_starts_and_ends_has_its_seconds() -> None:
    events = read(vertex(), vertex(started=10.5), vertex(started=10.5), vertex(started=10.5, completed=12.75))
    assert [(event.state, event.seconds) for event in events] == [("running", 0.0), ("done", 2.25)]


def test_cached_instruction_is_cached_and_not_done() -> None:
    assert [event.state for event in read(vertex(cached=True, started=1, completed=1))] == ["cached"]


def test_failed_instruction_is_told_from_those_stopped_because_of_it() -> None:
    trace = Trace()
    stopped = vertex("a", "[a 1/1] RUN y", started=1, completed=2, error="process y: context canceled")
    broken = vertex("b", "[b 1/1] RUN z", started=1, completed=2, error="exit code: 3")
    assert [event.state for event in trace.read(stopped + broken)] == ["canceled", "failed"]
    failed = trace.failed()
    assert failed
    assert failed.name == "[b 1/1] RUN z"


def test_log_cut_anywhere_becomes_whole_lines() -> None:
    events = read(vertex(started=1), log("Get:1 on"), log("e\nGet:2"), log(" two\r\n10%\r50%\r100%\n"))
    assert [event.log for event in events[1:]] == ["Get:1 one", "Get:2 two", "100%"]


def test_the_two_streams_do_not_mix_within_a_line() -> None:
    events = read(vertex(started=1), log("ou"), log("err\n", stream=2), log("t\n"))
    assert [event.log for event in events[1:]] == ["err", "out"]


def test_last_line_without_an_end_is_told_when_the_instruction_ends() -> None:
    events = read(vertex(started=1), log("no end"), vertex(started=1, completed=2))
    assert [(event.log, event.state) for event in events[1:]] == [("no end", "running"), ("", "done")]


def test_only_the_end_of_a_long_log_is_kept() -> None:
    trace = Trace()
    list(trace.read(vertex(started=1) + b"".join(log(f"line {number}\n") for number in range(100))))
    list(trace.read(vertex(started=1, completed=2, error="exit code: 1")))
    failed = trace.failed()
    assert failed
    assert list(failed.tail) == [f"line {number}" for number in range(100 - TAIL, 100)]


def test_bytes_moved_and_warnings_are_told() -> None:
    status = put(2, put(1, "transferring") + put(2, "d") + put(4, 300) + put(5, 1000))
    warning = put(4, put(1, "d") + put(2, 1) + put(3, "JSONArgsRecommended"))
    events = read(vertex(started=1), status, warning)
    assert (events[1].done, events[1].total) == (300, 1000)
    assert events[2].log == "warning: JSONArgsRecommended"


def test_fields_of_a_newer_engine_are_passed_over() -> None:
    extra = put(90, "later") + varint(91 << 3 | 1) + bytes(8) + varint(92 << 3 | 5) + bytes(4)
    assert [event.state for event in read(extra + vertex(started=1))] == ["running"]


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\x0a", b"\x08\xff", b"\x0b", b"\xff" * 12])
def test_broken_bytes_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        list(read_fields(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(data)
    except ValueError:
        return
