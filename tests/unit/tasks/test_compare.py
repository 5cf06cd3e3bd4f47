"""Which two images `compare` takes, and how it tells what it found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.core.compare import compare_images
from builder.core.layers import SavedImage
from builder.errors import ConfigError, EngineError
from builder.tasks.compare import compare, describe_comparison
from tests.unit.core.saved_images import TIME, file, read
from tests.unit.tasks.fakes import FakeEngine, World, make_container, make_image

ONE = read([[file("a")]], created_by=["RUN one"])
OTHER = read([[file("a", b"new!"), file("t", mtime=TIME + 1)]], created_by=["RUN one"])


def read_file(path: Path, wanted: Callable[[str], object]) -> SavedImage:
    return OTHER


def test_one_image_is_compared_with_that_of_this_folder(tmp_path: Path) -> None:
    engine = FakeEngine(
        images={"sha256:old": make_image("old"), "b:1": make_image("b:1")},
        containers={"my-app": make_container()},
        saved={"sha256:old": ONE, "sha256:b:1": OTHER},
    )
    found = compare(World(engine=engine).context(), "my-app", ["b:1"], read_file)
    assert [(item.path, item.change) for item in found.files] == [("/a", "changed"), ("/t", "added")]


def test_a_file_is_read_as_one_and_is_told_when_it_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.touch()
    engine = FakeEngine(images={"a:1": make_image("a:1")}, saved={"sha256:a:1": OTHER})
    context = World(engine=engine).context()
    assert compare(context, "my-app", ["a:1", str(path)], read_file).level == "R3"
    with pytest.raises(ConfigError, match="there is no such file"):
        compare(context, "my-app", ["a:1", str(tmp_path / "none.tar")], read_file)
    with pytest.raises(EngineError, match="the engine has no image none:1"):
        compare(context, "my-app", ["a:1", "none:1"], read_file)
    with pytest.raises(EngineError, match="the engine has no image xxx"):
        compare(context, "my-app", ["a:1", "x" * 5000], read_file)


def test_files_are_told_below_their_step_and_times_are_counted() -> None:
    before = read([[file("a"), file("t")]], created_by=["RUN one"])
    text = describe_comparison(compare_images(before, OTHER))
    assert "R1  yes  the same packages\nR2  no " in text
    assert "0 of 1 layers are the same: not RUN one" in text
    assert "\nRUN one\n  changed  /a\n           content: 4 bytes, sha256 " in text
    assert text.endswith("times alone differ (--json lists them)\n  RUN one: 1")


def test_many_files_are_cut_short_and_counted() -> None:
    many = read([[file(f"f{number:02}") for number in range(25)]])
    text = describe_comparison(compare_images(read([[]]), many))
    assert text.count("  added ") == 20
    assert text.endswith("and 5 more (--json lists all)")
