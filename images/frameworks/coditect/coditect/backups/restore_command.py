"""`coditect restore`: the words, the question, and what is printed."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

from coditect.backups.backup_command import open_restic
from coditect.backups.settings import find_repository
from coditect.backups.unpacking import check_store, holds_store, put_in_place, unpacked
from coditect.checkpoints.asking import ask, can_ask
from coditect.errors import RefusedError, StoreError, UsageError
from coditect.store import Store, find_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="origin", metavar="REPO", help="default: CODITECT_BACKUP, backup.yaml")
    parser.add_argument("--snapshot", default="latest", metavar="ID", help="default: the latest of any machine")
    parser.add_argument("--to", metavar="DIR", help="restore into this folder instead of the store")
    parser.add_argument("--yes", action="store_true", help="do not ask when a store is there: move it aside")
    parser.add_argument("--store", metavar="DIR", help="default: CODITECT_STORE, else coditect in the data folder")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    store = find_store(options.store, os.environ)
    if not re.fullmatch(r"latest|[0-9a-f]{4,64}", options.snapshot):
        raise UsageError(f"{options.snapshot!r} is no snapshot", hint="coditect backup --list shows all")
    restic = open_restic(find_repository(store, options.origin, os.environ))
    target = Store(Path(options.to).expanduser().absolute()) if options.to else store
    if holds_store(target):
        _settle(target, agreed=options.yes)
    with unpacked(target, restic, options.snapshot) as fresh:
        if not fresh.messages.exists() and not fresh.memory.exists():
            raise StoreError(f"snapshot {options.snapshot} is not of a store", where=restic.shown)
        committed = check_store(fresh)
        old = put_in_place(fresh, target)
    _report(target, committed, old, as_json=options.json)
    return 0


def _settle(target: Store, *, agreed: bool) -> None:
    message = f"there is a store in {target.root}"
    if agreed or (can_ask() and ask(f"{message}: move it aside and restore? [y]es or [n]o?") == "y"):
        return
    raise RefusedError(message, hint="--yes moves what is there into a folder beside, --to DIR restores elsewhere")


def _report(target: Store, committed: int, old: Path | None, *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                {"store": str(target.root), "committed": committed, "moved": str(old) if old else None}, indent=2
            )
        )
        return
    print(f"restored {target.root}: {committed / 1e6:,.1f} MB of messages, checked")
    if old:
        print(f"what was there is in {old}", file=sys.stderr)
    print("the search index is made anew by `coditect index`", file=sys.stderr)
