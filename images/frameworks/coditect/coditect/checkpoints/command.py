"""`coditect checkpoint`: the words, the questions and what is printed. The work is done by its neighbours."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from coditect.checkpoints.asking import ask, can_ask
from coditect.checkpoints.checkpoint import (
    Checkpoint,
    create_checkpoint,
    find_checkpoint,
    list_checkpoints,
    make_name,
    read_message,
    read_tagged_pointers,
)
from coditect.checkpoints.pointers import POINTERS_FILE, Pointers, check_pointers
from coditect.checkpoints.restore import Restored, find_losses, restore_files
from coditect.errors import RefusedError, StoreError
from coditect.memory import Memory
from coditect.store import Store, find_store

SHOWN_FILES = 10
CHANGE_WORDS = {"A": "added", "M": "changed", "D": "removed", "T": "changed"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = _add(verbs, "create", "commit the memory and the pointers into the sessions, and tag it", as_json=True)
    create.add_argument("name", nargs="?", metavar="NAME", help="default: date and time")
    create.add_argument("-m", "--message", default="", metavar="TEXT", help="what this state is")
    _add(verbs, "list", "all checkpoints, oldest first", as_json=True)
    show = _add(verbs, "show", "what one checkpoint holds", as_json=True)
    show.add_argument("name", metavar="NAME")
    diff = _add(verbs, "diff", "what changed since a checkpoint, or between two", as_json=False)
    diff.add_argument("name", metavar="NAME")
    diff.add_argument("other", nargs="?", metavar="NAME", help="default: the files as they are now")
    restore = _add(verbs, "restore", "bring the files back, as a new state; the sessions stay", as_json=True)
    restore.add_argument("name", metavar="NAME")
    uncommitted = restore.add_mutually_exclusive_group()
    uncommitted.add_argument("--keep", action="store_true", help="make a checkpoint of uncommitted work first")
    uncommitted.add_argument("--discard", action="store_true", help="drop uncommitted work that is in the way")


def _add(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, *, as_json: bool
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=summary)
    parser.add_argument("--store", metavar="DIR", help="default: CODITECT_STORE, else coditect in the data folder")
    if as_json:
        parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def run(options: argparse.Namespace) -> int:
    store = find_store(options.store, os.environ)
    actions = {"create": _create, "list": _list, "show": _show, "diff": _diff, "restore": _restore}
    actions[options.action](options, store, Memory(store))
    return 0


def _create(options: argparse.Namespace, store: Store, memory: Memory) -> None:
    name = options.name if options.name is not None else make_name(memory)
    checkpoint = create_checkpoint(store, memory, name, options.message)
    pointers = read_tagged_pointers(memory, checkpoint)
    if options.json:
        _print_json({**checkpoint.as_dict(), "messages": pointers.messages, "sessions": len(pointers.sessions)})
    else:
        print(
            f"checkpoint {name}: {_count(pointers.messages, 'message')} in {_count(len(pointers.sessions), 'session')}"
        )


def _list(options: argparse.Namespace, store: Store, memory: Memory) -> None:
    checkpoints = list_checkpoints(memory)
    if options.json:
        _print_json([checkpoint.as_dict() for checkpoint in checkpoints])
        return
    width = max((len(checkpoint.name) for checkpoint in checkpoints), default=0)
    for one in checkpoints:
        note = one.message if one.message != one.name else ""
        print(f"{one.name:{width}}  {_clock(one.time)}  {note}".rstrip())
    if not checkpoints:
        print("no checkpoints yet: make one with `coditect checkpoint create`", file=sys.stderr)


def _show(options: argparse.Namespace, store: Store, memory: Memory) -> None:
    checkpoint = find_checkpoint(memory, options.name)
    message, pointers = read_message(memory, checkpoint), read_tagged_pointers(memory, checkpoint)
    files = memory.names("ls-tree", "-r", "--name-only", "-z", checkpoint.commit)
    if options.json:
        sessions = {"committed": pointers.committed, "messages": pointers.messages, "sha256": pointers.sha256}
        sessions_full = {**sessions, "last_message": pointers.last_message, "sessions": dict(pointers.sessions)}
        _print_json({**checkpoint.as_dict(), "message": message, "files": files, "pointers": sessions_full})
        return
    print(f"checkpoint {checkpoint.name}\ntime       {_clock(checkpoint.time)}\ncommit     {checkpoint.commit}")
    print(f"sessions   {_tell(pointers)}")
    print(f"\n{message}\n" if message != checkpoint.name else "")
    for name in files:
        print(f"  {_printable(name)}")


def _diff(options: argparse.Namespace, store: Store, memory: Memory) -> None:
    """Unified, on stdout. The pointers are told as a count: their text says nothing to a person."""
    first = find_checkpoint(memory, options.name)
    second = find_checkpoint(memory, options.other) if options.other else None
    ends = [first.commit, second.commit] if second else [first.commit]
    names = memory.names("diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", *ends)
    told = [name for name in names if name != POINTERS_FILE]
    if told:
        color = "always" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else "never"
        _print(memory.git("diff", "--no-ext-diff", "--no-textconv", f"--color={color}", *ends, "--", *told))
    if second is None and (new := memory.names("ls-files", "--others", "--exclude-standard", "-z")):
        print(f"in no checkpoint yet: {_some(new)}", file=sys.stderr)
    if second:
        more = read_tagged_pointers(memory, second).messages - read_tagged_pointers(memory, first).messages
        print(f"sessions: {_count(abs(more), 'message')} {'fewer' if more < 0 else 'more'}", file=sys.stderr)


def _restore(options: argparse.Namespace, store: Store, memory: Memory) -> None:
    checkpoint = find_checkpoint(memory, options.name)
    pointers = read_tagged_pointers(memory, checkpoint)
    with memory.locked():
        kept = _settle_losses(options, store, memory, checkpoint)
        restored = restore_files(memory, checkpoint)
    _report(options, restored, checkpoint, kept)
    # Last: the notes are what a person needs most when the sessions are damaged.
    try:
        check_pointers(store, pointers)
    except StoreError as error:
        message = f"the files are restored, but {error}"
        raise StoreError(message, where=error.where, hint=error.hint) from error
    if not options.json:
        print(f"sessions: all {_count(pointers.messages, 'message')} of the checkpoint are there", file=sys.stderr)


def _settle_losses(
    options: argparse.Namespace, store: Store, memory: Memory, checkpoint: Checkpoint
) -> Checkpoint | None:
    """Ask, or do as told, about work that is in no commit; the checkpoint made of it, if one was."""
    losses = find_losses(memory, checkpoint)
    if not losses or options.discard:
        return None
    if not options.keep and _wants_discard(losses):
        return None
    name = make_name(memory, "before-restore-")
    return create_checkpoint(store, memory, name, f"before checkpoint {checkpoint.name} was restored")


def _wants_discard(losses: Sequence[str]) -> bool:
    """The answer of the person. Raises RefusedError when nobody answers, or the answer is no."""
    message = f"uncommitted work would be overwritten: {_some(losses)}"
    if can_ask():
        answer = ask(f"{message}\n[k]eep it as a checkpoint, [d]iscard it, or [s]top?")
        if answer in ("k", "d"):
            return answer == "d"
    raise RefusedError(message, hint="--keep makes a checkpoint of it first, --discard drops it")


def _report(options: argparse.Namespace, restored: Restored, checkpoint: Checkpoint, kept: Checkpoint | None) -> None:
    if options.json:
        changes = [{"file": name, "change": CHANGE_WORDS.get(kind, kind)} for kind, name in restored.changes]
        document = {"restored": checkpoint.name, "commit": restored.commit, "changes": changes}
        _print_json({**document, "kept": kept.name if kept else None})
        return
    if kept:
        print(f"kept what was there as checkpoint {kept.name}")
    for kind, name in restored.changes:
        print(f"{CHANGE_WORDS.get(kind, kind):8} {_printable(name)}")
    print(f"restored {checkpoint.name}: {_count(len(restored.changes), 'file')} changed")


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2))


def _print(text: str) -> None:
    """Files may hold what the terminal's encoding has not."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(_printable, names[:SHOWN_FILES]))
    more = len(names) - SHOWN_FILES
    return f"{shown} and {more} more" if more > 0 else shown


def _clock(time: str) -> str:
    return time[:16].replace("T", " ")


def _tell(pointers: Pointers) -> str:
    return f"{_count(pointers.messages, 'message')} in {_count(len(pointers.sessions), 'session')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
