"""Random secrets go in by every way that is documented, and come out nowhere.

One workstation is built, started, looked at by every verb, and then three builds of it are made to fail. Whatever was
said, written or could be seen meanwhile is a sink, and each is searched for every secret, plain and as base64. That the
secrets were really used is proved by the servers that asked for them.
"""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from builder.adapters.engine.client import Engine
from tests.engine.addresses import find_gateway
from tests.engine.conftest import Workstation, make_factory
from tests.engine.listeners import Listener, Watch, download, proxy, registry, serve, watch_processes
from tests.engine.relay import Relay, build_once_without_cache, relay

pytestmark = pytest.mark.engine_26

SINKS = (
    "arguments of processes on this machine",
    "arguments of processes in containers",
    "environment of processes in containers",
    "image configuration",
    "image history",
    "image layers",
    "container inspect",
    "network and volumes inspect",
    "rendered files",
    "state.json",
    "devbox-lock.json",
    "what the verbs print",
    "what the verbs say while they work",
    "events as JSON",
    "errors of builds that fail",
    "errors about devbox.yaml",
    "log of the container",
    "logs of the services",
    "reports of verify",
    "events of the engine",
    "requests to the engine",
    "build contexts",
    "files in the workstation",
    "logs of runs",
    "diagnosis",
)
VERBS = (
    "config", "config --json", "plan", "plan --json", "render", "up", "up --json", "status", "status --json", "list",
    "list --json", "doctor", "doctor --json", "logs", "logs sshd", "open ssh", "ssh --config", "open dev --print",
    "exec env", "version",
)  # fmt: skip
PROJECT = """
[build-system]
requires = ["setuptools"]
[project]
name = "tools"
version = "1"
scripts = {tools = "tools:main"}
[tool.setuptools]
py-modules = ["tools"]
"""
SOURCE = f"def main(): print('{secrets.token_hex(8)}')\n"  # else an earlier run's image were taken, not built
GOOD = "from setuptools import setup\nsetup()\n"
NOISY = """
for name in ("netrc", "pip.conf"):
    print(open(f"/run/secrets/{name}").read())
raise SystemExit("broken on purpose")
"""


def make_secret(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(8)}"


@dataclass(slots=True)
class Sinks:
    """Where each secret was found, by sink; and how much was searched."""

    wanted: dict[str, bytes] = field(default_factory=dict)  # what is looked for, by name
    hits: dict[str, set[str]] = field(default_factory=dict)
    searched: dict[str, int] = field(default_factory=dict)

    def look_for(self, name: str, secret: str, login: str = "") -> None:
        self.wanted[name] = secret.encode()
        if login:
            self.wanted[f"{name} as base64"] = base64.b64encode(f"{login}:{secret}".encode())

    def put(self, sink: str, *pieces: bytes | str) -> None:
        for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else piece
            self.searched[sink] = self.searched.get(sink, 0) + len(data)
            self.hits.setdefault(sink, set()).update(name for name, secret in self.wanted.items() if secret in data)

    def stream(self, sink: str, chunks: Iterable[bytes]) -> None:
        """Something large; a secret may lie across two chunks."""
        end = b""
        for chunk in chunks:
            self.put(sink, end + chunk)
            end = chunk[-200:]


@dataclass(slots=True)
class Story:
    """All that took part."""

    sinks: Sinks
    proxy: Listener
    registry: Listener
    download: Listener
    relay: Relay
    watch: Watch
    secret: Mapping[str, str]
    inside: str  # a variable for the inside, which compose.yaml and `docker inspect` show


