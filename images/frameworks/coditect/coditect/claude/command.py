"""`coditect claude`: install, check, remove, status, and what Claude Code's hook calls."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coditect.claude.files import find_folder, format_settings, parse_settings, read_text, remove_file, write_text
from coditect.claude.hooks import add_hooks, remove_hooks, tell_hooks
from coditect.claude.slash_command import NAME, is_ours, make_command
from coditect.errors import StoreError
from coditect.store import find_store

HOOK_LOG: Final = "hook.log"


@dataclass(frozen=True)
class Places:
    """Where Claude Code looks."""

    folder: Path

    @property
    def command(self) -> Path:
        return self.folder / "commands" / f"{NAME}.md"

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = verbs.add_parser("install", help="put the slash command /cxq and the hook in place")
    what = install.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="change nothing; end with 1 if something is missing")
    what.add_argument("--remove", action="store_true", help="take both away again")
    status = verbs.add_parser("status", help="what is installed, and what the hook said last")
    status.add_argument("--json", action="store_true", help="for programs")
    hook = verbs.add_parser("hook", help="called by Claude Code: ingest in the background")
    for one in (install, status):
        one.add_argument("--into", metavar="DIR", help="default: CLAUDE_CONFIG_DIR, else ~/.claude")
    for one in (status, hook):
        one.add_argument("--store", metavar="DIR", help="default: CODITECT_STORE, else coditect in the data folder")


def run(options: argparse.Namespace) -> int:
    if options.action == "hook":
        return _start_ingest(options)
    places = Places(find_folder(options.into, os.environ))
    if options.action == "status":
        return _status(options, places)
    if options.check:
        return _check(places)
    _remove(places) if options.remove else _install(places)
    return 0


def _install(places: Places) -> None:
    """Settings first: what cannot be read stops it before anything is written."""
    text = read_text(places.settings)
    settings = parse_settings(text, places.settings)
    wanted = add_hooks(settings, str(places.settings))
    if wanted != settings:
        write_text(places.settings, format_settings(wanted, text), text)
        print(f"added the hook to {places.settings}")
    present = read_text(places.command)
    if present is not None and not is_ours(present):
        print(f"left as it is, because you changed it: {places.command}", file=sys.stderr)
    elif present != make_command():
        write_text(places.command, make_command(), present)
        print(f"wrote {places.command}")
    if _is_done(_tell(places)):
        print(f"Claude Code has /{NAME} and the hook; sessions that run now see them when they are started anew")


def _remove(places: Places) -> None:
    text = read_text(places.settings)
    settings = parse_settings(text, places.settings)
    wanted = remove_hooks(settings, str(places.settings))
    if wanted != settings:
        write_text(places.settings, format_settings(wanted, text), text)
        print(f"took the hook out of {places.settings}")
    if "changed" in tell_hooks(wanted, str(places.settings)).values():
        print(f"left a hook that you changed in {places.settings}", file=sys.stderr)
    present = read_text(places.command)
    if present is not None and is_ours(present):
        remove_file(places.command)
        print(f"removed {places.command}")
    elif present is not None:
        print(f"left as it is, because you changed it: {places.command}", file=sys.stderr)


def _tell(places: Places) -> dict[str, str]:
    """Part -> installed, outdated, changed (by the user), or missing."""
    present = read_text(places.command)
    command = "missing" if present is None else "outdated" if is_ours(present) else "changed"
    settings = parse_settings(read_text(places.settings), places.settings)
    hooks = tell_hooks(settings, str(places.settings))
    return {
        f"command /{NAME}": "installed" if present == make_command() else command,
        **{f"hook {event}": state for event, state in hooks.items()},
    }


def _is_done(states: dict[str, str]) -> bool:
    return set(states.values()) <= {"installed", "changed"}


def _check(places: Places) -> int:
    states = _tell(places)
    for part, state in states.items():
        if state in ("missing", "outdated"):
            print(f"{part}: {state}")
    if not _is_done(states):
        print("hint: coditect claude install", file=sys.stderr)
    return 0 if _is_done(states) else 1


def _status(options: argparse.Namespace, places: Places) -> int:
    log = find_store(options.store, os.environ).root / HOOK_LOG
    states = {**_tell(places), **_tell_programs()}
    said = (read_text(log) or "").strip()
    if options.json:
        print(json.dumps({"folder": str(places.folder), "parts": states, "hook_said": said or None}, indent=2))
        return 0
    print(f"in {places.folder}")
    width = max(map(len, states))
    for part, state in states.items():
        print(f"  {part:{width}}  {state}{' by you' if state == 'changed' else ''}")
    print(f"  {'last run of the hook':{width}}  {said.splitlines()[-1] if said else 'nothing to complain about'}")
    return 0


def _tell_programs() -> dict[str, str]:
    """Claude Code starts both by name."""
    return {f"{name} on PATH": "installed" if shutil.which(name) else "missing" for name in ("coditect", "cxq")}


def _start_ingest(options: argparse.Namespace) -> int:
    """Start it in a session of its own, so that it goes on when Claude Code ends, and do not wait."""
    store = find_store(options.store, os.environ)
    command = [sys.executable, "-m", "coditect", "sessions", "ingest", "--quiet", "--store", str(store.root)]
    try:
        store.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (store.root / HOOK_LOG).open("w") as log:
            subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(store.root)) from error
    return 0
