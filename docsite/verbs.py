"""The page of the verbs, from the command line itself: what `devbox VERB --help` says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import typer
import typer.main

from builder import cli
from builder.cli.habits import ELSEWHERE
from docsite.tables import make_table

COMMAND: Final[Any] = typer.main.get_command(cli.app)
# Where a verb is told at length.
GUIDES: Final = {
    "backup": "../backup.md",
    "build": "../reproducible.md",
    "host check": "../remote-host.md#where-it-fails",
    "host setup": "../remote-host.md#an-engine-for-a-machine-that-has-none",
    "hosts": "../remote-host.md",
    "compare": "../reproducible.md",
    "pull": "../shared-images.md",
    "push": "../shared-images.md",
    "restore": "../backup.md#bringing-it-back",
    "sbom": "../sbom.md",
    "tunnel status": "../remote-host.md#the-tunnel",
    "verify": "../verify.md",
}
HEAD: Final = """\
# Verbs

`devbox [-C FOLDER] [--host ADDRESS] [--log MODE] VERB ...`; `--host` may stand behind the verb, too.
`devbox help VERB` says the same as this page. Data goes to stdout, talk to stderr. [Exit
codes](exit-codes.md) and [what `--json` prints](json.md) have pages of their own.

"""
AROUND: Final = """
## Words of other tools

None of these is a verb here: `devbox` says what it is called, so that nobody removes something by habit.

"""


def render_verbs() -> str:
    """Every verb in the order of `devbox --help`."""
    root = typer.Context(COMMAND, info_name="devbox")
    parts = [HEAD, "## Before the verb\n\n", _options(COMMAND, root)]
    for words, command in find_verbs():
        context = typer.Context(command, info_name=words[-1], parent=_parent(words, root))
        parts.append(f"\n## {' '.join(words)}\n\n{_text(command)}\n\n{_usage(command, context)}")
        if options := _options(command, context):
            parts.append(f"\n{options}")
        if guide := GUIDES.get(" ".join(words)):
            parts.append(f"\n[More]({guide})\n")
    elsewhere = (f"`{word}`: `devbox {here}`" for word, here in ELSEWHERE.items())
    return "".join([*parts, AROUND, *(f"- {line}\n" for line in elsewhere)])


def find_verbs() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each verb by its words, also those below another word (`tool show`)."""
    yield from _below((), COMMAND)


def _below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, found in command.commands.items():
        if hasattr(found, "commands"):
            yield from _below((*words, name), found)
        else:
            yield (*words, name), found


def _parent(words: tuple[str, ...], root: Any) -> Any:
    for word in words[:-1]:
        root = typer.Context(root.command.commands[word], info_name=word, parent=root)
    return root


def _text(command: Any) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _usage(command: Any, context: Any) -> str:
    usage = re.sub(r"^Usage: |[{}]", "", command.get_usage(context))
    return f"```\n{' '.join(usage.split())}\n```\n"


def _options(command: Any, context: Any) -> str:
    records = (parameter.get_help_record(context) for parameter in command.params)
    rows = [
        (_shown(name), re.sub(r"\[default: \((.+)\)\]", r"[default: \1]", words))
        for name, words in filter(None, records)
    ]
    return make_table(("", "meaning"), rows) if rows else ""


def _shown(name: str) -> str:
    """`--tail <int>` is plain enough; the kind of an argument says nothing."""
    return f"`{name if name.startswith('-') else re.sub(r' <.*>$', '', name)}`"