# ---------------------------------------------------------------------------------------------------- the story


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory, session_folder: Path, environment: Mapping[str, str], engine: Engine
) -> Iterator[Story]:
    secret = {
        name: make_secret(name)
        for name in ("proxy", "index", "npm", "registry", "token", "mounted", "git", "old", "shell")
    }
    folder = tmp_path_factory.mktemp("canary")
    api: Any = docker.APIClient(base_url=engine.host.url)  # its types know half of it
    gateway = find_gateway(api)
    with ExitStack() as stack:
        through = stack.enter_context(serve(gateway, proxy(f"me:{secret['proxy']}", ("index.invalid",))))
        images = stack.enter_context(serve("127.0.0.1", registry))
        archives = stack.enter_context(serve("127.0.0.1", download))
        door = stack.enter_context(relay(folder, str(engine.host.socket), rewrite=build_once_without_cache()))
        watch = stack.enter_context(watch_processes())
        story = Story(
            sinks=Sinks(), proxy=through, registry=images, download=archives, relay=door, watch=watch, secret=secret,
            inside=make_secret("inside"),
        )  # fmt: skip
        home = make_home(folder / "home", story)
        ours = {**environment, **make_settings(story), "HOME": str(home), "DOCKER_HOST": door.host}
        ours["ANTHROPIC_API_KEY"] = secret["shell"]
        for make in make_factory(session_folder, ours):
            workstation = make("canary", make_config(story))
            make_project(workstation.folder, GOOD)
            (workstation.folder / "token").touch(mode=0o600)
            (workstation.folder / "token").write_text(secret["mounted"])
            began = int(time.time()) - 1
            tell(story, workstation)
            collect(story, workstation, engine, api, began)
            yield story


def make_home(home: Path, story: Story) -> Path:
    """Of a person who is logged in to a registry for images, and to one of npm."""
    (home / ".docker").mkdir(parents=True)
    login = base64.b64encode(f"robot:{story.secret['registry']}".encode()).decode()
    auths = {f"127.0.0.1:{story.registry.port}": {"auth": login}}
    (home / ".docker/config.json").write_text(json.dumps({"auths": auths}))
    (home / ".npmrc").write_text(f"//npm.invalid/:_authToken={story.secret['npm']}\n")
    return home


def make_settings(story: Story, which: str = "proxy") -> dict[str, str]:
    """A proxy that wants a password, and one more package index that does. The machine's own indexes stay."""
    address = f"http://me:{story.secret[which]}@{story.proxy.address}:{story.proxy.port}"
    asked = [sys.executable, "-m", "pip", "config", "get", "global.extra-index-url"]
    known = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "http_proxy": address,
        "https_proxy": address,
        "no_proxy": "127.0.0.1,localhost",
        "PIP_EXTRA_INDEX_URL": f"http://me:{story.secret['index']}@index.invalid/simple {known}".strip(),
        "PIP_TRUSTED_HOST": "index.invalid",
    }


def make_config(story: Story) -> str:
    """A small workstation: its base would come from the registry, a tool of it from an address with a token."""
    return f"""
profile: headless
base: {{name: ubuntu-22.04, image: "127.0.0.1:{story.registry.port}/team/base:1"}}
tools: {{claude-code: false}}
cache: 127.0.0.1:{story.registry.port}/shared
environment: {{CANARY_API_KEY: "more than one word, {story.inside}"}}
npm: [is-number@7.0.0]
framework: {{path: ./tools}}
sources: {{oh-my-zsh: "http://127.0.0.1:{story.download.port}/omz.tar.gz?token={story.secret["token"]}"}}
mounts: [{{source: ./token, target: /home/dev/token, read_only: true}}]
"""


def make_project(folder: Path, setup: str) -> None:
    (folder / "tools").mkdir(exist_ok=True)
    (folder / "tools/pyproject.toml").write_text(PROJECT)
    (folder / "tools/tools.py").write_text(SOURCE)
    (folder / "tools/setup.py").write_text(setup)


