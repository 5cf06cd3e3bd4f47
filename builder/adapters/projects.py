"""Python projects that a build takes in: a folder of this machine, a revision of a Git repository, a wheel.

Owns the reading, and of the cache `commits/<key>/` and `kept/<key>/`. What of a folder is wanted is said by
`core.projects`; git runs as the person, with their credentials, and never inside a build.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.fetch import publish, sha256_of, temporary
from builder.adapters.files import cannot
from builder.adapters.intake import MAX_FILES, Intake
from builder.adapters.process import Stopped, never, run_lines
from builder.adapters.unpack import unpack_tar
from builder.adapters.urls import Unreachable
from builder.core.projects import is_wanted
from builder.errors import HostError
from builder.model import UnpackRule

if TYPE_CHECKING:
    from builder.model import RenderedTree

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Nothing that git would ask of a person, and no way of transport that runs a program of its own.
GIT_ENVIRONMENT: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "LC_ALL": "C"}
_INTAKE: Final = Intake(
    name="project",
    link="put a copy in its place, or build a wheel and name that with `framework.wheel`",
    key="move it out of the project; what a test needs belongs into `tests`, which stays out of a build",
    size="name the folder of the package alone, without data",
)
_INSIDE: Final = "project"


# ------------------------------------------------------------------------------------------------------ folders


def read_project(folder: Path) -> RenderedTree:
    """The files of a project that a build wants, by path below it. Raises HostError for what is no project."""
    if not any((folder / name).is_file() for name in ("pyproject.toml", "setup.py")):
        hint = "`framework.path` names the folder of a Python project"
        raise HostError("has neither pyproject.toml nor setup.py", where=str(folder), hint=hint)
    return _INTAKE.read(_wanted_files(folder, folder), folder)


def stamp_project(path: Path) -> list[str]:
    """Name, size and time of a wheel, or of each wanted file of a folder: tells that nothing changed since.

    No more than a project may have: one with more is refused when it is read.
    """
    files = _wanted_files(path, path) if path.is_dir() else iter((path,) if path.is_file() else ())
    return [_stamp(file) for file in islice(files, MAX_FILES + 1)]


def _stamp(file: Path) -> str:
    try:
        state = file.stat()
    except FileNotFoundError:  # an editor's, gone since the folder was listed
        return f"{file} gone"
    except OSError as error:
        raise cannot("read", file, error) from error
    return f"{file} {state.st_size} {state.st_mtime_ns} {state.st_mode}"


def _wanted_files(folder: Path, root: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise cannot("read", folder, error) from error
    for path in entries:
        if not is_wanted(path.relative_to(root).parts):
            continue
        _INTAKE.refuse_link_out(path, root)
        if path.is_dir():
            if not path.is_symlink():  # what it leads to is read at its own place
                yield from _wanted_files(path, root)
        elif path.is_file():
            yield path


# ------------------------------------------------------------------------------------------------------- wheels


def find_wheel_digest(wheel: Path) -> str:
    if not wheel.is_file():
        raise HostError("no such file", where=str(wheel), hint="`framework.wheel` names a wheel on this machine")
    return sha256_of(wheel)


def keep_wheel(wheel: Path, digest: str, cache: Path) -> Path:
    """A folder that holds this wheel alone, as it was when it had `digest`.

    The name counts as well: pip reads the version and what the wheel fits from it.
    """
    final = cache / "kept" / hashlib.sha256(f"{digest}\n{wheel.name}".encode()).hexdigest()
    if final.is_dir():
        kept = final / wheel.name
        if kept.is_file() and sha256_of(kept) == digest:
            return final
        shutil.rmtree(final)  # a file of the cache that rotted is kept anew
    with temporary(cache) as work:
        shutil.copyfile(wheel, work / wheel.name)
        if sha256_of(work / wheel.name) != digest:
            raise HostError("this file changed while it was read", where=str(wheel), hint="run the command again")
        publish(work, final)
    return final


# ---------------------------------------------------------------------------------------------------------- git


def find_commit(url: str, revision: str, *, stopped: Stopped = never) -> str:
    """The commit that a tag or branch stands for now. Raises Unreachable, or HostError where there is no such one."""
    if COMMIT.fullmatch(revision):
        return revision
    refs = dict(_references(run_git(["ls-remote", "--", url], url, stopped=stopped)))
    for name in (f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}", revision):
        if name in refs:
            return refs[name]
    known = ", ".join(
        sorted(name.rpartition("/")[2] for name in refs if name.startswith(("refs/tags", "refs/heads")))[:8]
    )
    hint = f"a tag, a branch, or a whole commit id; there are {known}" if known else "the repository is empty"
    raise HostError(f"has no revision {revision}", where=url, hint=hint)


def _references(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        commit, tab, name = line.partition("\t")
        if tab and COMMIT.fullmatch(commit):
            yield name, commit


def fetch_commit(url: str, commit: str, cache: Path, *, stopped: Stopped = never) -> Path:
    """The files of a commit, in the cache; without a history, and unpacked like any archive that is not trusted."""
    final = _commit_folder(url, commit, cache)
    if not final.is_dir():
        with temporary(cache) as work:
            repository, tar = work / "repository", work / "commit.tar"
            _fetch(url, commit, repository, stopped)
            run_git(["archive", "--format=tar", f"--output={tar}", commit], url, folder=repository, stopped=stopped)
            tree = work / "tree"
            unpack_tar(tar, (UnpackRule(source="", target=f"/{_INSIDE}"),), tree, stopped=stopped)
            publish(tree, final)
    return final / _INSIDE


def has_commit(url: str, commit: str, cache: Path) -> bool:
    """Whether `fetch_commit` needs no network."""
    return _commit_folder(url, commit, cache).is_dir()


def _commit_folder(url: str, commit: str, cache: Path) -> Path:
    return cache / "commits" / hashlib.sha256(f"{url}\n{commit}".encode()).hexdigest()


def _fetch(url: str, commit: str, repository: Path, stopped: Stopped) -> None:
    """The commit alone; from a server that hands out names only, everything."""
    run_git(["init", "--quiet", "--bare", str(repository)], url, stopped=stopped)
    try:
        run_git(["fetch", "--quiet", "--depth=1", "--", url, commit], url, folder=repository, stopped=stopped)
    except Unreachable:
        refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        run_git(["fetch", "--quiet", "--", url, *refs], url, folder=repository, stopped=stopped)


def run_git(words: list[str], url: str, *, folder: Path | None = None, stopped: Stopped = never) -> list[str]:
    """What git wrote. Raises Unreachable with its words when it fails."""
    if shutil.which("git") is None:
        raise HostError("git is not installed on this machine", where=url, hint="install it: the package is git")
    lines: list[str] = []
    # A repository of somebody else on this machine is read like one on a server.
    argv = ["git", "-c", "safe.directory=*", *(["-C", str(folder)] if folder else []), *words]
    environment = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    if run_lines(argv, on_line=lines.append, env={**environment, **GIT_ENVIRONMENT}, stopped=stopped) != 0:
        detail = "\n".join(lines)[-2000:]
        raise Unreachable(
            "git cannot read this", where=url, detail=detail, hint=f"does `git ls-remote {url}` work here?"
        )
    return lines
