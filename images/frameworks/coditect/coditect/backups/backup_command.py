"""`coditect backup`: the words, the first use of a repository, and what is printed."""

from __future__ import annotations

import argparse
import json
import os
import sys

from coditect.backups.restic import NoRepositoryError, Restic, WrongPasswordError
from coditect.backups.settings import find_password, find_repository, make_password, password_path, read_settings
from coditect.backups.snapshot import Taken, forget_old, list_snapshots, make_repository, take_snapshot
from coditect.errors import CoditectError, StoreError, UsageError
from coditect.store import Store, find_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="REPO", help="a folder, s3:..., gs:...; default: CODITECT_BACKUP, backup.yaml")
    parser.add_argument("--keep-days", type=int, metavar="DAYS", help="default: 90; the last three always stay")
    parser.add_argument("--list", action="store_true", help="show the snapshots instead of taking one")
    parser.add_argument("--store", metavar="DIR", help="default: CODITECT_STORE, else coditect in the data folder")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    store = find_store(options.store, os.environ)
    repository = find_repository(store, options.to, os.environ)
    if options.list:
        _list(open_restic(repository), as_json=options.json)
        return 0
    keep_days = options.keep_days if options.keep_days is not None else read_settings(store).keep_days
    if keep_days < 1:
        raise UsageError(f"--keep-days: at least 1 is expected, not {keep_days}")
    if not store.messages.exists() and not store.memory.exists():
        raise StoreError("there is nothing to back up", where=str(store.root), hint="is this the right store?")
    taken = _take(store, repository)
    _report(taken, repository, as_json=options.json)
    _forget(taken, repository, keep_days)
    return 0


def open_restic(repository: str) -> Restic:
    """For a repository that must be there. Raises UsageError without a password."""
    password = find_password(os.environ)
    if password is None:
        hint = f"put it into {password_path(os.environ)} (mode 600), or set RESTIC_PASSWORD_FILE"
        raise UsageError("the password of the backup is not on this machine", hint=hint)
    return Restic(repository, password)


def _take(store: Store, repository: str) -> Taken:
    """A snapshot; the repository, and the password, are made when they are first needed."""
    password = find_password(os.environ)
    if password is not None:
        return _take_or_begin(store, Restic(repository, password))
    restic = Restic(repository, make_password(os.environ))
    path = password_path(os.environ)
    try:
        taken = _take_or_begin(store, restic)
    except WrongPasswordError as error:
        path.unlink()
        raise StoreError(
            "the repository is there already, and its password is not on this machine",
            where=restic.shown, hint=f"put it into {path} (mode 600), or set RESTIC_PASSWORD_FILE",
        ) from error  # fmt: skip
    print(f"The password of the backup is in {path}. Keep a copy of it elsewhere:", file=sys.stderr)
    print("without it the backup is worthless.", file=sys.stderr)
    return taken


def _take_or_begin(store: Store, restic: Restic) -> Taken:
    try:
        return take_snapshot(store, restic)
    except NoRepositoryError:
        make_repository(restic)
        print(f"made a new repository: {restic.shown}", file=sys.stderr)
        return take_snapshot(store, restic)


def _forget(taken: Taken, repository: str, keep_days: int) -> None:
    """A failure here must not look like a failed backup."""
    try:
        forget_old(open_restic(repository), keep_days)
    except CoditectError as error:
        message = f"snapshot {taken.snapshot} is stored, but old ones could not be removed: {error}"
        raise StoreError(message, where=error.where, hint=error.hint) from error


def _report(taken: Taken, repository: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**taken.as_dict(), "repository": Restic(repository, {}).shown}, indent=2))
        return
    sizes = f"{taken.size / 1e6:,.1f} MB, of which {taken.added / 1e6:,.1f} MB new"
    print(f"snapshot {taken.snapshot}: {taken.files} files, {sizes}, in {Restic(repository, {}).shown}")


def _list(restic: Restic, *, as_json: bool) -> None:
    snapshots = list_snapshots(restic)
    if as_json:
        print(json.dumps(snapshots, indent=2))
        return
    for one in snapshots:
        print(f"{one['snapshot']}  {str(one['time'])[:16].replace('T', ' ')}  {one['host']}  {one['store']}")
    if not snapshots:
        print(f"no snapshots yet in {restic.shown}", file=sys.stderr)
