"""Which images, states and cache entries nobody needs: nothing that is used, wanted, young, or named by others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from builder.core.leftovers import (
    Cached,
    Known,
    describe_leftovers,
    find_spare_entries,
    find_spare_images,
    find_spare_states,
)
from builder.views import ImageView

PLAN, BASE, HELPER = "dev.devbox.plan", "dev.devbox.base", "dev.devbox.helper-image"


def image(name: str, *tags: str, created: str = "2026-01-01T00:00:00.5Z", **labels: str) -> ImageView:
    told = {f"dev.devbox.{key.replace('_', '-')}": value for key, value in labels.items()}
    return ImageView(
        id=f"sha256:{name}", tags=tags, digests=(), labels=told, size=100, created=created, env={}, arch="amd64"
    )


BUILT = image("built", "devbox/headless:1", plan="1", base="debian-12")


def spare(
    *images: ImageView,
    used: Collection[str] = (),
    wanted: Collection[str] = (),
    newer_than: str = "2026-01-02T00:00:00Z",
) -> list[str]:
    return [item.name for item in find_spare_images(images, used=used, wanted=wanted, newer_than=newer_than)]


def test_an_image_that_nobody_runs_or_goes_back_to_is_spare() -> None:
    assert spare(BUILT) == ["devbox/headless:1"]
    assert spare(BUILT, used=["sha256:built"]) == []
    assert spare(BUILT, wanted=["sha256:built"]) == []


def test_an_image_that_was_just_made_stays_since_somebody_may_start_it() -> None:
    assert spare(BUILT, newer_than="2025-12-31T23:59:59Z") == []


def test_an_image_to_which_somebody_gave_a_name_stays() -> None:
    assert spare(replace(BUILT, tags=("again:1", "devbox/headless:1"))) == []


def test_an_image_without_a_name_goes_by_its_id_and_one_with_two_goes_with_both() -> None:
    assert spare(replace(BUILT, tags=())) == ["sha256:built"]
    assert spare(replace(BUILT, tags=("devbox/headless:1", "devbox/previous:app"))) == [
        "devbox/headless:1", "devbox/previous:app"
    ]  # fmt: skip


def test_of_each_base_of_what_builds_copy_from_and_of_the_helpers_the_newest_stays() -> None:
    found = spare(
        image("old", "devbox/base:debian-12-a", created="2025-01-01T00:00:00Z", base="debian-12"),
        image("new", "devbox/base:debian-12-b", created="2025-02-01T00:00:00Z", base="debian-12"),
        image("other", "devbox/base:debian-11-c", created="2024-01-01T00:00:00Z", base="debian-11"),
        image("node18", "devbox/artifact:node-a", created="2025-01-01T00:00:00Z", artifact="node"),
        image("node20", "devbox/artifact:node-b", created="2025-02-01T00:00:00Z", artifact="node"),
        image("theme", "devbox/artifact:theme-c", created="2024-01-01T00:00:00Z", artifact="theme"),
        image("help", "devbox/helper:a", created="2025-01-01T00:00:00Z", base="debian-12", helper_image="a"),
        image("help2", "devbox/helper:b", created="2025-02-01T00:00:00Z", base="debian-12", helper_image="b"),
    )
    assert found == ["devbox/base:debian-12-a", "devbox/artifact:node-a", "devbox/helper:a"]


KNOWN = Known(folder="/state/app-1", project="app", workspace="/home/me/app", there=False)


@pytest.mark.parametrize(
    ("known", "gone"),
    [
        (KNOWN, True),
        (replace(KNOWN, there=True), False),
        (replace(KNOWN, workspace=None), False),  # nobody knows what it is of
        (replace(KNOWN, precious=("/state/app-1/backup-password",)), False),
        (replace(KNOWN, restored=("/state/app-1/volumes.json",)), False),
    ],
)
def test_the_state_of_a_workspace_goes_with_it_unless_something_cannot_be_made_again(known: Known, gone: bool) -> None:
    assert [item.name for item in find_spare_states([known], ())] == (["/state/app-1"] if gone else [])


def test_the_state_of_what_lives_on_the_engine_stays() -> None:
    assert list(find_spare_states([KNOWN], ["app"])) == []  # also where it was made for the path of before a move
    assert len(list(find_spare_states([KNOWN], ["other"]))) == 1


def test_a_cache_entry_goes_by_the_days_that_nobody_used_it() -> None:
    cached = [Cached(path="/c/a", bytes=5, idle_days=30), Cached(path="/c/b", bytes=7, idle_days=29)]
    (found,) = find_spare_entries(cached, 30)
    assert (found.name, found.bytes, found.why) == ("/c/a", 5, "not used for 30 days")


def test_each_is_told_with_its_size_and_why() -> None:
    (found,) = find_spare_images([BUILT], used=(), wanted=(), newer_than="2027")
    head, line = describe_leftovers([replace(found, bytes=12_345_678)])
    assert head.split() == ["KIND", "UP", "TO", "NAME", "WHY"]
    assert line == "image  12.3 MB  devbox/headless:1  no workstation runs it or goes back to it"
