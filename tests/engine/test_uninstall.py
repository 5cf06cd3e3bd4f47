"""`prune` and `uninstall` on an engine of their own: all that is devbox's goes, and nothing else does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from tests.engine.conftest import Workstation
from tests.engine.second_engine import second_engine
from tests.unit.core.saved_images import file, make_config, make_layer, save

OURS = {"dev.devbox.workspace": "", "com.docker.compose.project": "app"}


class Things:
    """What is on the engine, by name; made without starting anything."""

    def __init__(self, api: docker.APIClient) -> None:
        self.api = api

    def image(self, reference: str, *, created: str = "2026-01-01T00:00:00Z", **labels: str) -> None:
        layer = make_layer([file(reference.replace("/", "-"))])
        told = {f"dev.devbox.{name}": value for name, value in labels.items()}
        self.api.load_image(save([layer], make_config([layer], {"Labels": told}, created=created)))  # type: ignore[no-untyped-call]
        name, _, tag = reference.partition(":")
        self.api.tag("a:1", name, tag)
        self.api.remove_image("a:1")

    def container(self, name: str, image: str, labels: Mapping[str, str]) -> None:
        self.api.create_container(image, ["none"], name=name, labels=dict(labels))

    def all(self) -> set[str]:
        api = self.api
        images = {tag for item in api.images() for tag in item["RepoTags"] or [item["Id"]]}
        containers = {item["Names"][0].lstrip("/") for item in api.containers(all=True)}
        networks = {item["Name"] for item in api.networks()} - {"bridge", "host", "none"}
        return images | containers | networks | {item["Name"] for item in api.volumes()["Volumes"] or ()}


@pytest.fixture
def things(tmp_path: Path) -> Iterator[tuple[Things, str]]:
    with second_engine(tmp_path / "data") as second, docker.APIClient(base_url=second.host) as api:
        yield Things(api), second.host


def test_all_that_is_devboxs_goes_and_nothing_else_does(things: tuple[Things, str], tmp_path: Path) -> None:
    made, host = things
    workspace = tmp_path / "app"
    (workspace / ".workstation").mkdir(parents=True)
    workstation = Workstation(folder=workspace, environment=settings(tmp_path, host))
    labels = {**OURS, "dev.devbox.workspace": str(workspace)}
    made.image("devbox/headless:1", plan="1", base="debian-12")
    made.image("devbox/headless:old", plan="0", base="debian-12")
    made.image("devbox/headless:now", plan="2", base="debian-12", created="2100-01-01T00:00:00Z")
    made.image("devbox/base:debian-12-old", base="debian-12")
    made.image("devbox/base:debian-12-new", base="debian-12", created="2026-01-02T00:00:00Z")
    made.image("mine:1")
    made.api.tag("devbox/headless:1", "kept", "1")
    made.container("app-workstation-1", "devbox/headless:1", labels)
    made.container("stranger", "mine:1", {"com.docker.compose.project": "app"})
    for name, told in (("app_default", labels), ("strange_default", {"com.docker.compose.project": "strange"})):
        made.api.create_network(name, labels=told)
    for name, told in (("app_home", labels), ("strange_home", {})):
        made.api.create_volume(name, labels=told)
    # Of a person on another machine, who uses the same engine.
    far = {"dev.devbox.workspace": "/nowhere/on-this-machine", "com.docker.compose.project": "far"}
    made.image("devbox/headless:far", plan="3", base="debian-12")
    made.api.tag("devbox/headless:far", "devbox/previous", "far")
    made.container("far-workstation-1", "mine:1", far)
    made.api.create_volume("far_home", labels=far)
    strange = {"mine:1", "stranger", "strange_default", "strange_home", "kept:1"}
    strange |= {"devbox/headless:far", "devbox/previous:far", "far-workstation-1", "far_home"}
    entry = tmp_path / "cache/devbox/trees/one"
    entry.mkdir(parents=True)
    (entry / "complete.json").write_text("{}")

    told = json.loads(workstation.ok("prune", "--json", "--yes", "--older-than", "0"))
    assert {item["name"] for item in told["items"]} == {
        "devbox/headless:old", "devbox/base:debian-12-old", str(entry)
    }  # fmt: skip
    assert not entry.exists()
    assert {name for name in made.all() - strange if name.startswith("devbox/")} == {
        "devbox/headless:1", "devbox/headless:now", "devbox/base:debian-12-new"
    }  # fmt: skip
    assert "nothing that nobody needs" in workstation.ok("prune")

    assert workstation.run("uninstall").returncode == 2  # nobody can be asked
    assert "app_default" in made.all()
    assert "nothing was removed" in workstation.ok("uninstall", "--dry-run")
    said = workstation.ok("uninstall", "--yes")
    assert "kept:1: somebody gave this name" in said
    assert "devbox/headless:now: may be somebody else's" in said
    assert "volume app_home: --volumes destroys it" in said
    assert "nothing of devbox is left on the engine" in said
    strange |= {"devbox/headless:now", "devbox/base:debian-12-new"}  # who had them built cannot be told
    assert made.all() == {*strange, "app_home"}
    assert not (tmp_path / "cache/devbox").exists()
    assert not (tmp_path / "state/devbox").exists()
    workstation.ok("uninstall", "--yes", "--volumes")
    assert made.all() == strange


def settings(tmp_path: Path, host: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    folders = {f"XDG_{name.upper()}_HOME": str(tmp_path / name) for name in ("state", "cache")}
    return {**kept, **folders, "DOCKER_HOST": host, "NO_COLOR": "1"}
