"""Which layers of an image an engine has, as it must take them from itself when that image is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.adapters.engine.client import connect_engine
from tests.unit.adapters.scripted_engine import VERSION, reply, scripted_engine

LAYERS = ("sha256:a", "sha256:b", "sha256:c")
OVERLAY = [["Backing Filesystem", "extfs"]]


def describe(*layers: str) -> bytes:
    return reply({"Id": "i", "Config": {}, "RootFS": {"Layers": list(layers)}})


def ask(folder: Path, status: list[list[str]] = OVERLAY, components: list[dict[str, str]] | None = None) -> int:
    answers = {
        "/version": reply({**VERSION, "Components": components or []}),
        "/info": reply({"DriverStatus": status}),
        "/images/json": reply([{"Id": "one"}, {"Id": "other"}, {"Id": "gone"}]),
        "/images/one/json": describe("sha256:a", "sha256:x", "sha256:c"),
        "/images/other/json": describe("sha256:a", "sha256:b"),
        "/images/gone/json": reply({"message": "no such image"}, "404 Not Found"),
    }
    with scripted_engine(folder, answers) as environment:
        return connect_engine(environment).count_shared(LAYERS)


def test_the_image_that_has_most_of_them_counts(tmp_path: Path) -> None:
    assert ask(tmp_path) == 2


@pytest.mark.parametrize(
    ("status", "components"),
    [
        ([["driver-type", "io.containerd.snapshotter.v1"]], None),
        (OVERLAY, [{"Name": "Podman Engine", "Version": "4.3.1"}]),
    ],
    ids=["containerd's image store", "podman"],
)
def test_an_engine_that_wants_whole_images_shares_none(
    tmp_path: Path, status: list[list[str]], components: list[dict[str, str]] | None
) -> None:
    assert ask(tmp_path, status, components) == 0
