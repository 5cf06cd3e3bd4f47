"""The verb `coditect sessions`: the command line and its words, nothing else."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from coditect.errors import CoditectError
from coditect.sessions.progress import Progress, show_bytes
from coditect.store import Store, find_store

PREVIEW: Final = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    ingest = _add(verbs, "ingest", _ingest, "keep each distinct message of session files once")
    ingest.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files and folders with .jsonl and .json "
                        "(default: the transcripts of Claude Code)")  # fmt: skip
    ingest.add_argument("--again", action="store_true", help="read files from their start, not only what is new")
    ingest.add_argument("--quiet", action="store_true", help="say nothing unless something could not be read")
    _add(verbs, "stats", _stats, "what the store holds, in numbers")
    _add(verbs, "export", _export, "write unified_hashes.json and unified_stats.json")
    _add(verbs, "check", _check, "prove the store, or say what is wrong with it")
    _add(verbs, "quarantine", _quarantine, "list the lines that are no messages")


def _add(verbs: Any, name: str, act: object, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary)
    parser.set_defaults(act=act)
    parser.add_argument("--store", metavar="DIR", help="where the memory lies (default: CODITECT_STORE, else below "
                        "the user's data folder)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    return int(options.act(find_store(options.store, os.environ), options))


def _ingest(store: Store, options: argparse.Namespace) -> int:
    from coditect.sessions.ingest import ingest

    progress = Progress(sys.stderr) if sys.stderr.isatty() and not options.quiet else None
    if progress:
        progress.say("looking for session files")
    try:
        report = ingest(store, options.paths or None, again=options.again, watch=progress)
    finally:
        if progress:
            progress.clear()
    for problem in report.problems:
        if problem.failed or not options.quiet:
            print(f"warning: {problem}", file=sys.stderr)
    if options.json:
        _print_json(report.as_dict())
    elif not options.quiet:
        share = f" ({100 * report.duplicates / report.messages:.1f} % duplicates)" if report.messages else ""
        print(
            f"{report.new:,} new of {report.messages:,} messages{share} in {report.files:,} files, "
            f"{show_bytes(report.bytes_read)}, {report.seconds:.1f} s; {report.unchanged:,} files unchanged"
        )
        if report.quarantined:
            print(f"{report.quarantined:,} broken lines: coditect sessions quarantine lists them", file=sys.stderr)
    return 1 if any(problem.failed for problem in report.problems) else 0


def _stats(store: Store, options: argparse.Namespace) -> int:
    from coditect.sessions.stats import open_index, read_stats

    with open_index(store) as index:
        stats = read_stats(store, index)
    if options.json:
        _print_json(stats)
        return 0
    for key, value in stats.items():
        shown = f"{value:,}" if isinstance(value, int) else value
        print(f"{key.replace('_', ' '):16}  {shown}")
    return 0


def _export(store: Store, options: argparse.Namespace) -> int:
    from coditect.sessions.keeper import storing
    from coditect.sessions.stats import open_index, write_hashes, write_stats

    with open_index(store) as index, storing(store):
        write_hashes(store, index)
        write_stats(store, index)
    written = [str(store.storage / "unified_hashes.json"), str(store.stats)]
    if options.json:
        _print_json({"written": written})
    else:
        print("\n".join(written))
    return 0


def _check(store: Store, options: argparse.Namespace) -> int:
    from coditect.sessions.check import find_faults
    from coditect.sessions.stats import open_index

    with open_index(store) as index:
        faults = list(find_faults(store, index))
        messages = index.count("messages")
    if options.json:
        _print_json({"sound": not faults, "messages": messages, "faults": faults})
    else:
        print("\n".join(faults) or f"sound: {messages:,} messages")
    return CoditectError.exit_code if faults else 0


def _quarantine(store: Store, options: argparse.Namespace) -> int:
    from coditect.sessions.check import read_committed
    from coditect.sessions.stats import open_index

    with open_index(store) as index:
        committed = index.number("quarantine_committed")
    entries = (json.loads(line) for line in read_committed(store.quarantine, committed))
    if options.json:
        _print_json(list(entries))
        return 0
    for text in _listing(entries):
        print(text)
    return 0


def _listing(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        start = base64.b64decode(entry["bytes"])[:PREVIEW].decode("utf-8", "backslashreplace")
        file = entry["file"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        yield f"{file}:{entry['line']}: byte {entry['offset']}: {entry['reason']}: {start!a}"


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))
