"""Building for real: stages side by side, caches, failures told by their instruction, and no build left behind."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.adapters.buildcontext import read_context
from builder.adapters.buildkit import build_image, cancel_build
from builder.adapters.clock import wait_for
from builder.errors import BuildError
from builder.model import BuildEvent, RenderedFile

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine

pytestmark = pytest.mark.engines


@pytest.fixture
def tag(engine: Engine) -> Iterator[str]:
    name = f"devbox-test/{uuid.uuid4().hex[:12]}:1"
    yield name
    engine.remove_image(name, force=True)


class Builds:
    """Builds Dockerfiles that were never built before: a nonce keeps the engine's cache out."""

    def __init__(self, engine: Engine, base: str, tag: str) -> None:
        self.engine, self.base, self.tag = engine, base, tag
        self.events: list[BuildEvent] = []

    def __call__(
        self, text: str, *, folders: dict[str, Path] | None = None, secrets: dict[str, bytes] | None = None
    ) -> str:
        dockerfile = text.replace("BASE", self.base).replace("NONCE", uuid.uuid4().hex)
        tree = {"Dockerfile": RenderedFile(data=dockerfile.encode())}
        self.engine.remove_image(self.tag)  # an image that only loses its tag would stay for ever
        return build_image(
            self.engine,
            lambda: read_context(tree, folders or {}),
            tag=self.tag,
            on_event=self.events.append,
            secrets=secrets,
        )

    def seconds(self, mark: str) -> float:
        return next(event.seconds for event in self.events if event.state == "done" and mark in event.vertex)


@pytest.fixture
def build(engine: Engine, base_image: str, tag: str) -> Builds:
    return Builds(engine, base_image, tag)


def test_stages_that_do_not_need_each_other_are_built_side_by_side(build: Builds) -> None:
    build("FROM BASE AS warm\nRUN echo NONCE")
    build.events.clear()
    began = time.monotonic()
    image = build(
        "FROM BASE AS one\nRUN sleep 3 # one NONCE\n"
        "FROM BASE AS two\nRUN sleep 3 # two NONCE\n"
        "FROM BASE\nCOPY --from=one /etc/passwd /one\nCOPY --from=two /etc/passwd /two\n"
    )
    assert time.monotonic() - began < build.seconds("[one 2/2]") + build.seconds("[two 2/2]")
    assert image.startswith("sha256:")
    found = build.engine.find_image(build.tag)
    assert found
    assert found.id == image


def test_labels_and_arguments_arrive(build: Builds) -> None:
    dockerfile = "FROM BASE\nARG word\nRUN echo said-$word NONCE\n"
    tree = {"Dockerfile": RenderedFile(data=dockerfile.replace("BASE", build.base).encode())}
    build_image(
        build.engine,
        lambda: read_context(tree, {}),
        tag=build.tag,
        on_event=build.events.append,
        labels={"devdev": "engine"},
        arguments={"word": "hello"},
        fresh=True,
    )
    found = build.engine.find_image(build.tag)
    assert found
    assert found.labels["devdev"] == "engine"
    assert any("said-hello" in event.log for event in build.events)


def test_cache_mount_outlives_a_build(build: Builds) -> None:
    mount = f"RUN --mount=type=cache,target=/var/cache/devbox,id={uuid.uuid4().hex}"
    build(f"FROM BASE\n{mount} echo NONCE && touch /var/cache/devbox/mark\n")
    build(f"FROM BASE\n{mount} echo NONCE && ls /var/cache/devbox\n")
    assert any(event.log == "mark" for event in build.events)


def test_a_build_joins_the_stage_that_another_one_is_at(build: Builds) -> None:
    """What a head start stands on: the same instructions and files, in two contexts that differ elsewhere."""
    engine, head, events = build.engine, f"{build.tag}-head", list[BuildEvent]()
    step = f"RUN --mount=type=secret,id=none sleep 3 && cat /proc/sys/kernel/random/uuid >/mark # {uuid.uuid4().hex}"
    text = f"FROM {build.base} AS debian\nCOPY base /base\n{step}\nFROM debian\nCOPY own /own\n"
    tree = {"Dockerfile": RenderedFile(data=text.encode()), "base": RenderedFile(data=b"base")}
    own = {"own": RenderedFile(data=b"own")}
    thread = threading.Thread(
        target=engine.build, args=(tree, {}, head, events.append), kwargs={"secrets": {}, "target": "debian"}
    )
    thread.start()
    try:
        wait_for(
            "the step", lambda: any("RUN" in event.vertex for event in events) or None, deadline_s=20, interval_s=0.1
        )
        engine.build(tree | own, {}, build.tag, build.events.append, secrets={})
        thread.join()
        files = [file for tag in (head, build.tag) for file in engine.read_files(tag, lambda path: path == "mark")]
        marks = [file.data for file in files if file.path == "mark"]
    finally:
        thread.join()
        engine.remove_image(head, force=True)
    assert len(marks) == 2
    assert len(set(marks)) == 1
    assert [event.state for event in events if "RUN" in event.vertex and not event.log] == ["running", "done"]


