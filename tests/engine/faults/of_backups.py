"""Faults of backups: of the place that they go to, of its password, and of a backup that is broken off.

What comes back, and a restore that is broken off, is looked at in test_backup.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from builder.adapters.clock import wait_for
from builder.core.labels import LABEL_HELPER
from tests.engine.faults.doors import busy_port, full_disk
from tests.engine.faults.model import KILLED, Chapter, Family, Trouble
from tests.engine.faults.scene import Scene, plain

LARGE = 60 << 20  # what takes restic so long that it can be met at work


@contextmanager
def place(scene: Scene) -> Iterator[Path]:
    """A folder with a backup in it, which devbox.yaml names."""
    folder = scene.folder / "backups"
    with scene.configured(f"backup: {folder}\n"):
        if not folder.exists():
            scene.subject.ok("backup")
        yield folder


@contextmanager
def as_it_is(scene: Scene) -> Iterator[Trouble]:
    with place(scene):
        yield Trouble()


@contextmanager
def place_gone(scene: Scene) -> Iterator[Trouble]:
    with place(scene):
        pass  # the image that restic works in is there from then on
    with scene.configured(f"backup: {scene.folder}/no/disk\n"):
        yield Trouble()


@contextmanager
def place_full(scene: Scene) -> Iterator[Trouble]:
    with place(scene):
        pass  # and so is a password, so that nothing new is kept
    folder = scene.folder / "full"
    with full_disk(folder), scene.configured(f"backup: {folder}\n"):
        yield Trouble()
    folder.rmdir()


@contextmanager
def place_unreachable(scene: Scene) -> Iterator[Trouble]:
    """Nobody listens at the address of the machine with the backups."""
    home = scene.folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text("a key\n")
    (home / ".ssh/known_hosts").write_text("[127.0.0.1]:1 ssh-ed25519 AAAA\n")
    with busy_port(listens=False) as port, scene.configured(f"backup: sftp://somebody@127.0.0.1:{port}/backups\n"):
        yield Trouble(environment={"HOME": str(home)})
    shutil.rmtree(home)


@contextmanager
def other_password(scene: Scene) -> Iterator[Trouble]:
    with place(scene):
        right = scene.subject.ok("password", "backup")
        scene.subject.ok("password", "backup", "--set", stdin="another\n")
        yield Trouble()
        scene.subject.ok("password", "backup", "--set", stdin=right)


@contextmanager
def another_machine(scene: Scene) -> Iterator[Trouble]:
    """One that has devbox.yaml and the place, and not the password."""
    state = scene.folder / "other-state"
    with place(scene):
        yield Trouble(environment={"XDG_STATE_HOME": str(state)})
    shutil.rmtree(state)


@contextmanager
def place_locked(scene: Scene) -> Iterator[Trouble]:
    """Another restic stands still in the middle of a check, for which it has the repository to itself."""
    with place(scene) as folder:
        password = {"RESTIC_PASSWORD": scene.subject.ok("password", "backup").strip()}
        argv = ["restic", "--no-cache", "--repo", str(folder), "check"]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env={**os.environ, **password}) as other:
            await_lock(folder)
            other.send_signal(signal.SIGSTOP)
            yield Trouble()
            other.send_signal(signal.SIGCONT)
        assert other.returncode == 0


@contextmanager
def stopped(number: signal.Signals, scene: Scene) -> Iterator[Trouble]:
    """When the first bytes of a large file are there. The container that restic ran in goes with it, and its lock."""
    home = scene.api.inspect_volume(f"{scene.name}_home")["Mountpoint"]
    large = Path(home, "large")
    large.write_bytes(os.urandom(LARGE))
    with place(scene) as folder:
        before = packs(folder)

        def act(process: subprocess.Popen[str]) -> None:
            wait_for("restic at work", lambda: packs(folder) - before or None, deadline_s=60, interval_s=0.01)
            scene.send(process, number)
            process.wait(30)
            wait_for("the end of the helper", lambda: helpers_of(scene) == [] or None, deadline_s=30, interval_s=0.1)

        yield Trouble(during=act)
        assert locks(folder) == [], "its lock would be in the way of the next one"
        large.unlink()
        scene.subject.ok("backup")


def await_lock(repository: Path) -> None:
    wait_for("a lock", lambda: locks(repository) or None, deadline_s=60, interval_s=0.01)


def locks(repository: Path) -> list[Path]:
    """Without what restic is still writing, or was: no restic takes that for a lock."""
    return [path for path in (repository / "locks").iterdir() if "-tmp-" not in path.name]


def packs(repository: Path) -> set[Path]:
    """What restic has put there of the data, or is at."""
    return set((repository / "data").glob("*/*"))


def helpers_of(scene: Scene) -> list[str]:
    return [item["Id"] for item in scene.api.containers(all=True, filters={"label": [LABEL_HELPER]})]


row = Chapter(family=Family.BACKUPS).row

BACKUPS = (
    row(
        "no-place",
        "devbox.yaml names no place for backups",
        plain(Trouble()),
        2,
        "no place for backups is set",
        "write `backup: /path/of/a/folder`",
        verb="backup",
    ),
    row(
        "place-gone",
        "the disk for backups is not mounted",
        place_gone,
        9,
        "there is no such folder for the backup",
        "mount the disk, or make the folder",
        verb="backup",
    ),
    row(
        "place-full",
        "the disk for backups is full",
        place_full,
        9,
        "there is no room left for it",
        "make room there, or keep less",
        verb="backup",
        seconds=20,
    ),
    row(
        "place-unreachable",
        "nobody listens at the address of the machine with the backups",
        place_unreachable,
        9,
        "it cannot be reached",
        "look at the network and at `backup.to`",
        verb="backup",
        seconds=20,
    ),
    row(
        "place-locked",
        "another restic has the backups to itself",
        place_locked,
        9,
        "another restic works on it",
        "wait until it has ended",
        verb="backup",
        seconds=20,
    ),
    row(
        "backup-password-wrong",
        "the password on file is not that of the backups",
        other_password,
        9,
        "the password does not open it",
        "`devbox password backup --set` takes the right one",
        verb="backup",
        seconds=20,
    ),
    row(
        "backup-password-elsewhere",
        "there are backups, and their password is on another machine",
        another_machine,
        9,
        "there are backups already, and their password is not on this machine",
        "`devbox password backup --set` takes it",
        verb="backup",
        seconds=20,
    ),
    row(
        "no-snapshot",
        "a backup is to be restored that there is not",
        as_it_is,
        9,
        "there is no such snapshot: 00000000",
        "`devbox backups --all` lists them",
        verb="restore 00000000 --yes",
        seconds=20,
    ),
    *(
        row(
            f"backup-{number.name.lower()}",
            f"{number.name} in the middle of a backup",
            partial(stopped, number),
            KILLED if number is signal.SIGKILL else 130,
            "" if number is signal.SIGKILL else "interrupted",
            verb="backup",
        )
        for number in (signal.SIGINT, signal.SIGKILL)
    ),
)
