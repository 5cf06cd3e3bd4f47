"""One machine builds and pushes, the other one, an engine with nothing on it, takes the image and builds nothing.

The registry is a real one. What must not be taken from it, or cannot be, is told, and a build follows: there the relay
cuts the request for one, so that nothing is built for nothing.
"""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import shutil
import socket
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine, connect_engine
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.docker_registry import Registry, find_program, serve_registry
from tests.engine.faults.relays import BUILD
from tests.engine.relay import Relay, Trap, relay
from tests.engine.second_engine import second_engine

pytestmark = pytest.mark.engine_26

CONFIG = "profile: headless\nbase: debian-12\nports: {dev: false}\n"
OTHER = f"{CONFIG}user: somebody\n"  # nobody has built it, and its lock is the same: no mirror is asked
LOGIN = "robot"
LOCK = "devbox-lock.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """Two doors to the same images."""

    open: Registry
    closed: Registry
    password: str


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]) -> Iterator[Registries]:
    program = find_program(Path(environment["XDG_CACHE_HOME"]))
    data, password = tmp_path_factory.mktemp("registry") / "data", f"canary-{secrets.token_hex(8)}"
    with serve_registry(program, data) as plain, serve_registry(program, data, logins={LOGIN: password}) as closed:
        yield Registries(open=plain, closed=closed, password=password)


def log_in(folder: Path, place: str, password: str) -> dict[str, str]:
    """The environment of somebody who is logged in there."""
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"{LOGIN}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {place: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(folder)}


def config(registry: Registry, text: str = CONFIG) -> str:
    return f"{text}cache: {registry.place}/team\n"


@pytest.fixture(scope="module")
def first(session_workstations: NewWorkstation) -> Workstation:
    """The machine that has built."""
    workstation = session_workstations("shared-first")
    workstation.write(CONFIG)
    workstation.ok("build")
    return workstation


def test_what_one_machine_pushed_with_a_login_the_other_one_starts_without_a_build(
    first: Workstation, registries: Registries, new_workstation: NewWorkstation, engine: Engine, tmp_path: Path
) -> None:
    closed = registries.closed
    login = log_in(tmp_path / "docker", closed.place, registries.password)
    first.write(config(closed))
    refused = first.run("push")
    assert refused.returncode == 5, refused.stderr
    assert re.search("cannot push .*(no basic auth credentials|unauthorized)", refused.stderr)
    assert "hint: log in to that registry with `docker login`" in refused.stderr

    done = first.run("push", "--json", environment=login)
    assert done.returncode == 0, done.stderr
    pushed = json.loads(done.stdout)
    assert pushed["reference"] == f"{closed.place}/team/{pushed['image'].removeprefix('devbox/')}"
    assert re.fullmatch("sha256:[0-9a-f]{64}", pushed["digest"])
    assert re.search(r"push: .*, [0-9.]+ MB of [0-9.]+ MB", done.stderr)
    built = engine.find_image(pushed["image"])
    assert built is not None
    assert not [tag for tag in built.tags if tag.startswith(closed.place)]

    with second_engine(tmp_path / "data") as second, relay(tmp_path, f"{second.run}/docker.sock") as door:
        other = new_workstation("shared-second", config(closed))
        shutil.copy(first.folder / LOCK, other.folder / LOCK)
        other.environment = {**other.environment, **login, "DOCKER_HOST": door.host}
        up = other.up()
        assert f"✓ {pushed['reference']} pulled" in up.stderr
        assert door.asked(r"POST /build\?") == []
        own = connect_engine({"DOCKER_HOST": second.host})
        pulled = own.find_image(pushed["image"])
        assert pulled is not None
        assert (pulled.id, pulled.tags, pulled.labels) == (built.id, (pushed["image"],), built.labels)
        assert other.inside("id", "-un") == "dev\n"

        assert "nothing to do" in other.up().stdout
        assert other.ok("build") == f"{pushed['image']} is there already: nothing to do\n"
        assert len(door.asked("GET /distribution/")) == 1  # of the first `up`
        check_open_door(other, own, registries.open, pushed["image"])
        said = b"".join(bytes(talk) for talk in door.said)
        other.take_away()
    texts = [refused.stderr, done.stdout, done.stderr, up.stdout, up.stderr]
    written = [path for path in (first.folder / ".workstation").rglob("*") if path.is_file()]
    texts += [path.read_text(errors="replace") for path in written]
    assert not [text for text in texts if registries.password in text]
    assert registries.password.encode() not in said  # in one header alone, and encoded there


def check_open_door(other: Workstation, own: Engine, door: Registry, image: str) -> None:
    """`pull` from a registry that asks for no login. The layers are kept under another name: to move them again proves
    nothing more."""
    own.tag(image, "kept:1")
    other.take_away()
    own.remove_image(image)
    other.write(config(door))
    assert other.ok("pull") == f"{image} pulled\n"
    assert own.image_exists(image)
    assert json.loads(other.ok("pull", "--json"))["changed"] is False


# ------------------------------------------------------------------------------------------- what is not taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanting:
    """A machine that has no image, whose engine is asked for a build in vain."""

    workstation: Workstation
    door: Relay

    def build(self, text: str, **environment: str) -> str:
        """What is said until the build begins."""
        self.workstation.write(text)
        before = len(self.door.asked(BUILD))
        done = self.workstation.run("build", environment={"DOCKER_HOST": self.door.host, **environment})
        assert done.returncode == 5, done.stderr
        assert len(self.door.asked(BUILD)) == before + 1
        return done.stderr


@pytest.fixture
def wanting(first: Workstation, new_workstation: NewWorkstation, engine: Engine, tmp_path: Path) -> Iterator[Wanting]:
    traps = [Trap(request=r"POST /build\?") for _ in range(8)]  # each springs once; a build may have a head start
    with relay(tmp_path, str(engine.host.socket), *traps) as door:
        workstation = new_workstation("shared-wanting")
        shutil.copy(first.folder / LOCK, workstation.folder / LOCK)
        yield Wanting(workstation=workstation, door=door)


def test_a_registry_without_the_image_with_a_wrong_login_absent_or_silent_is_told_and_the_build_goes_on(
    wanting: Wanting, registries: Registries, tmp_path: Path
) -> None:
    assert f"there is no {registries.open.place}/team/headless:" in wanting.build(config(registries.open, OTHER))
    wrong = log_in(tmp_path / "docker", registries.closed.place, "wrong")
    told = wanting.build(config(registries.closed, OTHER), **wrong)
    assert re.search("the shared image is not taken: .*unauthorized.*docker login", told)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{server.getsockname()[1]}"
        told = wanting.build(f"{OTHER}cache: {place}/team\n")
        assert re.search("the shared image is not taken: .*connection refused", told)
        server.listen()
        began = time.monotonic()
        told = wanting.build(f"{OTHER}cache: {place}/team\n")
    assert re.search("the shared image is not taken: .*its registry did not answer within 5 s", told)
    assert time.monotonic() - began < 15


def test_an_image_of_that_name_with_other_labels_is_told_and_not_kept(
    wanting: Wanting, registries: Registries, engine: Engine, tmp_path: Path
) -> None:
    text = config(registries.open, OTHER)
    wanting.workstation.write(text)
    plan = json.loads(wanting.workstation.ok("plan", "--json"))
    reference = f"{registries.open.place}/team/{plan['image'].removeprefix('devbox/')}"
    empty = tmp_path / "empty.tar"
    with tarfile.open(empty, "w") as archive:
        archive.addfile(tarfile.TarInfo("file"), io.BytesIO())
    labels = {**plan["labels"], "dev.devbox.base": "debian-11"}
    impostor = engine.import_tar(empty, reference, labels)
    engine.push(reference, lambda *_: None)
    engine.remove_image(reference)

    told = wanting.build(text)
    assert f"{reference} is another image: its labels dev.devbox.base are not the plan's" in told
    assert not engine.image_exists(impostor)
    failed = wanting.workstation.run("pull")
    assert failed.returncode == 5
    assert "is another image" in failed.stderr
    assert not engine.image_exists(plan["image"])
