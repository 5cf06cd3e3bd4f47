"""`python -m bench`: measure, print a table, and write JSON, pictures or docs/performance.md on request."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from types import FrameType

from bench.charts import write_pictures
from bench.figures import Figure, Results
from bench.handmade import find_bases
from bench.machine import describe_machine
from bench.measures import ENGINELESS, MEASURES, USUAL
from bench.pair import Pair
from bench.report import find_kept, render_json, render_markdown, render_table
from bench.stand import CommandFailed, Stand, make_environment, open_stand
from builder.errors import DevboxError

WITHOUT_IMAGE = ENGINELESS | {"help", "newcomer"}


def main() -> None:
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)  # whoever ends us, what we started goes too
    with_engine = bool(set(options.only) - ENGINELESS)
    machine = describe_machine(with_engine=with_engine)
    with ExitStack() as stack:
        stand = stack.enter_context(open_stand(_common(options), keep=options.keep)) if with_engine else _no_stand()
        pair = Pair(stand, fresh=any(MEASURES[name].wants_fresh for name in options.only))
        figures, failed = _measure(pair, options.only, options.rounds)
        conditions = tuple(_substitutions(pair)) if set(options.only) - WITHOUT_IMAGE else ()
    results = Results(
        date=date.today().isoformat(),
        machine=machine,
        figures=tuple(figures),
        conditions=conditions,
        notes=tuple(pair.notes),
        shares=tuple(pair.shares),
        timelines=tuple(pair.timelines),
        grids=tuple(pair.grids),
    )
    print(render_table(results))
    _write(results, options)
    if failed:
        sys.exit(1)


def _measure(pair: Pair, names: list[str], rounds: int) -> tuple[list[Figure], bool]:
    """All figures that could be measured; whether one could not."""
    figures: list[Figure] = []
    failed = False
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            figures += MEASURES[name].run(pair, rounds)
        except (CommandFailed, DevboxError) as error:
            failed = True
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        print(f"measured {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return figures, failed


def _write(results: Results, options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(render_json(results))
    pictures = write_pictures(results, options.pictures) if options.pictures else ()
    if options.markdown:
        links = [os.path.relpath(path, options.markdown.parent) for path in pictures]
        kept = find_kept(options.markdown.read_text()) if options.markdown.is_file() else ""
        command = f"python -m bench --rounds {options.rounds} --only {','.join(options.only)}"
        options.markdown.write_text(render_markdown(results, command, links, kept))


def _common(options: argparse.Namespace) -> dict[str, object]:
    return {"base": options.base} if options.base else {}


def _no_stand() -> Stand:
    """For measures that use none."""
    return Stand(folder=Path(), environment=make_environment(Path()))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _substitutions(pair: Pair) -> Iterator[str]:
    """What stood in for something else in the image that was measured; without the reasons, which are a machine's."""
    for item in pair.ours.substitutions():
        yield f"{item['got']} in place of {item['wanted']}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures with baselines of the same run.")
    usual = ",".join(USUAL)
    parser.add_argument("--only", default=usual, help=f"some of {', '.join(MEASURES)} (default: {usual})")
    parser.add_argument("--rounds", type=int, default=7, help="samples of a slow figure; a fast one takes more")
    parser.add_argument("--base", choices=find_bases(), help="what ours and the naive image both stand on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write docs/performance.md")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the start-up and the sizes as SVG")
    parser.add_argument("--keep", action="store_true", help="leave the naive image on the engine for the next run")
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
