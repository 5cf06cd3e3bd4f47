"""The engine's verbs on a real engine: one small container made from a ServiceSpec, used in every way devbox does."""

from __future__ import annotations

import json
import os
import pty
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine, connect_engine
from builder.adapters.engine.terminal import LocalTerminal
from builder.adapters.engine_look import look_at_output, look_containers
from builder.errors import EngineError
from builder.model import HealthSpec, Mount, PublishedPort, RenderedFile, ServiceSpec, VolumeSpec
from tests.engine.addresses import find_free_port
from tests.engine.inspect_diff import comparable, differences

pytestmark = pytest.mark.engines
Act = Callable[[docker.APIClient, ServiceSpec], object]
DOCKERFILE = """\
FROM BASE
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
RUN useradd --create-home dev
ENTRYPOINT ["sh", "-c", "echo to-out; echo to-err >&2; trap 'exit 3' TERM; while :; do sleep 0.1; done"]
"""


@pytest.fixture(scope="module")
def image(engine: Engine, base_image: str) -> Iterator[str]:
    name = f"devbox-test/{uuid.uuid4().hex[:12]}:1"
    tree = {"Dockerfile": RenderedFile(data=DOCKERFILE.replace("BASE", base_image).encode())}
    engine.build(tree, {}, name, lambda event: None)
    yield name
    engine.remove_image(name, force=True)


@pytest.fixture(scope="module")
def spec(image: str, tmp_path_factory: pytest.TempPathFactory) -> ServiceSpec:
    folder = tmp_path_factory.mktemp("workspace")
    for name in ("secrets", "with:colon"):
        (folder / name).mkdir()
    project = f"devboxtest{uuid.uuid4().hex[:8]}"
    return ServiceSpec(
        project=project,
        service="workstation",
        image=image,
        hostname="ws",
        environment={"WORD": "two words"},
        labels={"dev.devbox.plan": "p", "dev.devbox.spec": "s", "dev.devbox.workspace": str(folder)},
        ports=(PublishedPort(name="web", container=6080, host=find_free_port(), bind="127.0.0.1"),),
        volumes=(VolumeSpec(name=f"{project}_home", key="home", target="/home/dev"),),
        mounts=(Mount(source=str(folder / "with:colon"), target="/mnt", read_only=False),),
        secrets_dir=str(folder / "secrets"),
        tmpfs={"/run": "mode=755,size=8m"},
        cap_drop=("ALL",),
        cap_add=("CHOWN", "SETGID", "SETUID"),
        security_opt=(),
        read_only=True,
        restart="on-failure",
        restart_retries=1,
        stop_grace_s=2,
        shm=64 << 20,
        memory=256 << 20,
        cpus=0.5,
        pids=64,
        health=HealthSpec(test=("CMD", "true"), interval_s=0.5, timeout_s=2.0, start_period_s=5.0, retries=3),
    )


def clean(engine: Engine, project: str) -> None:
    for view in engine.find_containers(project):
        engine.remove(view.id)
    engine.remove_network(project)
    for volume in engine.volumes(project):
        engine.remove_volume(volume)


@pytest.fixture(scope="module")
def container(engine: Engine, spec: ServiceSpec) -> Iterator[str]:
    try:
        made = engine.create(spec)
        engine.start(made)
        yield made
    finally:
        clean(engine, spec.project)


def test_container_is_found_by_project_with_health_and_ports(engine: Engine, container: str, spec: ServiceSpec) -> None:
    def look() -> bool | None:
        found = engine.find_container(spec.project)
        return True if found and found.health == "healthy" else None

    wait_for("health", look, deadline_s=15, interval_s=0.1)
    found = engine.find_container(spec.project)
    assert found
    assert (found.id, found.state, dict(found.ports)) == (container, "running", {6080: spec.ports[0].host})
    assert container in [view.id for view in engine.find_workstations()]
    assert [view.id for view in look_containers(os.environ, f"com.docker.compose.project={spec.project}") or ()] == [
        container
    ]
    assert engine.used_ports()[spec.ports[0].host] == spec.container_name
    assert engine.find_container("no-such-project") is None


def test_output_of_a_command_without_the_sdk(container: str) -> None:
    assert look_at_output(os.environ, container, ["printf", "%s", "a b"]) == b"a b"
    assert look_at_output(os.environ, container, ["false"]) is None
    assert look_at_output(os.environ, "no-such-container", ["true"]) is None


