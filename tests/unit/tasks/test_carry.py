"""`save` and `load`: which image travels, and when one is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import ConfigError, EngineError
from builder.tasks.carry import load_image, save_image
from builder.tasks.interfaces import Progress
from tests.unit.tasks.fakes import FakeEngine, World, make_image

NAME = "devbox/workstation:870f"
IMAGE = make_image(NAME, {"dev.devbox.plan": "870f"})
ABOUT = {"image": NAME, "plan": "870f", "arch": "amd64", "devbox": "1"}
FILE = Path("image.tar.zst")


class Written:
    """Stands for the file."""

    def __init__(self) -> None:
        self.data = b""
        self.about: Mapping[str, str] = {}

    def write(self, path: Path, chunks: Iterator[bytes], about: Mapping[str, str], progress: Progress) -> int:
        self.data, self.about = b"".join(chunks), about
        return len(self.data)

    def read(self, path: Path, progress: Progress) -> Iterator[bytes]:
        yield self.data


def test_an_image_is_saved_by_its_tag_with_what_it_is() -> None:
    file = Written()
    save_image(World(engine=FakeEngine(images={NAME: IMAGE})).context(), "my-app", NAME, FILE, file.write)
    assert (file.data, file.about) == (f"tar of {NAME}".encode(), ABOUT)


@pytest.mark.parametrize(
    ("image", "reason"),
    [(make_image("other:1"), "was not built by devbox"), (replace(IMAGE, tags=()), "has no tag to come back under")],
    ids=["foreign", "without a tag"],
)
def test_an_image_that_could_not_come_back_is_not_saved(image: object, reason: str) -> None:
    engine = FakeEngine(images={"it": image})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=reason):
        save_image(World(engine=engine).context(), "my-app", "it", FILE, Written().write)


def test_an_image_comes_onto_an_engine_that_does_not_have_it_and_only_there() -> None:
    engine = FakeEngine(loadable={NAME: IMAGE})
    file = Written()
    file.data = b"tar"
    for _ in range(2):
        assert load_image(World(engine=engine).context(), FILE, ABOUT, file.read) == IMAGE
    assert engine.acts == ["load tar"]


def test_an_image_for_another_processor_is_refused_before_it_is_sent() -> None:
    engine = FakeEngine(loadable={NAME: IMAGE})
    with pytest.raises(ConfigError, match="the image is for arm64, and this engine for amd64"):
        load_image(World(engine=engine).context(), FILE, {**ABOUT, "arch": "arm64"}, Written().read)
    assert engine.acts == []


@pytest.mark.parametrize("found", [{}, {NAME: make_image(NAME, {"dev.devbox.plan": "other"})}], ids=["none", "another"])
def test_a_file_that_held_another_image_than_it_said_is_told(found: dict[str, object]) -> None:
    engine = FakeEngine(loadable=found)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=f"has no {NAME} of the plan 870f now"):
        load_image(World(engine=engine).context(), FILE, ABOUT, Written().read)
