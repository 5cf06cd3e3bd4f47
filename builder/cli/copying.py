"""`cp`: files and folders into the workstation and out of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from builder.cli.frame import Json, app, load_config, print_json, say, session
from builder.errors import ConfigError, HostError

CHUNK = 1 << 20


@app.command("cp")
def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A file or folder; `:PATH` in the workstation; `-` is a tar on stdin.")],
    target: Annotated[str, typer.Argument(help="Where it goes; `-` writes a tar to stdout.")],
    as_json: Json = False,
) -> None:
    """Copy a file or folder into the workstation or out of it, as `cp -r` and `docker cp` do.

    `devbox cp notes.txt :projects` and `devbox cp :projects/notes.txt .`; paths inside are taken from the home.
    What comes in is the user's; what is there is written over; `FOLDER/.` is only what is in it.
    """
    from builder.adapters.localtree import look_at, pack_tree, unpack_tree
    from builder.core.copying import STREAM, parse_ends
    from builder.tasks.copying import Outside
    from builder.tasks.copying import copy as copy_ends

    ends = parse_ends(source, target)
    if as_json and target == STREAM:
        raise ConfigError("--json and a tar both want standard output", hint="name a file or folder in place of `-`")
    outside = Outside(
        look=lambda path, **wish: look_at(Path(path), **wish),
        pack=lambda path, name: pack_tree(Path(path), name),
        unpack=unpack_tree,
        read=_read,
        write=_write,
    )
    with session(context) as ours:
        settings = load_config(ours)
        copied = copy_ends(ours, settings.name, settings.user.name, ends, outside)
    if as_json:
        print_json(copied)
    elif target != STREAM:
        say(f"{copied.source} is copied to {copied.target}")


def _read() -> Iterator[bytes]:
    if sys.stdin.isatty():
        raise ConfigError("no tar comes in", where="standard input", hint="`tar -c FOLDER | devbox cp - :PATH`")
    yield from iter(functools.partial(sys.stdin.buffer.read, CHUNK), b"")


def _write(chunk: bytes) -> None:
    if sys.stdout.isatty():
        raise ConfigError(
            "a tar is nothing for a terminal", where="standard output", hint="`devbox cp :PATH - | tar -t` lists it"
        )
    try:
        sys.stdout.buffer.write(chunk)
    except BrokenPipeError:
        raise  # a reader that went away: see `frame.run`
    except OSError as error:
        raise HostError(
            f"standard output cannot be written: {error.strerror}", hint="free some space where it leads to"
        ) from error
