"""Faults of the container engine: gone, deaf, of another age, or failing in the middle of something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.engine.faults.doors import answering, busy_port, serve, unix_socket, waiting_step
from tests.engine.faults.model import Chapter, Family, Start, Trouble
from tests.engine.faults.relays import (
    BUILD,
    CREATE,
    EXEC,
    LIST,
    START,
    VERSION,
    Always,
    answer,
    at,
    cut_after,
    silence,
    through,
)
from tests.engine.faults.scene import Scene, variables
from tests.engine.relay import Trap

NO_RIGHTS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")  # root as any other user: file modes count
PULLED_UP = "start it (`systemctl start docker`, or `dockerd` as root)"


@contextmanager
def no_socket(scene: Scene) -> Iterator[Trouble]:
    yield Trouble(environment={"DOCKER_HOST": f"unix://{scene.folder}/none.sock"})


@contextmanager
def deserted_socket(scene: Scene) -> Iterator[Trouble]:
    with unix_socket(scene.folder, listens=False) as path:
        yield Trouble(environment={"DOCKER_HOST": f"unix://{path}"})


@contextmanager
def hanging_socket(scene: Scene) -> Iterator[Trouble]:
    with unix_socket(scene.folder) as path:
        yield Trouble(environment={"DOCKER_HOST": f"unix://{path}"})


@contextmanager
def forbidden_socket(scene: Scene) -> Iterator[Trouble]:
    with unix_socket(scene.folder) as path:
        path.chmod(0)
        yield Trouble(environment={"DOCKER_HOST": f"unix://{path}"}, wrap=NO_RIGHTS)


@contextmanager
def refused_address(scene: Scene) -> Iterator[Trouble]:
    with busy_port(listens=False) as port:
        yield Trouble(environment={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})


@contextmanager
def no_engine_but_a_site(scene: Scene) -> Iterator[Trouble]:
    with serve("127.0.0.1", answering(200, "<html>hello</html>")) as site:
        yield Trouble(environment={"DOCKER_HOST": f"tcp://127.0.0.1:{site.port}"})


@contextmanager
def site_without_tls(scene: Scene) -> Iterator[Trouble]:
    with serve("127.0.0.1", answering(200)) as site:
        yield Trouble(environment={"DOCKER_HOST": f"tcp://127.0.0.1:{site.port}", "DOCKER_TLS_VERIFY": "1"})


@contextmanager
def socket_that_is_a_file(scene: Scene) -> Iterator[Trouble]:
    path = scene.folder / "file.sock"
    path.write_text("")
    yield Trouble(environment={"DOCKER_HOST": f"unix://{path}"})
    path.unlink()


@contextmanager
def docker_settings(text: str, scene: Scene) -> Iterator[Trouble]:
    folder = scene.folder / "docker-config"
    folder.mkdir()
    (folder / "config.json").write_text(text)
    yield Trouble(environment={"DOCKER_CONFIG": str(folder), "DOCKER_HOST": None})
    (folder / "config.json").unlink()
    folder.rmdir()


@contextmanager
def other_version(scene: Scene, **changed: object) -> Iterator[Trouble]:
    """The real engine, but for what it tells of itself."""
    about = {**scene.api.version(api_version=False), **changed}
    with through(Always(request=VERSION, act=answer(200, json.dumps(about))), scene) as trouble:
        yield trouble


@contextmanager
def cut_in_the_build(scene: Scene) -> Iterator[Trouble]:
    """The connection is reset when the build is in a step; the engine has to end that step by itself."""
    with waiting_step(scene) as hold:
        trap = Trap(request=BUILD, moment="during", act=cut_after(hold.arrived))
        with through(trap, scene) as trouble:
            yield trouble
        hold.left()


def message(text: str) -> str:
    return json.dumps({"message": text})


row = Chapter(family=Family.ENGINE).row

ENGINE = (
    row("no-socket", "its socket is not there", no_socket, 5, "no engine: there is no socket", PULLED_UP),
    *(
        row(
            f"no-socket-{verb}",
            "its socket is not there",
            no_socket,
            5,
            "no engine: there is no socket",
            PULLED_UP,
            verb=verb,
        )
        for verb in ("down", "status", "stop", "list")
    ),
    row(
        "engine-killed",
        "it was killed: its socket is there, nobody listens",
        deserted_socket,
        5,
        "no engine listens at unix://",
        PULLED_UP,
    ),
    row(
        "address-refused", "nobody listens at its address", refused_address, 5, "no engine listens at tcp://", PULLED_UP
    ),
    row(
        "permission-denied",
        "this user may not open its socket",
        forbidden_socket,
        5,
        "this user may not use the engine's socket",
        "join its group",
    ),
    row(
        "engine-hangs",
        "it accepts connections and never answers",
        hanging_socket,
        5,
        "accepts connections and does not answer",
        "the engine hangs or is overloaded",
        seconds=15,
    ),
    row(
        "engine-hangs-later",
        "it stops to answer in the middle of an `up`",
        at(CREATE, silence),
        5,
        "accepts connections and does not answer",
        "the engine hangs or is overloaded",
        start=Start.ABSENT,
        resumes=True,
        seconds=75,
        pace="long",
    ),
    row(
        "no-address",
        "DOCKER_HOST is no address",
        variables(DOCKER_HOST="somewhere"),
        5,
        "'somewhere' is no address of an engine",
        "write unix:///path/to/docker.sock",
    ),
    row(
        "no-socket-but-a-file",
        "a plain file lies where its socket should be",
        socket_that_is_a_file,
        5,
        "is no socket",
        "point DOCKER_HOST at the engine's socket",
    ),
    row(
        "unknown-context",
        "the Docker context in use does not exist",
        variables(DOCKER_CONTEXT="nowhere", DOCKER_HOST=None),
        5,
        "the docker context 'nowhere' does not exist",
        "`docker context ls`",
    ),
    row(
        "damaged-docker-settings",
        "Docker's own config.json is cut in half",
        partial(docker_settings, '{"currentCon'),
        5,
        "config.json: cannot be read",
        "repair or remove this file",
    ),
    row("no-tls", "it is asked by TLS and speaks none", site_without_tls, 5, "TLS with", "look at DOCKER_CERT_PATH"),
    row(
        "no-engine",
        "a web site answers at its address",
        no_engine_but_a_site,
        5,
        "the answer cannot be read",
        "is this address really a container engine?",
    ),
    row(
        "api-too-old",
        "its API is older than devbox knows",
        partial(other_version, ApiVersion="1.30", Version="17.06.2"),
        5,
        "engine 17.06.2 is too old: it speaks API 1.30, devbox needs 1.40",
        "install Docker Engine 20.10 or newer",
    ),
    row(
        "api-too-new",
        "its API has left behind all that devbox knows",
        partial(other_version, ApiVersion="9.9", MinAPIVersion="9.0", Version="99.0"),
        5,
        "engine 99.0 is too new for this devbox",
        "install a newer devbox",
    ),
    row(
        "no-api-version",
        "it tells no version",
        partial(other_version, ApiVersion=None),
        5,
        "this is no container engine",
        "look at DOCKER_HOST",
    ),
    row(
        "error-500",
        "it fails inside, and says so (500)",
        at(CREATE, answer(500, message("layer store is corrupt"))),
        5,
        "layer store is corrupt",
        "that is a failure inside the engine",
        start=Start.ABSENT,
        resumes=True,
    ),
    row(
        "error-500-silent",
        "it fails inside, without a word (500)",
        at(LIST, answer(500, ""), always=True),
        5,
        "status 500 without a reason",
        "that is a failure inside the engine",
    ),
    row(
        "forbidden-by-plugin",
        "an authorization plugin of it forbids a request (403)",
        at(CREATE, answer(403, message("authorization denied by plugin policy: no"))),
        5,
        "authorization denied by plugin policy",
        "ask its administrator",
        start=Start.ABSENT,
        resumes=True,
    ),
    row(
        "truncated-json",
        "its answer is JSON that ends in the middle",
        at(LIST, answer(200, '[{"Id": "3f'), always=True),
        5,
        "the answer cannot be read",
        "is this address really a container engine?",
    ),
    row(
        "truncated-answer",
        "the connection ends in the middle of an answer",
        at(LIST, answer(200, "[{", length=5000), always=True),
        5,
        "the connection to unix://",
        "run the same command again",
    ),
    row(
        "reset-at-start",
        "the connection is reset when the container is to start",
        at(START),
        5,
        "cannot start the workstation: the connection to unix://",
        "run the same command again",
        resumes=True,
        start=Start.ABSENT,
    ),
    row(
        "reset-in-probe",
        "the connection is reset while `up` waits for the workstation",
        at(EXEC),
        5,
        "the connection to unix://",
        "run the same command again",
        resumes=True,
        start=Start.ABSENT,
        seconds=30,
    ),
    row(
        "reset-in-build",
        "the connection is reset in the middle of a build",
        cut_in_the_build,
        5,
        "cannot build: the connection to unix://",
        "run the same command again",
        seconds=120,
    ),
)
