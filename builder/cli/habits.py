"""What a verb is called elsewhere, and what it is called here.

Hints and no aliases: `rm` removes for good in one tool and keeps the data in the next, so a person should see which
verb it is before it runs.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command_name

from builder.cli.plainly import take_plainly
from builder.errors import ConfigError

ELSEWHERE: Final = {
    "attach": "shell",
    "check": "doctor",
    "clean": "prune",
    "cleanup": "prune",
    "du": "explain",
    "connect": "shell",
    "create": "up",
    "delete": "down",
    "describe": "status",
    "destroy": "down --volumes",
    "enter": "shell",
    "halt": "stop",
    "health": "status",
    "info": "status",
    "inspect": "status --json",
    "kill": "stop",
    "launch": "up",
    "log": "logs",
    "ls": "list",
    "gc": "prune",
    "new": "init",
    "ps": "list",
    "purge": "down --volumes",
    "rebuild": "up",
    "remove": "down",
    "size": "explain",
    "restart": "stop` and `devbox start",
    "rm": "down",
    "run": "exec",
    "sh": "shell",
    "stats": "top",
    "test": "verify",
    "update": "up --update",
    "upgrade": "up --update",
    "validate": "config",
    "view": "open",
}


BEFORE: Final = ("-C", "--directory", "--log", "--host")  # options of all verbs; a word belongs to each
THROUGH: Final = ("exec", "ssh")  # verbs whose later words are somebody else's


def hoist(words: Sequence[str]) -> list[str]:
    """`up --host X` is `--host X up`: an option of all verbs, written where a person thinks of it."""
    verb = next((place for place, word in enumerate(words) if word in THROUGH), len(words))
    for place, word in enumerate(words):
        if word == "--" or (place > verb and not word.startswith("-")):
            break
        if word == "--host":
            return [*words[place : place + 2], *words[:place], *words[place + 2 :]]
        if word.startswith("--host="):
            return [word, *words[:place], *words[place + 1 :]]
    return list(words)


def narrow(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """The command line with the verb of `words` alone, where it is plain which one that is: to make all of them takes
    typer 40 ms. With another first word, whatever it is, there has to be all of it, for help and hints."""
    left = iter(words)
    for word in left:
        if not word.startswith("-"):
            named = [info for info in app.registered_commands if word == (info.name or _name(info.callback))]
            if not named:
                break
            only = copy.copy(app)
            only.registered_commands, only.registered_groups = named, []
            return only
        if word in BEFORE:
            next(left, None)
        elif not word.startswith(tuple(f"{option}=" for option in BEFORE)):
            break
    return app


def _name(callback: Callable[..., Any] | None) -> str:
    return get_command_name(callback.__name__) if callback else ""


class Verbs(TyperGroup):
    """Says what to write for a verb that there is not."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        return super(Verbs, take_plainly(self, ctx)).parse_args(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return take_plainly(super().get_command(ctx, cmd_name), ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[:1] == ["help"]:  # `devbox help`, `devbox help up`
            if not args[1:]:
                typer.echo(ctx.get_help())
                raise typer.Exit
            args = [*args[1:], "--help"]
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            from builder.core.problems import shown

            raise ConfigError(f"there is no verb {shown(args[0])}", hint=suggest(args[0], known))
        return super().resolve_command(ctx, args)


def suggest(word: str, known: Iterable[str]) -> str:
    """The verb that does it here, or the one that was probably meant."""
    from builder.core.problems import nearest

    names: Sequence[str] = sorted(known)
    if (here := ELSEWHERE.get(word)) and re.split(r"\W", here)[0] in names:
        return f"here it is `devbox {here}`"
    close = nearest(word, names)
    return (f"did you mean `devbox {close}`? " if close else "") + "`devbox --help` shows what there is"
