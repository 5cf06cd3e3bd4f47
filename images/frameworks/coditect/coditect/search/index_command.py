"""`coditect index`: bring the search index up to date with the messages of the store."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from coditect.search.build import Outcome, update
from coditect.store import find_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="DIR", help="where the memory lies (CODITECT_STORE)")
    parser.add_argument("--rebuild", action="store_true", help="make the index anew")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    store = find_store(options.store, os.environ)
    outcome = update(store, rebuild=options.rebuild, progress=_show_progress if sys.stderr.isatty() else None)
    _report(outcome, time.perf_counter() - started, as_json=options.json)
    return 0


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    print(f"\rindexed {done / 1e6:,.0f} of {total / 1e6:,.0f} MB", end=end, file=sys.stderr, flush=True)


def _report(outcome: Outcome, seconds: float, *, as_json: bool) -> None:
    state = outcome.state
    if as_json:
        report = {
            "added": outcome.added,
            "messages": state.messages,
            "broken": state.broken,
            "bytes": state.offset,
            "rebuilt": outcome.reason or None,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(report))
        return
    if outcome.reason:
        print(f"the index was made anew: {outcome.reason}", file=sys.stderr)
    if state.broken:
        print(f"{state.broken:,} lines of the messages file are no messages and were left out", file=sys.stderr)
    print(f"{outcome.added:,} messages added, {state.messages:,} in the index, {seconds:.1f} s")
