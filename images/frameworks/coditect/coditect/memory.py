"""The Git repository of a store: notes, decisions, tasks, knowledge. Owns every call of git.

Must not decide what is kept: checkpoints and knowledge do. Git runs the same for everybody: what the environment says
about another repository is not passed on, and settings that would change what is stored (hooks, signing, line ends,
filters, ignored files) are off. Only the name and the address of the person are taken from their own settings.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coditect.errors import CoditectError, RefusedError, StoreError, ToolMissingError

if TYPE_CHECKING:
    from coditect.store import Store

STARTERS: Final[Mapping[str, str]] = {
    "notes.md": "# Notes\n\nWhat is being worked on, what was tried, what comes next. Newest first.\n",
    "decisions.md": "# Decisions\n\n<!-- One line each: date, what was decided, why, what was rejected. -->\n",
    "tasks.md": "# Tasks\n\n- [ ] an open task; `- [x]` when it is done\n",
}
OUR_NAME: Final = "coditect"
OUR_EMAIL: Final = "coditect@localhost"

_SETTINGS: Final = (
    *("core.hooksPath=/dev/null", "core.attributesFile=/dev/null", "core.excludesFile=/dev/null"),
    *("core.autocrlf=false", "core.safecrlf=false", "core.fsmonitor=false", "core.quotePath=false"),
    *("commit.gpgSign=false", "tag.gpgSign=false", "color.ui=false", "core.fsync=committed"),
    *("gc.autoDetach=false", "status.relativePaths=false", "advice.addEmbeddedRepo=false"),
)
_KEPT_VARIABLES: Final = re.compile(r"GIT_((AUTHOR|COMMITTER)_\w+|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)|EXEC_PATH|TRACE\w*)")
_LOCK_FILE: Final = re.compile(r"'([^']+\.lock)': File exists")


class Memory:
    """The repository of `store`, made when it is first needed."""

    def __init__(self, store: Store) -> None:
        self.folder = store.memory
        self._depth = 0

    @property
    def exists(self) -> bool:
        return (self.folder / ".git" / "HEAD").exists() or (self.folder / ".git").is_file()

    def ensure(self) -> None:
        """Make the repository, with files to start from, if there is none. Raises ToolMissingError without git."""
        if self.exists:
            return
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name, text in STARTERS.items():
                if not (self.folder / name).exists():
                    (self.folder / name).write_text(text)
        # Last, so that a run that was killed before is made good by the next one.
        self.git("init", "--quiet", "--template=", "--initial-branch=main")

    def git(self, *words: str, feed: str = "", index: Path | None = None) -> str:
        """Output of a git command in the repository; `index` stands in for its own. Raises StoreError."""
        environment = {**self._environment, **({"GIT_INDEX_FILE": str(index)} if index else {})}
        done = _run([*words], feed, environment)
        if done.returncode:
            raise self._explain(words[0], done.stderr.strip())
        return done.stdout

    def names(self, *words: str, index: Path | None = None) -> list[str]:
        """File names from a git command that was told to end each with NUL."""
        return [name for name in self.git(*words, index=index).split("\0") if name]

    def resolve(self, name: str) -> str | None:
        """The id that a revision stands for, if there is one."""
        done = _run(["rev-parse", "--quiet", "--verify", "--end-of-options", name], "", self._environment)
        return done.stdout.strip() or None

    def commit(self, message: str, paths: Sequence[Path]) -> bool:
        """Commit just these paths (files or folders); False when nothing in them changed."""
        self.ensure()
        tracked = set(self.names("ls-files", "-z"))
        names = [str(path.relative_to(self.folder)) for path in paths]
        wanted = [name for name in names if (self.folder / name).exists() or _is_among(name, tracked)]
        if not wanted:
            return False
        listing = "\0".join(wanted)
        from_list = ("--pathspec-from-file=-", "--pathspec-file-nul")
        with self.locked():
            self.refuse_unfinished_merge()
            self.git("add", "--all", *from_list, feed=listing)
            staged = self.names("diff", "--cached", "--name-only", "--no-renames", "-z")
            if not any(_is_among(name, staged) for name in wanted):
                return False
            words = ("commit", "--quiet", "--cleanup=whitespace", f"--message={message}", "--only", *from_list)
            self.git(*words, feed=listing)
        return True

    def refuse_unfinished_merge(self) -> None:
        """Files in conflict must not be stored as if they were resolved."""
        if names := self.names("diff", "--name-only", "--diff-filter=U", "-z"):
            hint = f"resolve the conflict with git in {self.folder}, then try again"
            raise RefusedError(f"a merge is not finished: {', '.join(sorted(set(names)))}", hint=hint)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among the runs of coditect that change this repository. The same object may ask again inside."""
        if self._depth == 0:
            with self._writing():
                file = (self.folder / ".git" / "coditect.lock").open("a")
            with file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield from self._hold()
        else:
            yield from self._hold()

    def _hold(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = "make the folder writable, or choose another store with --store"
            raise StoreError(f"cannot be written: {error.strerror}", where=str(self.folder), hint=hint) from error

    @cached_property
    def _environment(self) -> dict[str, str]:
        """For git: this repository and no other, and an identity of our own where the person has none."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or _KEPT_VARIABLES.fullmatch(k)}
        # Given outright, so that git never looks for a repository in the folders above.
        kept |= {"GIT_DIR": str(self.folder / ".git"), "GIT_WORK_TREE": str(self.folder)}
        kept |= {"GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
        return {**kept, **_missing_identity(kept)}

    def _explain(self, command: str, words: str) -> CoditectError:
        """What git said, and what to do where that is known."""
        hint = ""
        if lock := _LOCK_FILE.search(words):
            hint = f"another git is at work there: try again; if none is, one was killed: remove {lock[1]}"
            return StoreError("the memory is locked by git", where=str(self.folder), hint=hint)
        if "Permission denied" in words or "Read-only file system" in words or "insufficient permission" in words:
            hint = "make the folder writable, or choose another store with --store"
        return StoreError(f"git {command}: {words}", where=str(self.folder), hint=hint)


def _run(words: list[str], feed: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which("git")
    if program is None:
        raise ToolMissingError("git is not installed", hint="install the package git")
    options = [word for setting in _SETTINGS for word in ("-c", setting)]
    # File names are bytes: what is no UTF-8 must come back as it went out.
    return subprocess.run(
        [program, *options, *words],
        input=feed,
        env=environment,
        cwd=environment["GIT_WORK_TREE"],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def _missing_identity(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that complete the name and address git would sign with; what the person has set stays."""
    listing = _run(["config", "--null", "--get-regexp", r"^(user|author|committer)\.(name|email)$"], "", environment)
    pairs = (entry.partition("\n") for entry in listing.stdout.split("\0"))
    known = {key: value for key, _, value in pairs if value.strip()}
    email = environment.get("EMAIL", "")
    missing = {}
    for role in ("author", "committer"):
        for part, own in (("name", OUR_NAME), ("email", email or OUR_EMAIL)):
            variable = f"GIT_{role.upper()}_{part.upper()}"
            if not environment.get(variable) and f"{role}.{part}" not in known:
                missing[variable] = known.get(f"user.{part}", own)
    return missing


def _is_among(name: str, files: set[str] | Sequence[str]) -> bool:
    """Whether a file, or something in a folder of this name, is one of `files`."""
    return name == "." or any(file == name or file.startswith(f"{name}/") for file in files)
