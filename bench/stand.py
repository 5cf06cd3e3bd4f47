"""The test stand: throw-away workstations in a temporary folder, the real commands, and the tidying up.

Owns everything that a bench leaves on the machine while it runs; `stand` takes all of it away again. Measures nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import cast

import docker
from docker.errors import APIError, ImageNotFound

from builder.adapters.clock import wait_for

PROGRAMS = Path(sys.executable).parent
DEVBOX = str(PROGRAMS / "devbox")
COMPOSE = str(PROGRAMS / "docker-compose")
LONG_S = 1800  # a cold build on a slow machine


@dataclass(slots=True)
class Workstation:
    """A workspace folder of its own, and the commands in it."""

    folder: Path
    environment: Mapping[str, str]
    images: set[str] = field(default_factory=set)  # that it ran
    program: tuple[str, ...] = (DEVBOX,)
    cwd: Path | None = None
    common: Mapping[str, object] = field(default_factory=dict)  # what each devbox.yaml says

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def container(self) -> str:
        return f"{self.name}-workstation-1"

    def write(self, **config: object) -> None:
        """devbox.yaml; JSON is YAML."""
        (self.folder / "devbox.yaml").write_text(json.dumps({"name": self.name, **self.common, **config}))

    def devbox(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([*self.program, "-C", str(self.folder), *arguments])

    def run_inside(self, script: str, stdin: str = "") -> None:
        """A shell line in the workstation, as its user."""
        run([*self.program, "-C", str(self.folder), "exec", "--", "sh", "-c", script], self.environment, stdin=stdin)

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Docker Compose, on the file that devbox rendered here."""
        return self._run([COMPOSE, "-f", str(self.folder / ".workstation/compose.yaml"), *arguments])

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return run(argv, self.environment, self.cwd)

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.devbox("status", "--json").stdout)
        self.images.add(str(found["image"]))
        return found

    def phases(self) -> dict[str, float]:
        """Seconds from the container's start to each phase of readiness."""
        return cast("dict[str, float]", self.status()["ready"])

    def substitutions(self) -> list[dict[str, str]]:
        return cast("list[dict[str, str]]", self.status()["substitutions"])

    def wait_healthy(self) -> None:
        """Until the engine has run the health check once: from then on an `up` takes the short way."""
        wait_for(
            f"{self.name} to be healthy",
            lambda: self.status()["health"] == "healthy" or None,
            deadline_s=60,
            interval_s=1,
        )

    def take_away(self) -> None:
        self.status()  # its last image is to go too
        self.devbox("down", "--volumes", "--yes")


class CommandFailed(Exception):
    """A command that has to succeed did not; the text is all that it said."""


def run(
    argv: list[str], environment: Mapping[str, str], cwd: Path | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """A command that must succeed. Raises CommandFailed."""
    done = subprocess.run(
        argv, env=dict(environment), cwd=cwd, input=stdin, capture_output=True, text=True, timeout=LONG_S, check=False
    )
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


@dataclass(slots=True)
class Stand:
    """Makes workstations on one engine."""

    folder: Path
    environment: Mapping[str, str]
    common: Mapping[str, object] = field(default_factory=dict)  # what each devbox.yaml says
    made: list[Workstation] = field(default_factory=list)
    extra_images: set[str] = field(default_factory=set)  # made by a measure, not by a workstation

    def new(self, word: str) -> Workstation:
        folder = self.folder / f"bench-{os.getpid()}-{word}{len(self.made)}"
        folder.mkdir()
        workstation = Workstation(folder=folder, environment=self.environment, common=self.common)
        workstation.write()
        self.made.append(workstation)
        return workstation


def make_environment(folder: Path, **more: str) -> dict[str, str]:
    """The caller's environment with secrets in a folder of the bench, and plain output."""
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "NO_COLOR": "1", **more}


@contextmanager
def open_stand(common: Mapping[str, object], *, keep: bool = False) -> Iterator[Stand]:
    """A stand on the engine that devbox itself finds; what was made there is gone afterwards, images too.

    With `keep` the naive image stays for the next run.
    """
    folder = Path(tempfile.mkdtemp(prefix="devbox-bench-"))
    stand = Stand(folder=folder, environment=make_environment(folder), common=common)
    before = image_tags()
    try:
        yield stand
    finally:
        for workstation in stand.made:
            workstation.take_away()
        remove_images({tag for workstation in stand.made for tag in workstation.images} - before)
        if not keep:
            remove_images(stand.extra_images - before)
        shutil.rmtree(folder)


def image_tags() -> set[str]:
    return {tag for image in docker.from_env().images.list() for tag in image.tags}


def remove_images(tags: set[str]) -> None:
    """But for those that a container of somebody else runs by now: the engine refuses these."""
    client = docker.from_env()
    for tag in sorted(tags - {""}):
        try:
            client.images.remove(tag)
        except ImageNotFound:
            continue  # another run took it away
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise
            print(f"{tag} stays: a container runs it", file=sys.stderr)
