"""`outdated` and `diff`: what could change and what would. Both ask, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002  # typer reads the annotations at run time

from builder.cli.frame import Json, app, print_json, say, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.core.difference import Difference
    from builder.core.outdated import Outdated

SHORT = 24  # signs of a version; identities of bases and commits are longer


@app.command()
def outdated(context: typer.Context, as_json: Json = False) -> None:
    """List what is newer than devbox-lock.json.

    The base, packages of Debian, npm and Python, and commits. Ends with 0 whatever it finds, and with 3 where
    there is no lock.
    """
    from builder.tasks.outdated import ask_outdated

    with session(context) as ours:
        found = ask_outdated(ours)
    if as_json:
        print_json({"outdated": found})
        return
    if not found:
        say("everything is as new as it can be had")
        return
    _print_table(found)
    if any(item.update != item.locked for item in found):
        say("\n`devbox lock --update` takes what stands under UPDATE, `devbox up --update` tries it out first")


def _print_table(found: Sequence[Outdated]) -> None:
    rows = [("NAME", "KIND", "OF", "LOCKED", "UPDATE", "NEWEST")]
    rows += [
        (item.name, item.kind, item.of, _short(item.locked), _short(item.update), _short(item.newest)) for item in found
    ]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        say("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def _short(version: str) -> str:
    return version if len(version) <= SHORT else f"{version[:SHORT]}..."


@app.command()
def diff(context: typer.Context, as_json: Json = False) -> None:
    """Say what `devbox up` would make anew, and why.

    The image step by step, the container setting by setting. Asks no mirror.
    """
    from builder.tasks.difference import find_difference

    with session(context) as ours:
        found = find_difference(ours)
    if as_json:
        print_json(found)
        return
    if found.empty:
        say("nothing: what runs is what devbox.yaml and the lock say")
        return
    for line in describe_difference(found):
        say(line)


def describe_difference(found: Difference) -> list[str]:
    lines = []
    if found.lock:
        lines += ["the lock is written anew, because", *(f"  {words}" for words in found.lock)]
    if (image := found.image) is not None:
        lines += [f"the image is {image.after} in place of {image.before}, because"]
        lines += [f"  {words}" for words in (*image.why, *map(str, image.packages))]
        lines += [f"  runs: {', '.join(image.runs)}"] if image.runs else []
        lines += [f"  stays as it is: {', '.join(image.stays)}"] if image.stays else []
    if found.container:
        lines += [
            "the container is made anew, its volumes are kept, because",
            *(f"  {words}" for words in found.container),
        ]
    return lines
