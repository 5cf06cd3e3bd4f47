"""What is read from a record: its time in every spelling, its text however deep it lies."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coditect.records import read_fields, read_time

MOMENT = 1769882400  # 2026-01-31T18:00:00Z


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", [int, float])
def test_numbers_are_read_in_the_unit_that_their_size_tells(unit: int, kind: type[float]) -> None:
    assert read_time(kind(MOMENT * unit)) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T18:00:00Z",
        "2026-01-31T18:00:00",
        " 2026-01-31 18:00:00.0 ",
        "2026-01-31T18:00:00.0000000001Z",
        "2026-01-31T19:00:00+01:00",
        "2026-01-31T19:00:00+0100",
        "2026-01-31 19:00:00 +01",
        "2026-01-31T18:00Z",
        "20260131T180000Z",
    ],
)
def test_one_moment_in_many_spellings(text: str) -> None:
    assert read_time(text) == MOMENT


@pytest.mark.parametrize("digits", range(1, 12))
def test_a_fraction_may_have_any_length(digits: int) -> None:
    fraction = "12345678901"[:digits]
    assert read_time(f"2026-01-31T18:00:00.{fraction}Z") == pytest.approx(float(f"{MOMENT}.{fraction[:6]}"), abs=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, [], {}, "", "soon", "2026-13-01", "2026-01-31T18:00:00 tea", "0001-01-01T00:00:00+14:00"),
        *(1e300, -1e300, 10**400, -(10**400), float("inf"), float("nan"), -62135596801, 253402300800 * 10**9),
    ],
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert read_time(value) is None


@given(st.integers() | st.floats() | st.text() | st.datetimes().map(str))
@example(253402300799999)
@example(-62135596800)
def test_every_time_that_is_read_is_one_of_the_calendar(value: object) -> None:
    seconds = read_time(value)
    if seconds is not None:
        assert 1 <= datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).year <= 9999


def test_text_is_found_in_order_and_however_deep_it_lies() -> None:
    deep: object = "at the bottom"
    for _ in range(100_000):
        deep = [deep]
    call = {"type": "tool_use", "name": "Edit", "input": {"a": "first", "b": [deep, {"c": "then"}], "d": "last"}}
    assert read_fields({"content": [call]}).text.splitlines() == ["first", "at the bottom", "then", "last"]


def test_a_record_as_deep_as_the_parser_goes_is_read() -> None:
    line = '{"content":[{"type":"tool_use","input":' + "[" * 900 + '"x"' + "]" * 900 + "}]}"
    assert read_fields(json.loads(line)).text == "x"
