"""`python -m bench`: measure, print a table, and write JSON or docs/performance.md on request."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import FrameType

from bench.figures import Figure, Results
from bench.machine import describe_machine
from bench.measures import BY_NAME_ONLY, MEASURES, Pair
from bench.report import render_json, render_markdown, render_table
from bench.stand import CommandFailed, open_stand


def main() -> None:
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)  # whoever ends us, what we started goes too
    machine = describe_machine()
    figures: list[Figure] = []
    failed = False
    with open_stand() as stand:
        pair = Pair(stand)
        for name in options.only:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            try:
                figures += MEASURES[name](pair, options.rounds)
            except CommandFailed as error:
                failed = True
                print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        conditions = tuple(_substitutions(pair)) if set(options.only) - {"help", *BY_NAME_ONLY} else ()
    results = Results(date=date.today().isoformat(), machine=machine, figures=tuple(figures), conditions=conditions)
    print(render_table(results))
    if options.json:
        options.json.write_text(render_json(results))
    if options.markdown:
        options.markdown.write_text(render_markdown(results, f"python -m bench --only {','.join(options.only)}"))
    if failed:
        sys.exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _substitutions(pair: Pair) -> Iterator[str]:
    """What stood in for something else in the image that was measured; without the reasons, which are a machine's."""
    for item in pair.ours.substitutions():
        yield f"{item['got']} in place of {item['wanted']}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures with baselines of the same run.")
    usual = ",".join(name for name in MEASURES if name not in BY_NAME_ONLY)
    parser.add_argument("--only", default=usual, help=f"some of {', '.join(MEASURES)} (default: {usual})")
    parser.add_argument("--rounds", type=int, default=5, help="samples of a slow figure; a fast one takes more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write docs/performance.md")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in MEASURES]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return options


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
