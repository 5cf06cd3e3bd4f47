"""Faults of devbox.yaml and of this machine: disks, rights, limits, the environment, the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.engine.faults.doors import full_disk, read_only
from tests.engine.faults.model import Chapter, Family, Make, Trouble
from tests.engine.faults.of_engine import NO_RIGHTS
from tests.engine.faults.scene import Scene, config, plain, variables

# Mounts of one process: its user has no name, as one that a container was started with by number.
NOBODY = (
    *("unshare", "--mount", "sh", "-c"),
    'for file in passwd nsswitch.conf; do mount --bind /dev/null /etc/$file; done; exec "$@"',
    "sh",
)
# The shell closes and opens descriptors before devbox starts.
FULL_STDOUT = ("sh", "-c", 'exec "$@" >/dev/full', "sh")
NO_FOLDER = ("sh", "-c", 'cd "$(mktemp -d)" && rmdir "$PWD" && exec "$@"', "sh")
Place = Callable[[Scene], Path]


def own_folder(scene: Scene) -> Path:
    return scene.subject.folder / ".workstation"


def workspace(scene: Scene) -> Path:
    return scene.subject.folder


def secrets(scene: Scene) -> Path:
    return scene.state_home / "devbox"


@contextmanager
def no_room(place: Place, scene: Scene) -> Iterator[Trouble]:
    with scene.configured(), full_disk(place(scene)):
        yield Trouble()


@contextmanager
def no_writes(place: Place, scene: Scene) -> Iterator[Trouble]:
    with scene.configured(), read_only(place(scene)):
        yield Trouble()


@contextmanager
def read_only_secrets(scene: Scene) -> Iterator[Trouble]:
    place = scene.folder / "state"
    place.mkdir()
    with scene.configured(), read_only(place):
        yield Trouble(environment={"XDG_STATE_HOME": str(place)})
    place.rmdir()


def asked_anew(trouble: Trouble) -> Make:
    """With another devbox.yaml, so that `up` does more than to look."""

    @contextmanager
    def make(scene: Scene) -> Iterator[Trouble]:
        with scene.configured():
            yield trouble

    return make


@contextmanager
def instead_of_config(make: Callable[[Path], object], scene: Scene) -> Iterator[Trouble]:
    """Something else where devbox.yaml is looked for."""
    file = scene.subject.folder / "devbox.yaml"
    kept = file.rename(file.with_name("kept.yaml"))
    make(file)
    yield Trouble()
    file.rmdir() if file.is_dir() else file.unlink()
    kept.rename(file)


@contextmanager
def unreadable_config(scene: Scene) -> Iterator[Trouble]:
    file = scene.subject.folder / "devbox.yaml"
    file.chmod(0)
    yield Trouble(wrap=NO_RIGHTS)
    file.chmod(0o644)


@contextmanager
def small_files(scene: Scene) -> Iterator[Trouble]:
    """No file of more than a few bytes may be written."""
    with scene.configured():
        yield Trouble(wrap=("prlimit", "--fsize=16"))


@contextmanager
def few_files(scene: Scene) -> Iterator[Trouble]:
    with scene.configured():
        yield Trouble(wrap=("prlimit", "--nofile=8"))


row = Chapter(family=Family.MACHINE).row

MACHINE = (
    row(
        "config-no-yaml",
        "devbox.yaml is no YAML",
        config("tools: {node: 18\nname: x\n", instead=True),
        2,
        "devbox.yaml:2:",
        "look at indentation, quotes and brackets",
    ),
    row(
        "config-unknown-key",
        "devbox.yaml has a key that there is not",
        config("destkop: {}\n"),
        2,
        "unknown key `destkop`",
        "did you mean `desktop`?",
    ),
    row(
        "config-unknown-tool",
        "devbox.yaml names a tool that there is not",
        config("tools: {nod: 18}\n"),
        2,
        "nod",
        "node",
    ),
    row(
        "config-folder",
        "devbox.yaml is a folder",
        partial(instead_of_config, Path.mkdir),
        2,
        "devbox.yaml: is no plain file",
        "move it away; `devbox init`",
    ),
    row(
        "config-fifo",
        "devbox.yaml is a pipe that nobody writes into",
        partial(instead_of_config, os.mkfifo),
        2,
        "devbox.yaml: is no plain file",
        "move it away; `devbox init`",
    ),
    row(
        "config-huge",
        "devbox.yaml has two megabytes",
        partial(instead_of_config, lambda file: file.write_bytes(b"#" * (2 << 20))),
        2,
        "the file is larger than 1 MB",
        "is it the right file?",
    ),
    row(
        "config-binary",
        "devbox.yaml is no text",
        partial(instead_of_config, lambda file: file.write_bytes(bytes(range(256)))),
        2,
        "the file is UTF-16, not UTF-8",
        "save it as UTF-8",
    ),
    row(
        "config-unreadable",
        "devbox.yaml may not be read",
        unreadable_config,
        8,
        "cannot read this: Permission denied",
        "it has to be yours",
    ),
    row(
        "mount-missing",
        "a folder that is to be mounted is not there",
        config("mounts: [{source: ./gone, target: /home/dev/gone}]\n"),
        5,
        "bind source path does not exist",
        "create that folder",
    ),
    row(
        "workspace-full",
        "the disk of the workspace is full",
        partial(no_room, own_folder),
        8,
        "No space left on device",
        "free some space",
    ),
    row(
        "workspace-read-only",
        "the workspace takes no writes",
        partial(no_writes, workspace),
        8,
        "Read-only file system",
        "this file system is read-only",
    ),
    row(
        "secrets-full",
        "the disk of the state directory is full",
        partial(no_room, secrets),
        8,
        "No space left on device",
        "free some space",
    ),
    row(
        "secrets-read-only",
        "the state directory takes no writes",
        read_only_secrets,
        8,
        "cannot make this: Read-only file system",
        "this file system is read-only",
    ),
    row(
        "state-home-is-a-file",
        "the state directory is a file",
        asked_anew(Trouble(environment={"XDG_STATE_HOME": "/dev/null"})),
        8,
        "Not a directory",
        "a file is in the way where a folder has to be",
    ),
    row(
        "no-home",
        "there is no HOME, and nobody is known by the user's number",
        asked_anew(
            Trouble(
                environment={
                    "HOME": None,
                    "XDG_STATE_HOME": None,
                    "XDG_CACHE_HOME": None,
                    "XDG_CONFIG_HOME": None,
                    "DOCKER_CONFIG": None,
                },
                wrap=NOBODY,
            )
        ),
        8,
        "this user has no home folder",
        "set HOME",
    ),
    row("file-size-limit", "a limit on the size of files is met", small_files, 8, "File too large", "`ls -ld`"),
    row("open-files-limit", "a limit on open files is met", few_files, 8, "Too many open files", "`ulimit -n 1024`"),
    row(
        "no-folder",
        "the folder to work in is not there",
        plain(Trouble(folder=Path("/nowhere/at/all"))),
        2,
        "there is no such folder",
        "-C takes an existing folder",
    ),
    row(
        "folder-removed",
        "the folder to work in was removed under devbox",
        plain(Trouble(folder=Path(), wrap=NO_FOLDER)),
        2,
        "this folder cannot be used",
        "-C takes an existing folder",
    ),
    row(
        "stdout-full",
        "what it prints cannot be written",
        plain(Trouble(wrap=FULL_STDOUT)),
        8,
        "standard output cannot be written",
        "free some space where it leads to",
        verb="status",
    ),
    row(
        "unknown-verb",
        "the verb does not exist",
        plain(Trouble()),
        2,
        "there is no verb `upp`",
        "`devbox --help`",
        verb="upp",
    ),
    row(
        "unknown-option",
        "the option does not exist",
        plain(Trouble()),
        2,
        "No such option",
        "`devbox --help`",
        verb="up --fast",
    ),
    row(
        "no-ssh",
        "`devbox ssh` without an SSH client",
        plain(Trouble(environment={"PATH": "/nowhere"})),
        8,
        "ssh is not installed on this machine",
        "`devbox shell` needs none",
        verb="ssh true",
    ),
    row(
        "no-agent",
        "`devbox ssh -A` without an agent",
        variables(SSH_AUTH_SOCK=None),
        8,
        "there is no SSH agent to forward",
        "ssh-add",
        verb="ssh -A true",
    ),
    row(
        "key-that-is-none",
        "a file of public keys holds none",
        config("ssh: {authorized_keys: [./devbox.yaml]}\n"),
        2,
        "is no file of public keys",
        "name a .pub file",
    ),
)