def test_second_build_is_cached(build: Builds) -> None:
    word = uuid.uuid4().hex
    build(f"FROM BASE\nRUN echo {word}\n")
    build.events.clear()
    build(f"FROM BASE\nRUN echo {word}\n")
    assert [event.state for event in build.events if word in event.vertex] == ["cached"]


def test_failing_step_is_named_with_the_end_of_its_log(build: Builds) -> None:
    with pytest.raises(BuildError) as caught:
        build(
            "FROM BASE AS good\nRUN sleep 20 # NONCE\n"
            "FROM BASE AS bad\nRUN seq 30 && sleep 0.3 && echo cannot go on >&2 && exit 7 # NONCE\n"
            "FROM BASE\nCOPY --from=good /x /x\nCOPY --from=bad /x /x\n"
        )
    assert (caught.value.where or "").startswith("[bad ")
    assert caught.value.message == "the command ended with exit code 7"
    lines = (caught.value.detail or "").splitlines()
    assert len(lines) == 20
    assert {"30", "cannot go on"} <= set(lines)


def test_dockerfile_that_is_none_is_a_build_error(build: Builds) -> None:
    with pytest.raises(BuildError, match=r"(?i)unknown instruction"):
        build("FROM BASE\nNOTHING here\n")


def test_large_context_arrives_whole(build: Builds, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(60_000_000)
    build("FROM BASE\nCOPY data/large /large\nRUN stat -c size-%s /large # NONCE\n", folders={"data": tmp_path})
    assert any(event.log == "size-60000000" for event in build.events)


def running_sleeps(mark: str) -> int:
    """Processes of this machine whose command line has `mark`: a build step runs as one of them."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            count += (folder / "cmdline").read_bytes().split(b"\0")[:2] == [b"sleep", mark.encode()]
        except OSError:  # ended meanwhile
            continue
    return count


@pytest.mark.parametrize("way", ["ctrl-c", "other thread"])
def test_interrupted_build_ends_on_the_engine_too(build: Builds, way: str) -> None:
    mark = f"300.{uuid.uuid4().int % 10**9}"
    build_id = uuid.uuid4().hex

    def interrupt(event: BuildEvent) -> None:
        if "going" not in event.log:
            return
        wait_for("the step", lambda: running_sleeps(mark) or None, deadline_s=10, interval_s=0.05)
        if way == "ctrl-c":
            raise KeyboardInterrupt
        threading.Thread(target=cancel_build, args=(build.engine, build_id)).start()

    dockerfile = f"FROM {build.base}\nRUN echo going && sleep {mark}\n"
    tree = {"Dockerfile": RenderedFile(data=dockerfile.encode())}
    with pytest.raises(KeyboardInterrupt if way == "ctrl-c" else BuildError):
        build_image(build.engine, lambda: read_context(tree, {}), tag=build.tag, on_event=interrupt, build_id=build_id)
    wait_for("the step to end", lambda: None if running_sleeps(mark) else True, deadline_s=10, interval_s=0.05)
    assert build.engine.find_image(build.tag) is None


def test_a_secret_is_there_for_the_step_that_mounts_it_and_for_nobody_else(build: Builds, engine: Engine) -> None:
    nonce = uuid.uuid4().hex
    text = (
        f"FROM BASE\nRUN --mount=type=secret,id=one --mount=type=secret,id=none : {nonce};"
        " sha256sum /run/secrets/one; test ! -e /run/secrets/none\n"
        f"RUN test ! -s /run/secrets/one # {nonce}"
    )
    build(text, secrets={"one": b"geheim"})
    digest = hashlib.sha256(b"geheim").hexdigest()
    assert any(digest in event.log for event in build.events)
    build.events.clear()

    build(text, secrets={"one": b"another"})  # what it holds changes nothing of the step

    assert [event.state for event in build.events if "sha256sum" in event.vertex][-1] == "cached"


def test_a_failing_build_with_secrets_ends_as_one_without(build: Builds) -> None:
    with pytest.raises(BuildError, match="exit code 7"):
        build("FROM BASE\nRUN --mount=type=secret,id=one exit 7 # NONCE", secrets={"one": b"geheim"})
    assert not [thread for thread in threading.enumerate() if thread.name == "build-session"]