def tell(story: Story, workstation: Workstation) -> None:
    """Everything that is done with the workstation; what was said goes into the sinks at once."""
    secret, sinks = story.secret, story.sinks
    for name, value in secret.items():
        login = {"proxy": "me", "old": "me", "index": "me", "registry": "robot"}.get(name, "")
        sinks.look_for(name, value, login)
    first = workstation.run("--log", "json", "up")
    workstation.started = True
    assert first.returncode == 0, first.stderr
    for name in ("ssh_host_ed25519_key", "../id_ed25519"):
        sinks.look_for(name.removeprefix("../"), (workstation.secrets() / name).read_text().splitlines()[2])
    sinks.look_for("VNC password", workstation.password())
    sinks.put("events as JSON", first.stderr)
    for verb in VERBS:
        done = workstation.run(*verb.split())
        assert done.returncode in (0, 8), f"{verb}: {done.stderr}"  # doctor may have found something
        sinks.put("what the verbs print", done.stdout)
        sinks.put("what the verbs say while they work", f"{verb}\n{done.stderr}")
    for verb, code in (("pull", 0), ("push", 5)):  # there already; and the registry takes nothing
        done = workstation.run(verb, "--json")
        assert done.returncode == code, done.stderr
        sinks.put("what the verbs say while they work", done.stdout, done.stderr)
    report = workstation.folder / "report"
    groups = ("--only", "tooling,promises,ports,doors,degraded")
    done = workstation.run("verify", "--json", *groups, "--junit", str(report / "junit.xml"), "--report", str(report))
    assert done.returncode == 0, done.stdout
    sinks.put("reports of verify", done.stdout, *(path.read_bytes() for path in report.iterdir()))
    tell_failures(story, workstation)
    runs = list(Path(workstation.environment["XDG_STATE_HOME"]).glob("devbox/runs/*"))
    sinks.put("logs of runs", *(path.read_bytes() for path in runs))
    sinks.put("diagnosis", *diagnose(story, workstation))


def diagnose(story: Story, workstation: Workstation) -> list[bytes]:
    """What is said, and all that is in the archive."""
    archive = workstation.folder / "diagnosis.tar.gz"
    said = workstation.ok("diagnose", str(archive))
    with tarfile.open(archive) as found:
        members = [item for item in found if item.isfile()]
        assert {"logs/sshd.txt", "engine/container.json", "workspace/compose.yaml"} <= {item.name for item in members}
        parts = {item.name: (found.extractfile(item) or io.BytesIO()).read() for item in members}
    for name in ("config/devbox.yaml", "config/explained.json", "workspace/compose.yaml", "engine/container.json"):
        assert b"CANARY_API_KEY" in parts[name]
    assert [name for name, data in parts.items() if story.inside.encode() in data] == []
    return [said.encode(), *parts.values()]


def tell_failures(story: Story, workstation: Workstation) -> None:
    make_project(workstation.folder, NOISY)
    noisy = [workstation.run("up"), workstation.run("--log", "json", "up")]
    refused = workstation.run("--log", "json", "up", environment=make_settings(story, "old"))
    for done in (*noisy, refused):
        assert done.returncode == 5, done.stderr
        story.sinks.put("errors of builds that fail", done.stdout, done.stderr)
    for shown in ("proxy = http://***@", "login me password ***"):
        assert shown in noisy[1].stderr
    assert "407" in refused.stderr
    make_project(workstation.folder, GOOD)
    config = (workstation.folder / "devbox.yaml").read_text()
    token = story.secret["git"]
    for wrong in (
        f"framework: {{git: 'https://oauth2:{token}@git.invalid/x.git', rev: main}}",
        f"mirrors: {{pypi: 'https://{token}@x/'}}",
    ):
        workstation.write(f"{wrong}\n")
        done = workstation.run("up")
        assert done.returncode == 2, done.stderr
        assert "***@" in done.stderr
        story.sinks.put("errors about devbox.yaml", done.stderr)
    workstation.write(config)


def collect(story: Story, workstation: Workstation, engine: Engine, api: Any, began: int) -> None:
    sinks, container = story.sinks, workstation.container(engine)
    sinks.put("image configuration", json.dumps(api.inspect_image(container.image_id)))
    sinks.put("image history", json.dumps(api.history(container.image_id)))
    sinks.stream("image layers", api.get_image(container.image_id))
    sinks.put("container inspect", json.dumps(engine.inspect(container.id)))
    sinks.put("network and volumes inspect", json.dumps(api.inspect_network("canary_default")))
    sinks.put(
        "network and volumes inspect", *(json.dumps(api.inspect_volume(name)) for name in engine.volumes("canary"))
    )
    rendered = [path for path in (workstation.folder / ".workstation").rglob("*") if path.is_file()]
    sinks.put("rendered files", *(path.read_bytes() for path in rendered if path.name != "state.json"))
    sinks.put("state.json", *(path.read_bytes() for path in rendered if path.name == "state.json"))
    sinks.put("devbox-lock.json", (workstation.folder / "devbox-lock.json").read_bytes())
    sinks.put("log of the container", *engine.logs(container.id, follow=False, tail=None))
    logs = "cat /run/devbox/log/*/*"
    sinks.put("logs of the services", engine.run(container.id, ["sh", "-c", logs]).stdout)
    sinks.put("events of the engine", *(api.events(since=began, until=int(time.time()) + 1)))
    sinks.put("files in the workstation", find_inside(sinks, engine, container.id))
    sinks.put("arguments of processes on this machine", *story.watch.arguments)
    sinks.put("arguments of processes in containers", *story.watch.contained)
    sinks.put("environment of processes in containers", *story.watch.environments)
    for talk in story.relay.said:
        if b"/build?" not in talk and b"/session " not in talk:  # a session is the one way for them
            sinks.put("requests to the engine", without_credentials(bytes(talk)))
    for context in story.relay.contexts():
        sinks.put("build contexts", *context, *context.values())


