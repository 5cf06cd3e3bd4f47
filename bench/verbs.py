"""The verbs of devbox as a person waits for them, each with the nearest thing of Docker Compose in turns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, make_figure, take_seconds, take_turns
from bench.handmade import COMPOSE_FILE
from bench.stand import COMPOSE, DEVBOX, LONG_S, CommandFailed, image_tags, make_environment, remove_images, run

if TYPE_CHECKING:
    from bench.pair import Pair

# Debian's Compose 2, where the tests have fetched it.
COMPOSE_2: Final = Path(".cache/compose-2/usr/libexec/docker/cli-plugins/docker-compose")
VERIFY_SKIPS: Final = "timing"
DEVCONTAINERS: Final = "@devcontainers/cli"


def measure_help(pair: Pair, rounds: int) -> list[Figure]:
    environment = make_environment(pair.stand.folder)
    seconds = take_turns(
        3 * rounds,
        {
            "ours": lambda: run([DEVBOX, "--help"], environment),
            "bare": lambda: run([sys.executable, "-c", "pass"], environment),
        },
    )
    return [make_figure("help", "`devbox --help`", "s", seconds["ours"], "Python that does nothing", seconds["bare"])]


def measure_noop(pair: Pair, rounds: int) -> list[Figure]:
    ours, theirs = pair.ours, pair.theirs
    ours.devbox("up")
    acts: dict[str, Callable[[], object]] = {
        "ours": lambda: ours.devbox("up"),
        "compose": lambda: theirs.compose("up", "-d"),
    }
    versions = [("noop", "compose", "Compose 5")]
    if COMPOSE_2.is_file():
        # A workstation of its own: each version takes what the other made for changed, and would make it anew.
        older = pair.stand.new("older")
        older.devbox("render")
        command = [str(COMPOSE_2.resolve()), "-f", str(older.folder / ".workstation/compose.yaml"), "up", "-d"]
        acts["compose-2"] = lambda: run(command, older.environment)
        versions.append(("noop-compose-2", "compose-2", "Debian's Compose 2"))
    else:
        pair.note(f"no Compose 2 in {COMPOSE_2}: the engine tests fetch it there")
    for act in acts.values():
        act()  # the first one may have something to do
    seconds = take_turns(2 * rounds, acts)
    return [
        make_figure(
            name, "`devbox up`, nothing to do", "s", seconds["ours"],
            f"`docker compose up -d`, nothing to do, {version}", seconds[key],
        )
        for name, key, version in versions
    ]  # fmt: skip


def measure_status(pair: Pair, rounds: int) -> list[Figure]:
    ours, theirs = pair.ours, pair.theirs
    seconds = take_turns(2 * rounds, {"ours": lambda: ours.devbox("status"), "theirs": lambda: theirs.compose("ps")})
    return [make_figure("status", "`devbox status`", "s", seconds["ours"], "`docker compose ps`", seconds["theirs"])]


def measure_up_painted(pair: Pair, rounds: int) -> list[Figure]:
    """The image is there, the container is not. Ours waits for the painted desktop, the baseline for X to answer."""
    ours, naive = pair.ours, pair.recipes[1]
    environment = {
        **make_environment(pair.stand.folder),
        "NAIVE_IMAGE": str(naive.config["Image"]),
        "NAIVE_PASSWORD": naive.password,
        "COMPOSE_PROJECT_NAME": f"bench-{os.getpid()}-naive",
    }
    compose = [COMPOSE, "-f", str(COMPOSE_FILE)]
    wall: list[float] = []
    bare: list[float] = []
    painted: list[float] = []
    try:
        for _ in range(rounds):
            ours.devbox("down")
            wall.append(take_seconds(lambda: ours.devbox("up")))
            painted.append(ours.phases()["frame"])
            run([*compose, "down"], environment)
            bare.append(take_seconds(lambda: run([*compose, "up", "-d", "--wait"], environment)))
    finally:
        run([*compose, "down", "--volumes"], environment)
    return [
        make_figure(
            "up-painted", "`devbox up`, image there, until painted", "s", tuple(wall),
            "`docker compose up -d --wait` of the naive image until X answers", tuple(bare),
        ),
        make_figure("up-frame", "the same, from PID 1 to painted, as devbox itself says", "s", tuple(painted)),
    ]  # fmt: skip


def measure_verify(pair: Pair, rounds: int) -> list[Figure]:
    """The suite on the running workstation. Its verdict is told beside the figure; it is not the bench's affair."""
    pair.ours.wait_healthy()
    argv = [DEVBOX, "-C", str(pair.ours.folder), "verify", "--skip", VERIFY_SKIPS, "--json"]
    failed: set[str] = set()

    def act() -> None:
        done = subprocess.run(
            argv, env=dict(pair.ours.environment), capture_output=True, text=True, timeout=LONG_S, check=False
        )
        if done.returncode not in (0, 7):
            raise CommandFailed(f"verify ended with {done.returncode}\n{done.stdout}{done.stderr}")
        failed.update(_failed_checks(done.stdout))

    seconds = tuple(take_seconds(act) for _ in range(rounds))
    if failed:
        pair.note(f"verify: these checks failed at least once: {', '.join(sorted(failed))}")
    return [make_figure("verify", "`devbox verify` on a running workstation without the group timing", "s", seconds)]


def _failed_checks(text: str) -> set[str]:
    return {str(item["id"]) for item in json.loads(text)["results"] if item["verdict"] == "failed"}


def measure_devcontainer(pair: Pair, rounds: int) -> list[Figure]:
    """`devcontainer up` of the npm CLI with the naive image, for comparison: it waits for no desktop either."""
    if shutil.which("npm") is None or shutil.which("docker") is None:
        pair.note("devcontainer is not measured: it takes npm and the docker program")
        return []
    before = image_tags()
    try:
        with tempfile.TemporaryDirectory(prefix="devbox-bench-npm-") as name:
            seconds = _devcontainers(Path(name), pair.naive.image, rounds)
    finally:  # it makes an image of its own, with the user id of this machine's user
        remove_images({tag for tag in image_tags() - before if tag.startswith("vsc-workspace-")})
    ours = tuple(_up_again(pair) for _ in range(rounds))
    return [
        make_figure(
            "devcontainer", "`devbox up`, image there, until painted", "s", ours,
            "`devcontainer up` of the naive image, which waits for no desktop", seconds,
        )
    ]  # fmt: skip


def _devcontainers(folder: Path, image: str, rounds: int) -> tuple[float, ...]:
    run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", DEVCONTAINERS], os.environ)
    workspace = folder / "workspace"
    (workspace / ".devcontainer").mkdir(parents=True)
    settings = {"image": image, "overrideCommand": False, "remoteUser": "dev"}
    (workspace / ".devcontainer/devcontainer.json").write_text(json.dumps(settings))
    return tuple(_devcontainer_up(folder, workspace) for _ in range(rounds))


def _up_again(pair: Pair) -> float:
    pair.ours.devbox("down")
    return take_seconds(lambda: pair.ours.devbox("up"))


def _devcontainer_up(folder: Path, workspace: Path) -> float:
    program = str(folder / "node_modules/.bin/devcontainer")
    label = f"dev.devbox.bench={workspace}"
    environment: Mapping[str, str] = os.environ
    argv = [program, "up", "--workspace-folder", str(workspace), "--id-label", label, "--remove-existing-container"]
    try:
        return take_seconds(lambda: run(argv, environment))
    finally:
        listed = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={label}"], environment).stdout.split()
        if listed:
            run(["docker", "rm", "--force", *listed], environment)
