"""Every way in which an engine can fail is told apart, with a hint, and none ends in a traceback or a hang."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.adapters.buildkit import build_image, find_hint
from builder.adapters.engine import connection
from builder.adapters.engine.client import Engine, connect_engine
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.host import EngineHost, find_host
from builder.adapters.engine_look import look_containers
from builder.errors import BuildError, EngineError, SilentEngineError
from tests.unit.adapters.scripted_engine import VERSION, chunked, reply, scripted_engine

if TYPE_CHECKING:
    from builder.model import BuildEvent


def failure(environment: dict[str, str]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        connect_engine(environment)
    assert caught.value.hint
    return caught.value


def at(path: Path) -> dict[str, str]:
    return {"DOCKER_HOST": f"unix://{path}", "HOME": str(path.parent)}


def test_missing_socket_names_the_path(tmp_path: Path) -> None:
    error = failure(at(tmp_path / "none.sock"))
    assert f"there is no socket {tmp_path / 'none.sock'}" in error.message
    assert error.where == "DOCKER_HOST"


def test_a_plain_file_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is no socket" in failure(at(tmp_path / "file")).message


def test_socket_without_a_listener_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "dead.sock"))
    assert "no engine listens" in failure(at(tmp_path / "dead.sock")).message


def test_tcp_without_a_listener_is_refused(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "no engine listens" in failure({"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "HOME": str(tmp_path)}).message


def test_forbidden_socket_says_which_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may open every socket, so the refusal is made here, in the one call that would meet it.
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "engine.sock"))
        server.listen()
        monkeypatch.setattr(socket.socket, "connect", refuse)
        error = failure(at(tmp_path / "engine.sock"))
    assert "may not use the engine's socket" in error.message
    assert "usermod -aG docker" in (error.hint or "")


def test_engine_that_accepts_and_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 1.0)
    release = threading.Event()

    def never(_connection: socket.socket, _line: str) -> None:
        release.wait(10)

    with scripted_engine(tmp_path, {"/version": never}) as environment:
        began = time.monotonic()
        error = failure(environment)
        assert time.monotonic() - began < 3
        release.set()
    assert "does not answer" in error.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply({"message": "dial unix containerd.sock: gone"}, "500 Internal Server Error"), "containerd.sock: gone"),
        (reply(b"", "503 Service Unavailable"), "503"),
        (reply(b'{"ApiVersion": "1.4'), "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "broke"),
        (b"", "broke"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "broke"),
        (reply({"hello": "world"}), "no container engine"),
        (reply({**VERSION, "ApiVersion": "1.39", "Version": "18.09"}), "too old: it speaks API 1.39"),
        (reply({**VERSION, "ApiVersion": "1.99", "MinAPIVersion": "1.90"}), "too new"),
    ],
)
def test_answer_that_is_no_answer(tmp_path: Path, answer: bytes, words: str) -> None:
    with scripted_engine(tmp_path, {"/version": answer}) as environment:
        assert words in failure(environment).message


def test_engine_elsewhere_without_its_tunnel_is_named() -> None:
    told = failure({"DOCKER_HOST": "ssh://me@there", "XDG_RUNTIME_DIR": "/run"})
    assert "the tunnel to ssh://me@there" in told.message


@pytest.mark.parametrize("address", ["nonsense", "ftp://x", "unix://", "tcp//x"])
def test_address_that_is_none(tmp_path: Path, address: str) -> None:
    assert "is no address" in failure({"DOCKER_HOST": address, "HOME": str(tmp_path)}).message


def write_context(home: Path, name: str, host: str) -> None:
    folder = home / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_current_context_is_followed_and_docker_host_wins(tmp_path: Path) -> None:
    write_context(tmp_path, "work", "tcp://engine:2375")
    assert find_host({"HOME": str(tmp_path)}).url == "tcp://engine:2375"
    assert find_host({"HOME": str(tmp_path), "DOCKER_HOST": "unix:///x"}).url == "unix:///x"


def test_context_that_is_gone_is_named(tmp_path: Path) -> None:
    assert "'gone' does not exist" in failure({"HOME": str(tmp_path), "DOCKER_CONTEXT": "gone"}).message


def test_broken_docker_config_is_named(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    assert failure({"HOME": str(tmp_path)}).where == str(tmp_path / ".docker" / "config.json")


def test_rootless_socket_is_taken_where_there_is_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.adapters.engine.host.DEFAULT_SOCKET", tmp_path / "none")
    (tmp_path / "docker.sock").touch()
    found = find_host({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    assert (found.url, found.source) == (f"unix://{tmp_path}/docker.sock", "rootless socket")


# ------------------------------------------------------------------------------------------------- building


# Vertex { digest="d" name="n" started={seconds=1} } inside StatusResponse field 1, by hand.
TRACE = {"id": "moby.buildkit.trace", "aux": "CgoKAWQaAW4qAggB"}


@pytest.fixture
def events() -> list[BuildEvent]:
    return []


def build(engine: Engine, events: list[BuildEvent]) -> str:
    return build_image(engine, lambda: iter([b"tar"]), tag="t", on_event=events.append)


def test_build_that_fails_after_200_is_an_error(tmp_path: Path, events: list[BuildEvent]) -> None:
    answer = chunked({"errorDetail": {"message": "boom"}, "error": "boom"})
    with scripted_engine(tmp_path, {"/build": answer}) as environment, pytest.raises(BuildError, match="boom"):
        build(connect_engine(environment), events)


def test_build_without_an_image_is_an_error(tmp_path: Path, events: list[BuildEvent]) -> None:
    with (
        scripted_engine(tmp_path, {"/build": chunked({"stream": "hello"})}) as environment,
        pytest.raises(BuildError, match="without an image"),
    ):
        build(connect_engine(environment), events)


def test_build_whose_engine_dies_says_that_the_connection_broke(tmp_path: Path, events: list[BuildEvent]) -> None:
    broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"
    with (
        scripted_engine(tmp_path, {"/build": broken}) as environment,
        pytest.raises(EngineError, match="broke") as caught,
    ):
        build(connect_engine(environment), events)
    assert not isinstance(caught.value, BuildError)


def test_engine_without_buildkit_is_refused_before_anything_is_sent(tmp_path: Path, events: list[BuildEvent]) -> None:
    podman = {**VERSION, "Components": [{"Name": "Podman Engine"}]}
    with (
        scripted_engine(tmp_path, {"/version": reply(podman)}) as environment,
        pytest.raises(EngineError, match="no BuildKit"),
    ):
        build(connect_engine(environment), events)


def test_a_build_of_which_nothing_is_heard_is_cancelled_and_its_step_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[BuildEvent]
) -> None:
    monkeypatch.setattr("builder.adapters.buildkit.SILENCE_S", 0.3)
    cancelled = threading.Event()

    def build_for_ever(connection: socket.socket, line: str) -> None:
        connection.sendall(chunked(TRACE).removesuffix(b"0\r\n\r\n"))
        assert cancelled.wait(10)

    def cancel(connection: socket.socket, line: str) -> None:
        cancelled.set()  # before the answer, after which the test looks
        connection.sendall(reply({}))

    with (
        scripted_engine(tmp_path, {"/build/cancel": cancel, "/build": build_for_ever}) as environment,
        pytest.raises(EngineError, match="nothing was heard of the build") as caught,
    ):
        build(connect_engine(environment), events)
    assert cancelled.is_set()
    assert caught.value.where == "n"
    assert "disk is full" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("path", "act"),
    [
        ("/images/load", lambda engine, file: engine.load_image(iter([file.read_bytes()]))),
        ("/images/create", lambda engine, file: engine.import_tar(file, "base:1")),
    ],
)
def test_an_engine_that_took_an_image_and_says_nothing_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, act: Callable[[Engine, Path], object]
) -> None:
    monkeypatch.setattr("builder.adapters.engine.images.SILENCE_S", 0.3)
    (tmp_path / "image.tar").write_bytes(bytes(1024))
    over = threading.Event()

    def hang(connection: socket.socket, line: str) -> None:
        over.wait(10)

    with scripted_engine(tmp_path, {path: hang}) as environment:
        engine = connect_engine(environment)
        with pytest.raises(SilentEngineError, match=r"cannot (load|import) .* does not answer") as caught:
            act(engine, tmp_path / "image.tar")
        assert not over.is_set()
        over.set()
    assert (caught.value.where, caught.value.exit_code) == ("DOCKER_HOST", 5)
    assert "the engine hangs" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("At least one invalid signature was encountered.", "is the engine's disk full"),
        ("provides only weak security information.\nwrite (28: No space left on device)", "free some disk"),
        ("open /var/lib/docker/overlay2/x/committed: no such file or directory", "docker builder prune"),
    ],
)
def test_what_a_broken_engine_makes_of_a_step_has_a_hint(log: str, said: str) -> None:
    assert said in (find_hint(log) or "")


def test_interrupted_build_is_cancelled_by_its_id(tmp_path: Path) -> None:
    asked: list[str] = []

    def cancel(connection: socket.socket, line: str) -> None:
        asked.append(line)
        connection.sendall(reply({}))

    def interrupt(_event: BuildEvent) -> None:
        raise KeyboardInterrupt

    with scripted_engine(tmp_path, {"/build/cancel": cancel, "/build": chunked(TRACE)}) as environment:
        engine = connect_engine(environment)
        with pytest.raises(KeyboardInterrupt):
            build_image(engine, lambda: iter([b"tar"]), tag="t", on_event=interrupt, build_id="mine")
    assert len(asked) == 1
    assert "id=mine" in asked[0]


# --------------------------------------------------------------------------------------------- the quick look


CONTAINER = {
    "Id": "c1",
    "Names": ["/ws-workstation-1"],
    "State": "running",
    "Status": "Up 3 seconds (healthy)",
    "Image": "devbox/workstation:1",
    "ImageID": "sha256:1",
    "Labels": {"com.docker.compose.project": "ws", "dev.devbox.plan": "p", "dev.devbox.workspace": "/ws"},
    "Ports": [{"PrivatePort": 5901, "PublicPort": 15901, "Type": "tcp"}, {"PrivatePort": 22, "Type": "tcp"}],
    "Created": 0,
}


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[dict[str, str]]:
    with scripted_engine(tmp_path, {"/containers/json": reply([CONTAINER])}) as environment:
        yield environment


def test_quick_look_sees_what_the_sdk_sees(quick: dict[str, str]) -> None:
    looked = look_containers(quick, "dev.devbox.plan=p")
    assert looked == list(connect_engine(quick).find_containers("ws"))
    assert looked
    assert (looked[0].health, dict(looked[0].ports), looked[0].exit_code) == ("healthy", {5901: 15901}, 0)


def test_quick_look_leaves_failures_to_the_sdk(tmp_path: Path) -> None:
    assert look_containers(at(tmp_path / "none.sock"), "any") is None
    with scripted_engine(tmp_path, {"/containers/json": reply({"message": "no"}, "500 No")}) as environment:
        assert look_containers(environment, "any") is None
    assert look_containers({"DOCKER_HOST": "tcp://127.0.0.1:1", "HOME": str(tmp_path)}, "any") is None


def test_a_folder_that_an_engine_by_tcp_does_not_see_may_be_on_this_machine_alone() -> None:
    told = 'invalid mount config for type "bind": bind source path does not exist: /home/me/.local/state/devbox'
    near = EngineHost(url="unix:///run/docker.sock", source="default socket")
    assert "create that folder" in str(answer_error("cannot make x", 400, told, near))
    afar = EngineHost(url="tcp://192.0.2.7:2376", source="DOCKER_HOST")
    assert "--host ssh://" in str(answer_error("cannot make x", 400, told, afar))


def test_a_full_disk_is_that_of_the_machine_that_the_engine_is_on() -> None:
    host = EngineHost(url="unix:///run/engine.sock", source="--host", remote="ssh://me@far")
    assert "free some disk on ssh://me@far" in str(answer_error("cannot make x", 500, "no space left on device", host))
