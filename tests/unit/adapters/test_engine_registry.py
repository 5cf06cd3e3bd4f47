"""What an engine tells of a registry, told apart: not there, no login, no right, no answer; and which login it gets."""

from __future__ import annotations

import base64
import json
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.adapters.engine import registry
from builder.adapters.engine.client import connect_engine
from builder.errors import EngineError
from tests.unit.adapters.scripted_engine import VERSION, Answer, chunked, reply, scripted_engine

PLACE = "registry.example:5000"
IMAGE = f"{PLACE}/team/headless:0123"
FOUND = {"Id": "sha256:1", "RepoTags": [IMAGE], "Config": {"Labels": {"a": "b"}}, "Architecture": "amd64"}
THERE = {"/distribution/": reply({"Descriptor": {}}), "/images/create": chunked({"status": "Downloading"})}


def silent(*_: object) -> None:
    """Of progress nothing is wanted."""


def fetch(folder: Path, answers: Mapping[str, bytes | Answer]) -> object:
    with scripted_engine(folder, answers) as environment:
        return connect_engine(environment).fetch_shared(IMAGE, silent)


def test_an_image_that_is_there_is_pulled_and_one_that_is_not_is_none(tmp_path: Path) -> None:
    asked: list[str] = []

    def found(connection: socket.socket, line: str) -> None:
        asked.append(line)
        connection.sendall(reply({"Descriptor": {}}))

    there = fetch(tmp_path, {**THERE, "/distribution/": found, f"GET /v1.41/images/{IMAGE}/json": reply(FOUND)})
    assert getattr(there, "id", None) == "sha256:1"
    assert asked == [f"GET /v1.41/distribution/{IMAGE}/json HTTP/1.1"]
    (tmp_path / "none").mkdir()
    gone = reply({"message": "manifest unknown: manifest unknown"}, "404 Not Found")
    assert fetch(tmp_path / "none", {"/distribution/": gone}) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (reply({"message": "unauthorized: authentication required"}, "401 No"), "docker login"),
        (reply({"message": "denied: requested access to the resource is denied"}, "403 No"), "for the right to it"),
        (reply({"message": "Get x: x509: certificate signed by unknown authority"}, "500 No"), "certs.d"),
        (reply({"message": "http: server gave HTTP response to HTTPS client"}, "500 No"), "insecure-registries"),
        (reply({"message": "dial tcp: lookup registry.example: no such host"}, "500 No"), "DNS"),
        (reply({"message": "dial tcp 192.0.2.1:443: connect: connection refused"}, "500 No"), "cannot get there"),
        (reply({"message": 'unknown: {"errors": [{"code": "MANIFEST_UNKNOWN"}]}'}, "500 No"), "no such image"),
    ],
    ids=["no login", "no right", "certificate", "plain HTTP", "no such host", "nobody listens", "no image"],
)
def test_a_registry_that_refuses_is_told_with_what_helps(tmp_path: Path, answer: bytes, hint: str) -> None:
    with pytest.raises(EngineError, match=f"cannot ask for {IMAGE}") as caught:
        fetch(tmp_path, {"/distribution/": answer})
    assert hint in (caught.value.hint or "")


def test_a_registry_that_is_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LOOK_S", 0.3)
    release = threading.Event()

    def never(_connection: socket.socket, _line: str) -> None:
        release.wait(10)

    began = time.monotonic()
    with pytest.raises(EngineError, match=r"its registry did not answer within 0\.3 s"):
        fetch(tmp_path, {"/distribution/": never})
    assert time.monotonic() - began < 3
    release.set()


@pytest.mark.parametrize("words", registry.ABSENT)
def test_podman_is_asked_by_a_pull(tmp_path: Path, words: str) -> None:
    podman = reply({**VERSION, "Components": [{"Name": "Podman Engine"}]})
    refused = chunked({"error": f"reading manifest 0123: {words}"})
    assert fetch(tmp_path, {"/version": podman, "/images/create": refused}) is None
    (tmp_path / "denied").mkdir()
    with pytest.raises(EngineError, match="unauthorized"):
        fetch(tmp_path / "denied", {"/version": podman, "/images/create": chunked({"error": "unauthorized"})})


# ---------------------------------------------------------------------------------------------------- a push


def push(folder: Path, *messages: object) -> str:
    with scripted_engine(folder, {"/push": chunked(*messages)}) as environment:
        return connect_engine(environment).push(IMAGE, silent)


def test_a_push_ends_with_the_digest_and_tells_bytes_of_all_layers_together(tmp_path: Path) -> None:
    messages = (
        {"status": "Pushing", "id": "a", "progressDetail": {"current": 1, "total": 10}},
        {"status": "Layer already exists", "id": "c"},
        {"status": "Pushing", "id": "b", "progressDetail": {"current": 5, "total": 20}},
        {"status": "Pushing", "id": "a", "progressDetail": {"current": 10, "total": 10}},
        {"progressDetail": {}, "aux": {"Tag": "0123", "Digest": "sha256:d", "Size": 1}},
    )
    told: list[tuple[int, int]] = []
    with scripted_engine(tmp_path, {"/push?tag=0123": chunked(*messages)}) as environment:
        assert connect_engine(environment).push(IMAGE, lambda *now: told.append(now)) == "sha256:d"
    assert told == [(1, 10), (6, 30), (15, 30)]


def test_a_push_that_fails_after_it_began_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot push .*: no basic auth credentials") as caught:
        push(tmp_path, {"status": "Preparing"}, {"error": "no basic auth credentials"})
    assert "docker login" in (caught.value.hint or "")


# ---------------------------------------------------------------------------------------------------- logins


def header_of(folder: Path) -> object:
    """What the engine gets as the login of a push."""
    with scripted_engine(Path(tempfile.mkdtemp(dir=folder)), {}) as environment:
        header = connect_engine(environment)._login(IMAGE)["X-Registry-Auth"]
    return json.loads(base64.urlsafe_b64decode(header))


def write_settings(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: object) -> None:
    (folder / "config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def test_the_login_is_that_of_the_person_for_this_registry_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = base64.b64encode(b"robot:geheim").decode()
    write_settings(tmp_path, monkeypatch, {"auths": {PLACE: {"auth": auth}, "other.example": {"auth": auth}}})
    found = header_of(tmp_path)
    assert isinstance(found, dict)
    assert (found["username"], found["password"]) == ("robot", "geheim")
    write_settings(tmp_path, monkeypatch, {"auths": {"other.example": {"auth": auth}}})
    assert header_of(tmp_path) == {}


def test_a_credential_helper_is_asked_and_one_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-kept"
    kept = '{"Username":"me","Secret":"geheim"}'
    helper.write_text(f"#!/bin/sh\nread place\ntest $place = {PLACE} && echo '{kept}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write_settings(tmp_path, monkeypatch, {"credHelpers": {PLACE: "kept"}})
    assert header_of(tmp_path) == {"ServerAddress": PLACE, "Username": "me", "Password": "geheim"}
    helper.write_text("#!/bin/sh\necho the keyring is locked; exit 1\n")
    refused = ({"credHelpers": {PLACE: "kept"}}, "the keyring is locked"), ({"credsStore": "gone"}, "gone")
    for settings, reason in refused:
        write_settings(tmp_path, monkeypatch, settings)
        with pytest.raises(EngineError, match=reason) as caught:
            push(Path(tempfile.mkdtemp(dir=tmp_path)))
        assert "docker-credential-" in (caught.value.hint or "")
