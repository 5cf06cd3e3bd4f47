"""Bringing the working files back to a checkpoint. Owns what may be overwritten, and the order of the steps.

The branch goes on: the restored state is a new commit on it. Files that git does not know and that are in nobody's
way stay. Must not touch the sessions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from coditect.checkpoints.checkpoint import Checkpoint, commit_tree
from coditect.checkpoints.pointers import POINTERS_FILE

if TYPE_CHECKING:
    from coditect.memory import Memory


@dataclass(frozen=True)
class Restored:
    """What a restore did to the files: (A added, M modified, D deleted; name)."""

    changes: tuple[tuple[str, str], ...]
    commit: str


def find_losses(memory: Memory, checkpoint: Checkpoint) -> list[str]:
    """Files whose present content is neither committed nor that of the checkpoint, and that a restore would replace.

    The file of pointers is ours and made anew each time: it does not count.
    """
    wanted = set(memory.names("ls-tree", "-r", "--name-only", "-z", checkpoint.commit))
    differing = _differing(memory, checkpoint)
    untracked = set(memory.names("ls-files", "--others", "-z"))
    in_the_way = {name for name in untracked if name in differing or _blocks_any(name, wanted)}
    edited = {name for name in _edited(memory) if name not in wanted or name in differing}
    present = {name for name in in_the_way | edited if (memory.folder / name).is_symlink() or _is_there(memory, name)}
    return sorted(present - {POINTERS_FILE})


def _is_there(memory: Memory, name: str) -> bool:
    return (memory.folder / name).exists()


def _differing(memory: Memory, checkpoint: Checkpoint) -> set[str]:
    """Files of the checkpoint that are not in the folder as they are in the checkpoint."""
    with tempfile.TemporaryDirectory(prefix="coditect-") as folder:
        index = Path(folder, "index")
        memory.git("read-tree", checkpoint.commit, index=index)
        return set(memory.names("diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", index=index))


def _edited(memory: Memory) -> Iterator[str]:
    """Tracked files that are not as in the last commit, in the folder or as staged."""
    if memory.resolve("HEAD"):
        yield from memory.names("diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", "HEAD")
        yield from memory.names("diff", "--cached", "--name-only", "--no-renames", "-z", "HEAD")
    else:
        yield from memory.names("ls-files", "-z")


def _blocks_any(name: str, wanted: set[str]) -> bool:
    """A file where the checkpoint has a folder, or in a folder where it has a file."""
    parents = {str(parent) for parent in PurePosixPath(name).parents}
    return bool(parents & wanted) or any(other.startswith(f"{name}/") for other in wanted)


def restore_files(memory: Memory, checkpoint: Checkpoint) -> Restored:
    """Make the files those of the checkpoint; whoever calls has asked find_losses.

    First the commit, then the files, the branch last: killed in between, a second run finds nothing to lose and ends
    what the first began.
    """
    tree = memory.resolve(f"{checkpoint.commit}^{{tree}}") or ""
    before = _snapshot(memory)
    commit, parent = commit_tree(memory, tree, f"restore checkpoint {checkpoint.name}")
    memory.git("read-tree", "--reset", "-u", tree)
    if commit != parent:
        old = parent or "0" * len(commit)
        memory.git("update-ref", "--create-reflog", f"-mrestore {checkpoint.name}", "HEAD", commit, old)
    return Restored(tuple(_changes(memory, before, tree)), commit)


def _snapshot(memory: Memory) -> str:
    """The tracked files as they lie in the folder, as a tree."""
    with tempfile.TemporaryDirectory(prefix="coditect-") as folder:
        index = Path(folder, "index")
        if memory.resolve("HEAD"):
            memory.git("read-tree", "HEAD", index=index)
        memory.git("add", "--update", index=index)
        return memory.git("write-tree", index=index).strip()


def _changes(memory: Memory, before: str, after: str) -> Iterator[tuple[str, str]]:
    words = memory.names("diff-tree", "-r", "--name-status", "--no-renames", "-z", before, after)
    for kind, name in zip(words[::2], words[1::2]):
        if name != POINTERS_FILE:
            yield kind, name
