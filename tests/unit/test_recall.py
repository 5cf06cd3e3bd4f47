"""The last answer of an `up` with nothing to do is given again, until anything that it was made of is another."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.adapters.installation import find_own_files
from builder.recall import recall
from builder.shortcut import answer, take_fingerprint
from tests.unit.adapters.scripted_engine import reply, scripted_engine
from tests.unit.test_shortcut import CONTAINER, lock_of, remember

SAID = "ws is up to date: nothing to do\n\n  vnc "


class Scene:
    """A workspace, and an engine that has one container, as the test says."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.container: dict[str, Any] | None = dict(CONTAINER)

    @property
    def words(self) -> list[str]:
        return ["-C", str(self.folder), "up"]

    def remember(self) -> None:
        fingerprint = take_fingerprint(self.folder, self.environment)
        remember(self.folder, {"fingerprint": fingerprint, "lock": lock_of(self.folder), "spec": "s"})

    def find(self) -> str | None:
        return answer(self.words, self.environment)

    def recall(self) -> str | None:
        return recall(self.words, self.environment)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    found: list[Scene] = []

    def tell(connection: Any, line: str) -> None:
        seen = found[0].container
        body = json.dumps([seen] if seen else [], separators=(",", ":")).encode()  # as the engine writes it
        connection.sendall(reply(body).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    now = time.time_ns
    monkeypatch.setattr("builder.shortcut.time.time_ns", lambda: now() + 2_000_000_000)  # all that is there is older
    with scripted_engine(tmp_path, {"/containers/json": tell}) as environment:
        folder = tmp_path / "ws"
        (folder / ".workstation").mkdir(parents=True)
        found.append(Scene(folder, environment))
        found[0].remember()
        yield found[0]


def test_an_answer_that_was_found_is_given_again_and_none_before(scene: Scene) -> None:
    assert scene.recall() is None
    said = scene.find()
    assert said is not None
    assert said.startswith(SAID)
    assert scene.recall() == said


@pytest.mark.parametrize("words", [[], ["status"], ["up", "--json"], ["-C", "up"], ["-C", "/none", "up"]], ids=str)
def test_what_is_not_plainly_up_is_left_to_others(scene: Scene, words: list[str]) -> None:
    scene.find()
    assert recall(words, scene.environment) is None


@pytest.mark.parametrize(
    "name", ["devbox.yaml", "devbox-lock.json", ".env", ".workstation/state.json", ".workstation/lock",
             "../.gitconfig", "../.config/git/config", "../.docker/config.json"],
)  # fmt: skip
def test_a_file_that_is_written_or_made_ends_it(scene: Scene, name: str) -> None:
    path = scene.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_bytes() if path.exists() else b""
    scene.find()
    assert scene.recall() is not None
    path.write_bytes(text)
    assert scene.recall() is None


@pytest.mark.parametrize("name", ["DOCKER_CONTEXT", "DOCKER_HOST", "HOME", "TZ", "XDG_CONFIG_HOME"])
def test_another_environment_ends_it(scene: Scene, name: str) -> None:
    cache = {"XDG_CACHE_HOME": str(Path(scene.environment["HOME"]) / ".cache")}
    scene.find()
    assert recall(scene.words, {**scene.environment, **cache}) is not None
    assert recall(scene.words, {**scene.environment, **cache, name: "other"}) is None


def test_devboxs_own_files_end_it(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "module.py").touch()
    monkeypatch.setattr("builder.shortcut.find_own_files", lambda: map(str, (code, *code.iterdir())))
    scene.find()
    assert scene.recall() is not None
    (code / "another.py").touch()
    assert scene.recall() is None


def test_all_own_files_and_folders_are_looked_at() -> None:
    found = set(map(Path, find_own_files()))
    package = Path(sys.modules["builder"].__path__[0])
    expected = {path for path in package.rglob("*") if "__pycache__" not in path.parts}
    assert expected <= found
    assert {package, package.parent / "images/tools/git.yaml", package.parent / "templates"} <= found


@pytest.mark.parametrize(
    "other", [None, {"Id": "c2"}, {"State": "exited"}, {"Status": "Up 2 seconds (health: starting)"},
              {"Status": "Up 1 minute (unhealthy)", "Labels": {"said": 'it was "Status":"Up 1 minute (healthy)"'}}],
    ids=str,
)  # fmt: skip
def test_another_container_or_one_that_is_not_well_ends_it(scene: Scene, other: dict[str, Any] | None) -> None:
    scene.find()
    scene.container = {**CONTAINER, **other} if other else None
    assert scene.recall() is None


def test_an_engine_that_does_not_answer_ends_it(scene: Scene) -> None:
    scene.find()
    Path(scene.environment["DOCKER_HOST"].removeprefix("unix://")).unlink()
    assert scene.recall() is None


@pytest.mark.parametrize(
    "text",
    ["framework: {path: tools}\n", "env_file: a.env\n", "expose: true\n", "ca_bundle: {path: ca.pem}\n"],
    ids=lambda text: text.partition(":")[0],
)
def test_where_more_than_these_files_decides_nothing_is_kept(scene: Scene, text: str) -> None:
    (scene.folder / "tools").mkdir()
    for name in ("ca.pem", "tools/pyproject.toml"):
        (scene.folder / name).touch()
    (scene.folder / "devbox.yaml").write_text(text)
    scene.remember()
    assert scene.find() is not None
    assert scene.recall() is None


def test_what_may_have_changed_while_the_answer_was_found_is_not_kept(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the files of the scene are of this moment
    assert scene.find() is not None
    assert scene.recall() is None


@pytest.mark.parametrize(
    "damage", [lambda text: text[:99], lambda _: "", lambda _: "\0" * 9], ids=["cut", "empty", "odd"]
)
def test_a_damaged_one_is_found_anew(scene: Scene, damage: Callable[[str], str]) -> None:
    said = scene.find()
    (kept,) = (Path(scene.environment["HOME"]) / ".cache/devbox/recalled").iterdir()
    kept.write_text(damage(kept.read_text()))
    assert scene.recall() is None
    assert scene.find() == said == scene.recall()


def test_a_cache_that_cannot_be_written_is_no_failure(scene: Scene) -> None:
    (Path(scene.environment["HOME"]) / ".cache").touch()
    assert (scene.find() or "").startswith(SAID)


def test_it_loads_what_python_has_and_a_module_for_the_socket() -> None:
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules);"
        "from builder.__main__ import recall; recall(['up'], {}); print(*set(sys.modules) - before)"
    )
    argv = [sys.executable, "-I", "-S", "-c", script, str(Path(__file__).parents[2])]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    ours = {"builder", "builder.__main__", "builder.recall"}
    assert set(done.stdout.split()) == {"__future__", "_socket", "errno", "gc"} | ours