def find_inside(sinks: Sinks, engine: Engine, container: str) -> bytes:
    """The lines with a secret in any file inside, but for those that are its place: found by root, searched by grep."""
    places = "/run/secrets|/run/devbox/ssh/host_key|/home/dev/token"
    search = "grep -raF --devices=skip --exclude-dir=proc --exclude-dir=sys -f /dev/stdin /"
    search = f"{search} 2>/dev/null | grep -avE '^({places})'; echo end"
    return engine.run(container, ["sh", "-c", search], stdin=b"\n".join(sinks.wanted.values())).stdout


def without_credentials(talk: bytes) -> bytes:
    """Without the header that exists to carry a registry's login from the client to the engine."""
    return b"\r\n".join(line for line in talk.split(b"\r\n") if not line.startswith(b"X-Registry-Auth:"))


# ---------------------------------------------------------------------------------------------------- the proof


def test_every_secret_was_asked_for_and_given(story: Story) -> None:
    assert any(path.endswith(".deb") or ":443" in path for path in story.proxy.asked(f"me:{story.secret['proxy']}"))
    assert [path for path in story.proxy.asked(f"me:{story.secret['index']}") if "/simple/setuptools/" in path]
    assert story.proxy.asked(f"me:{story.secret['old']}")  # and refused
    asked = story.registry.asked(f"robot:{story.secret['registry']}")
    for start in ("/v2/team/base/manifests/", "/v2/shared/headless/manifests/", "/v2/shared/headless/blobs/uploads/"):
        assert [path for path in asked if path.startswith(start)], start
    assert [path for path, _ in story.download.seen if story.secret["token"] in path]
    assert any(b"apt-get" in line for line in story.watch.contained)
    assert any(b"\0-m\0pip\0" in line for line in story.watch.contained)
    assert any(b"npm" in line for line in story.watch.contained)
    builds = story.relay.asked(r"POST /build\?")  # of the questions, too
    assert len(builds) > 4
    assert len(list(story.relay.contexts())) == len(builds)
    with_pip = [build for build in builds if not re.search(r"t=devbox%2Fquestion%3A\w+-(apt|npm|debian)&", build)]
    # A session for each.
    assert sum(story.secret["index"].encode() in talk for talk in story.relay.said) == len(with_pip)


def test_there_are_at_least_twelve_sinks_and_each_holds_something(story: Story) -> None:
    assert len(SINKS) >= 12
    assert set(story.sinks.searched) == set(SINKS)
    assert [sink for sink in SINKS if not story.sinks.searched[sink]] == []
    assert story.sinks.searched["image layers"] > 100_000_000


@pytest.mark.parametrize("sink", SINKS)
def test_no_secret_in(sink: str, story: Story) -> None:
    assert story.sinks.hits[sink] == set()


def test_the_search_finds_a_secret_in_any_form_and_across_pieces() -> None:
    sinks = Sinks()
    sinks.look_for("proxy", "geheim-1234", "me")
    sinks.put("plain", "http://me:geheim-1234@x")
    sinks.put("header", b"Basic " + base64.b64encode(b"me:geheim-1234"))
    sinks.stream("layers", [b"x" * 1000 + b"gehe", b"im-1234"])
    sinks.put("nothing", "geheim")
    assert sinks.hits == {"plain": {"proxy"}, "header": {"proxy as base64"}, "layers": {"proxy"}, "nothing": set()}
