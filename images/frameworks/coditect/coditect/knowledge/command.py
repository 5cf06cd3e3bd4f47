"""`coditect knowledge extract|list|score`: the command line of knowledge, nothing else."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from coditect.errors import UsageError
from coditect.knowledge.extract import DATABASE, Outcome, extract, open_collection
from coditect.knowledge.items import KINDS, Item
from coditect.knowledge.score import Half, as_markdown, score_sample
from coditect.records import read_time
from coditect.store import Store, find_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="extract|list|score")
    extracting = verbs.add_parser("extract", help="read what is new and bring the Markdown up to date")
    listing = verbs.add_parser("list", help="print what was extracted")
    listing.add_argument("--kind", choices=KINDS, default="")
    for verb, what in ((extracting, "add no items from before"), (listing, "only items from then on")):
        verb.add_argument("--store", metavar="DIR", help="default: CODITECT_STORE, else ~/.local/share/coditect")
        verb.add_argument("--since", metavar="DATE", type=_moment, help=f"{what}: 2026-03-01, or a moment in ISO 8601")
        verb.add_argument("--json", action="store_true", help="print JSON")
    scoring = verbs.add_parser("score", help="precision and recall on a labelled sample")
    scoring.add_argument("sample", metavar="SAMPLE", type=Path, help="folder of NAME.jsonl and NAME.labels.yaml")
    form = scoring.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print the table of the documentation")
    form.add_argument("--mistakes", action="store_true", help="print what was wrong and what was missed, too")


def _moment(text: str) -> float:
    moment = read_time(text)
    if moment is None:
        raise argparse.ArgumentTypeError(f"no date: {text}")
    return moment


def run(options: argparse.Namespace) -> int:
    if options.action == "score":
        _print_score(options)
    elif options.action == "list":
        _print_items(find_store(options.store, os.environ), options)
    else:
        _print_outcome(extract(find_store(options.store, os.environ), options.since), options.json)
    return 0


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**asdict(outcome), "written": [str(path) for path in outcome.written]}))
        return
    changes = sum(path.suffix == ".md" for path in outcome.written)
    print(f"new messages: {outcome.messages}; items in all: {outcome.items}; pages changed: {changes}")


def _print_items(store: Store, options: argparse.Namespace) -> None:
    if not (store.storage / DATABASE).exists():
        hint = "run `coditect knowledge extract` first"
        raise UsageError("nothing has been extracted yet", where=str(store.root), hint=hint)
    with open_collection(store) as collection:
        if collection.outdated:
            print("these items are of older rules; run: coditect knowledge extract", file=sys.stderr)
        items = [item for item in collection.items(options.kind) if _is_since(item, options.since)]
    if options.json:
        print(json.dumps([item.as_json() for item in items], indent=2, ensure_ascii=False))
        return
    for item in items:
        print(f"{item.day or '-':10}  {item.kind:8}  {item.source[:12]}  {item.statement}")


def _is_since(item: Item, since: float | None) -> bool:
    return since is None or item.time is None or item.time >= since


def _print_score(options: argparse.Namespace) -> None:
    halves = score_sample(options.sample)
    if options.json:
        print(json.dumps([_half_as_json(half) for half in halves], indent=2))
        return
    print(as_markdown(halves), end="")
    if options.mistakes:
        _print_mistakes(halves)


def _half_as_json(half: Half) -> dict[str, object]:
    scores = [{**asdict(score), "precision": score.precision, "recall": score.recall} for score in half.scores]
    return {"half": half.name, "messages": half.messages, "scores": scores}


def _print_mistakes(halves: list[Half]) -> None:
    for half in halves:
        for found in half.wrong:
            print(f"{half.name}: wrong   {found.item.kind:8} {' '.join(found.at).strip()}: {found.item.statement}")
        for label in half.missed:
            print(f"{half.name}: missed  {label.kind:8} {' '.join(label.at)}: {label.says} {label.fix}")
