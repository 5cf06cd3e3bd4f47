"""Checkpoints: a commit of the memory with an annotated tag `checkpoint/NAME`. Owns making and reading them.

Must not change working files: checkpoints.restore does.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coditect.checkpoints.pointers import POINTERS_FILE, Pointers, read_pointers, take_pointers
from coditect.errors import RefusedError, StoreError, UsageError

if TYPE_CHECKING:
    from coditect.memory import Memory
    from coditect.store import Store

PREFIX: Final = "refs/tags/checkpoint/"
_NAME: Final = re.compile(r"\w(?:[\w.+-]{0,98}[\w+-])?")


@dataclass(frozen=True)
class Checkpoint:
    """What a tag says. `time` is ISO 8601 with its zone."""

    name: str
    time: str
    commit: str
    message: str

    def as_dict(self) -> dict[str, object]:
        return {"name": self.name, "time": self.time, "commit": self.commit, "message": self.message}


def create_checkpoint(store: Store, memory: Memory, name: str, message: str) -> Checkpoint:
    """Commit the whole memory with the pointers, and tag it. Killed at any point, it is there whole or not at all."""
    check_name(name)
    memory.ensure()
    with memory.locked():
        refuse_taken(memory, name)
        memory.refuse_unfinished_merge()
        write_pointers(memory, take_pointers(store, _last_pointers(memory)))
        memory.git("add", "--all")
        commit, parent = _commit_index(memory, f"checkpoint {name}\n\n{message}")
        tag = _make_tag(memory, name, commit, message)
        # Branch and tag move in one transaction, once all that they name is stored.
        moves = [f"create {PREFIX}{name} {tag}"]
        if commit != parent:
            moves.append(f"update HEAD {commit} {parent or '0' * len(commit)}")
        memory.git("update-ref", "--create-reflog", f"-mcheckpoint {name}", "--stdin", feed="\n".join([*moves, ""]))
    return find_checkpoint(memory, name)


def _last_pointers(memory: Memory) -> Pointers | None:
    """Those of the last commit, which save reading all sessions again; damaged ones are made anew."""
    name = f"HEAD:{POINTERS_FILE}"
    if not memory.resolve(name):
        return None
    try:
        return read_pointers(memory.git("cat-file", "blob", name), where=name)
    except StoreError:
        return None


def write_pointers(memory: Memory, pointers: Pointers) -> None:
    part = memory.folder / ".git" / f"{POINTERS_FILE}.part"
    part.write_text(pointers.as_text())
    part.replace(memory.folder / POINTERS_FILE)


def _commit_index(memory: Memory, message: str) -> tuple[str, str | None]:
    """A commit of what is staged, and its parent; the parent itself when nothing is new. No branch is moved."""
    tree = memory.git("write-tree").strip()
    return commit_tree(memory, tree, message)


def commit_tree(memory: Memory, tree: str, message: str) -> tuple[str, str | None]:
    """A commit of `tree` on top of HEAD, and HEAD; HEAD itself when it has that tree."""
    parent = memory.resolve("HEAD^{commit}")
    if parent and memory.resolve("HEAD^{tree}") == tree:
        return parent, parent
    words = ["-p", parent] if parent else []
    return memory.git("commit-tree", *words, tree, feed=message.strip() + "\n").strip(), parent


def _make_tag(memory: Memory, name: str, commit: str, message: str) -> str:
    tagger = memory.git("var", "GIT_COMMITTER_IDENT").strip()
    head = f"object {commit}\ntype commit\ntag checkpoint/{name}\ntagger {tagger}\n"
    return memory.git("mktag", feed=f"{head}\n{message.strip() or name}\n").strip()


def check_name(name: str) -> None:
    """Raises UsageError for what git would not take as a tag, or read as an option."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith(".lock"):
        hint = "letters, digits and . _ + - inside, at most 100; not .. and not .lock at the end"
        raise UsageError(f"{name!r} cannot be the name of a checkpoint", hint=hint)


def refuse_taken(memory: Memory, name: str) -> None:
    if memory.resolve(f"{PREFIX}{name}"):
        hint = f"choose another name; `coditect checkpoint show {name}` tells what it holds"
        raise RefusedError(f"there is a checkpoint {name} already", hint=hint)


def make_name(memory: Memory, stem: str = "") -> str:
    """A name that says when, and is free."""
    base = stem + datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    name, number = base, 1
    while memory.exists and memory.resolve(f"{PREFIX}{name}"):
        number += 1
        name = f"{base}-{number}"
    return name


def list_checkpoints(memory: Memory) -> list[Checkpoint]:
    """All of them, oldest first."""
    if not memory.exists:
        return []
    fields = ("refname:strip=3", "creatordate:iso-strict", "*objectname", "objectname", "contents:subject")
    form = "%00".join(f"%({name})" for name in fields)
    lines = memory.git("for-each-ref", "--sort=creatordate", f"--format={form}", PREFIX).splitlines()
    rows = (line.split("\0") for line in lines)
    return [Checkpoint(name, time, peeled or own, message) for name, time, peeled, own, message in rows]


def find_checkpoint(memory: Memory, name: str) -> Checkpoint:
    """Raises UsageError when there is none of this name."""
    check_name(name)
    known = {checkpoint.name: checkpoint for checkpoint in list_checkpoints(memory)}
    if name not in known:
        hint = "`coditect checkpoint list` shows all" if known else "make one with `coditect checkpoint create`"
        raise UsageError(f"there is no checkpoint {name}", where=str(memory.folder), hint=hint)
    return known[name]


def read_message(memory: Memory, checkpoint: Checkpoint) -> str:
    """All that was said with -m, not only its first line."""
    return memory.git("for-each-ref", "--format=%(contents)", f"{PREFIX}{checkpoint.name}").strip()


def read_tagged_pointers(memory: Memory, checkpoint: Checkpoint) -> Pointers:
    """Where the checkpoint stands in the sessions; a tag set by hand may have no such file."""
    if not memory.resolve(f"{checkpoint.commit}:{POINTERS_FILE}"):
        return Pointers()
    text = memory.git("cat-file", "blob", f"{checkpoint.commit}:{POINTERS_FILE}")
    return read_pointers(text, where=f"checkpoint {checkpoint.name}")
