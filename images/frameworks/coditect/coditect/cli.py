"""The command `coditect`: finds the verb, hands over to its module, prints errors, ends with their code.

Each verb is a module with `add_arguments(parser)` and `run(options) -> int`; it is imported only when it is used.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from coditect import __version__
from coditect.ending import finish

# verb -> (module, what it is for)
VERBS: Final = {
    "sessions": ("coditect.sessions.command", "keep each distinct message of session files once"),
    "index": ("coditect.search.index_command", "bring the search index up to date"),
    "search": ("coditect.search.cxq", "find messages (the command cxq is the same)"),
    "checkpoint": ("coditect.checkpoints.command", "create, list, show, restore and compare checkpoints"),
    "knowledge": ("coditect.knowledge.command", "extract decisions, patterns, questions and fixes into Markdown"),
    "run": ("coditect.steps.command", "run the steps of a task file, independent ones at once"),
    "backup": ("coditect.backups.backup_command", "copy the store away, encrypted, with restic"),
    "restore": ("coditect.backups.restore_command", "bring a backup of the store back"),
    "claude": ("coditect.claude.command", "install the slash command and the hook for Claude Code"),
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(call(sys.argv[1:]))


def call(words: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    return finish(lambda: _dispatch(words))


def _dispatch(words: Sequence[str]) -> int:
    verb = words[0] if words else ""
    if verb not in VERBS:
        _top_parser().parse_args(words or ["--help"])
        return 0
    module = importlib.import_module(VERBS[verb][0])
    parser = argparse.ArgumentParser(prog=f"coditect {verb}", description=VERBS[verb][1])
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(words[1:])))


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    listing = "\n".join(f"  {verb:{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="coditect",
        description="A memory for developers who work with Claude Code.",
        epilog=f"verbs:\n{listing}\n\ncoditect VERB --help tells more about one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="coditect [-h] [--version] VERB ...",
    )
    parser.add_argument("--version", action="version", version=f"coditect {__version__}")
    parser.add_argument("verb", choices=list(VERBS), metavar="VERB", help="see below")
    return parser
