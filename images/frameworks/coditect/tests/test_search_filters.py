"""What narrows a search: time, project, role, kind, tool, and how many."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from search_stores import ask, make_store, said, texts

from coditect.errors import UsageError
from coditect.search.filters import read_moment

if TYPE_CHECKING:
    from coditect.store import Store


def tool_use(name: str, command: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "tool_use", "name": name, "input": {"command": command}}]
    return said("", **{"role": "assistant", "content": content, **fields})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    now = time.time()
    records = [
        said("word one", timestamp=now - 3 * 86400, cwd="/srv/shop"),
        said("word two", timestamp=now - 3600, cwd="/srv/shop/api"),
        said("word three", timestamp="2024-02-29T23:30:00", cwd="/home/x/bookshop"),
        said("word four", role="assistant", timestamp=None, cwd="/srv/devbox"),
        tool_use("Bash", "word five", timestamp=now - 60),
        tool_use("BashOutput", "word six", timestamp=now - 30),
    ]
    return make_store(tmp_path_factory.mktemp("store"), records)


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({"since": "7d"}, "one two five six"),
        ({"since": "2h"}, "two five six"),
        ({"since": "2h", "until": "10m"}, "two"),
        ({"until": "2024-03-01"}, "three"),
        ({"since": "2024-02-29", "until": "2024-02-29T23:59Z"}, "three"),
        ({"project": "/srv/shop"}, "one two"),
        ({"project": "shop"}, "one"),
        ({"project": "/srv/"}, "one two four"),
        ({"role": "assistant"}, "four five six"),
        ({"kind": "tool_use"}, "five six"),
        ({"kind": "TEXT"}, "one two three four"),
        ({"tool": "bash"}, "five"),
        ({"role": "user", "project": "devbox"}, ""),
    ],
)
@pytest.mark.parametrize("typed", ["word", ""])
def test_filters_leave_what_meets_all_of_them(store: Store, typed: str, given: dict[str, str], numbers: str) -> None:
    assert {text.split()[1] for text in texts(store, typed, 10, **given)} == set(numbers.split())


def test_the_project_may_be_the_folder_one_is_in(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    own = make_store(tmp_path / "store", [said("word here", cwd=str(tmp_path.resolve())), said("word there")])
    assert texts(own, "word", project=".") == ["word here"]


def test_without_words_the_newest_come_first_and_those_without_time_last(store: Store) -> None:
    assert [text.split()[1] for text in texts(store, "")] == ["six", "five", "two", "one", "three", "four"]


def test_the_limit_holds(store: Store) -> None:
    assert len(ask(store, "word", limit=2).hits) == 2


def test_a_date_begins_in_local_time_and_ends_with_its_day() -> None:
    begin = datetime.datetime(2026, 1, 31).timestamp()
    assert read_moment("2026-01-31") == begin
    assert read_moment("2026-01-31", end=True) == begin + 86400
    assert read_moment("20260131", end=True) == begin + 86400
    assert read_moment("2026-01-31T00:00:00Z") == 1769817600
    assert read_moment("2026-01-31T01:00:00+0100") == 1769817600


def test_the_last_day_of_the_calendar_has_an_end(store: Store) -> None:
    assert len(texts(store, "word", until="9999-12-31")) == 5


@pytest.mark.parametrize("text", ["", "yesterday", "7", "d", "-3d", "2026-13-01", "2026-1-31", "99999999999999999999d"])
def test_what_is_no_date_is_said(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_moment(text, end=True)
    assert "2026-01-31" in caught.value.hint