def test_spec_is_what_runs(engine: Engine, container: str, spec: ServiceSpec) -> None:
    run = engine.run(container, ["sh", "-c", "hostname; echo $WORD; ls /run /mnt; cat /sys/fs/cgroup/pids/pids.max"])
    assert run.stdout.split(b"\n")[:2] == [b"ws", b"two words"]
    host = engine.inspect(container)["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (256 << 20, 500_000_000, 64)
    assert engine.run(container, ["touch", "/x"]).code == 1
    assert engine.run(container, ["touch", "/run/secrets/x"]).code == 1
    assert engine.run(container, ["touch", "/mnt/x"]).code == 0


def test_streams_codes_input_user_and_folder_of_a_command(engine: Engine, container: str) -> None:
    result = engine.run(container, ["sh", "-c", "echo out; echo err >&2; exit 5"])
    assert (result.code, result.stdout, result.stderr) == (5, b"out\n", b"err\n")
    result = engine.run(
        container, ["sh", "-c", "id -un; pwd; echo $A; cat"], user="dev", workdir="/tmp", env={"A": "b"}, stdin=b"in"
    )
    assert result.stdout == b"dev\n/tmp\nb\nin"
    assert engine.run(container, ["no-such-program"]).code in (126, 127)
    assert engine.run(container, ["sh", "-c", "test -t 1"], tty=True).code == 0


def test_much_input_and_output_at_once_does_not_block(engine: Engine, container: str) -> None:
    data = os.urandom(3_000_000)
    assert engine.run(container, ["cat"], stdin=data).stdout == data
    assert engine.run(container, ["true"], stdin=data).code == 0


def test_silent_command_is_given_up(engine: Engine, container: str) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        engine.run(container, ["sleep", "5"], timeout_s=0.5)


def test_lines_come_as_they_are_written(engine: Engine, container: str) -> None:
    began = time.monotonic()
    times = [time.monotonic() - began for _ in engine.run_stream(container, ["sh", "-c", "echo 1; sleep 1; echo 2"])]
    assert len(times) == 2
    assert times[1] - times[0] > 0.7
    with pytest.raises(EngineError, match="cannot be run"):
        list(engine.run_stream(container, ["no-such-program"]))


def test_log_has_both_streams_and_follows(engine: Engine, container: str) -> None:
    assert sorted(engine.logs(container)) == [b"to-err", b"to-out"]
    assert len(list(engine.logs(container, tail=1))) == 1
    following = engine.logs(container, follow=True)
    assert {next(following), next(following)} == {b"to-err", b"to-out"}


def test_archive_goes_in_and_comes_back(engine: Engine, container: str) -> None:
    from builder.adapters.buildcontext import read_context

    engine.put_archive(container, "/mnt", b"".join(read_context({"file": RenderedFile(data=b"hello")}, {})))
    assert engine.run(container, ["cat", "/mnt/file"]).stdout == b"hello"
    assert b"hello" in engine.get_archive(container, "/mnt/file")


def test_memory_and_disk_are_measured(engine: Engine, container: str) -> None:
    stats = engine.stats(container)
    assert 0 < stats.memory < stats.memory_limit == 256 << 20
    assert engine.disk_usage().images > 0


class Person:
    """A terminal with somebody in front of it."""

    def __init__(self) -> None:
        self.screen, end = pty.openpty()
        self.terminal = LocalTerminal(end, end, end)
        self.seen = b""

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def read_until(self, mark: bytes) -> None:
        def look() -> bool | None:
            self.seen += os.read(self.screen, 65536)
            return True if mark in self.seen else None

        wait_for(mark.decode(), look, deadline_s=10, interval_s=0)


def test_attached_terminal_echoes_has_the_size_and_is_restored(engine: Engine, container: str) -> None:
    import fcntl
    import struct
    import termios

    person = Person()
    fcntl.ioctl(person.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    before = termios.tcgetattr(person.terminal.stdin)
    codes: list[int] = []

    def attach() -> None:
        codes.append(engine.attach(container, ["sh"], user="dev", workdir="/tmp", terminal=person.terminal))

    thread = threading.Thread(target=attach, daemon=True)
    thread.start()
    person.read_until(b"$ ")
    person.type("stty size; exit 9\r")
    person.read_until(b"33 77")
    thread.join(10)
    assert codes == [9]
    assert termios.tcgetattr(person.terminal.stdin) == before


def test_attached_pipe_passes_its_end_on(engine: Engine, container: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"some input")
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        terminal = LocalTerminal(source.fileno(), target.fileno(), target.fileno())
        assert engine.attach(container, ["cat"], terminal=terminal) == 0
    assert (tmp_path / "out").read_bytes() == b"some input"


def test_taken_name_is_told_and_nothing_is_destroyed(engine: Engine, container: str, spec: ServiceSpec) -> None:
    with pytest.raises(EngineError, match="exists already") as caught:
        engine.create(spec)
    assert spec.labels["dev.devbox.workspace"] in caught.value.message
    assert engine.find_container(spec.project)


Foreign = tuple[
    str, "Callable[[docker.APIClient, ServiceSpec], object]", "Callable[[docker.APIClient, ServiceSpec], object]"
]
FOREIGN: list[Foreign] = [
    ("network", lambda api, spec: api.create_network(spec.network), lambda api, spec: api.remove_network(spec.network)),
    (
        "volume",
        lambda api, spec: api.create_volume(spec.volumes[0].name),
        lambda api, spec: api.remove_volume(spec.volumes[0].name),
    ),
    (
        "container",
        lambda api, spec: api.create_container(spec.image, name=spec.container_name),
        lambda api, spec: api.remove_container(spec.container_name),
    ),
]


@pytest.mark.parametrize(("kind", "make", "unmake"), FOREIGN, ids=[item[0] for item in FOREIGN])
def test_foreign_thing_of_the_same_name_is_left_alone(
    engine: Engine, spec: ServiceSpec, kind: str, make: Act, unmake: Act
) -> None:
    project = f"devboxtest{uuid.uuid4().hex[:8]}"
    volume = VolumeSpec(name=f"{project}_home", key="home", target="/home/dev")
    other = replace(spec, project=project, volumes=(volume,), ports=())
    sdk = docker.APIClient(base_url=engine.host.url, version="1.41")
    make(sdk, other)
    try:
        with pytest.raises(EngineError, match=rf"a {kind} named .* was not made by devbox"):
            engine.create(other)
        clean(engine, project)
        unmake(sdk, other)  # fails if it is gone
    finally:
        clean(engine, project)
        sdk.close()


def test_missing_folder_of_a_mount_and_missing_image_are_told(engine: Engine, spec: ServiceSpec) -> None:
    project = f"devboxtest{uuid.uuid4().hex[:8]}"
    bare = replace(spec, project=project, volumes=(), ports=())
    try:
        with pytest.raises(EngineError, match="does not exist") as caught:
            engine.create(replace(bare, mounts=(Mount(source="/no/such/folder", target="/m", read_only=True),)))
        assert "create that folder" in (caught.value.hint or "")
        with pytest.raises(EngineError, match="is not on the engine"):
            engine.create(replace(bare, image="devbox-test/none:1"))
    finally:
        clean(engine, project)


def test_busy_port_is_told_when_the_container_starts(engine: Engine, container: str, spec: ServiceSpec) -> None:
    project = f"devboxtest{uuid.uuid4().hex[:8]}"
    try:
        made = engine.create(replace(spec, project=project, volumes=()))
        with pytest.raises(EngineError, match=str(spec.ports[0].host)) as caught:
            engine.start(made)
        assert "docker ps" in (caught.value.hint or "")
    finally:
        clean(engine, project)


def test_stop_is_graceful_and_the_code_is_seen(engine: Engine, spec: ServiceSpec, container: str) -> None:
    engine.stop(container, 5)

    def look() -> int | None:
        """Engine 26 answers before its list of containers knows of it."""
        found = engine.find_container(spec.project)
        return found.exit_code if found and found.state == "exited" else None

    assert wait_for("its end in the list", look, deadline_s=2, interval_s=0.02) == 3
    with pytest.raises(EngineError, match="not running"):
        engine.run(container, ["true"])
    engine.start(container)


def test_same_spec_gives_the_same_container(engine: Engine, spec: ServiceSpec, container: str) -> None:
    first = comparable(engine.inspect(container))
    engine.remove(container)
    second = engine.create(spec)
    engine.start(second)
    assert differences(first, comparable(engine.inspect(second))) == []
    json.dumps(first)


def test_imported_tar_is_an_image_with_labels(engine: Engine, tmp_path: Path) -> None:
    from builder.adapters.buildcontext import read_context

    tar = tmp_path / "root.tar"
    tar.write_bytes(b"".join(read_context({"file": RenderedFile(data=b"x" * 3_000_000)}, {})))
    name, seen = f"devbox-test/{uuid.uuid4().hex[:12]}:1", []
    try:
        image = engine.import_tar(
            tar,
            name,
            {"dev.devbox.base": 'a "quoted" $word'},
            changes=['CMD ["x"]'],
            on_progress=lambda done, total: seen.append((done, total)),
        )
        found = engine.find_image(name)
        assert found
        assert (found.id, found.labels["dev.devbox.base"]) == (image, 'a "quoted" $word')
        assert seen[-1][0] == seen[-1][1] == tar.stat().st_size
        assert name in [tag for view in engine.find_image_ids("dev.devbox.base") for tag in view.tags]
    finally:
        engine.remove_image(name)
    assert not engine.image_exists(name)


def test_image_that_cannot_be_pulled_is_an_error(engine: Engine) -> None:
    with pytest.raises(EngineError, match="cannot pull"):
        engine.pull("localhost:1/none:1")


def test_version_says_what_this_engine_is() -> None:
    version = connect_engine(os.environ).version()
    assert version.buildkit
    assert version.os == "linux"
    assert version.storage
