"""`save` and `load`, `push` and `pull`: an image goes to another machine as a file, or through a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from builder.cli.frame import Json, app, print_json, project_of, say, session
from builder.cli.look import check_output


@app.command()
def save(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where it goes; .tar.zst is a good ending.")],
    image: Annotated[
        Optional[str],  # noqa: UP045  # typer reads it at run time on 3.10
        typer.Option("--image", help="An image of the engine.", show_default="the one of this folder"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the image to a file, packed, for `devbox load` on another machine.

    By zstd: `zstd -dc FILE | docker load` takes it, too.
    """
    from builder.adapters.imagearchive import write_archive
    from builder.tasks.carry import save_image

    check_output(file)  # before the engine writes all layers to its disk
    with session(context) as ours:
        size = save_image(ours, project_of(ours), image, file, write_archive)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        say(f"{file} written, {size / 1_000_000:.0f} MB")


@app.command()
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `devbox save` wrote.")],
    as_json: Json = False,
) -> None:
    """Bring the image of a file onto the engine; `up` takes it where it is what would be built.

    Refused are a file that was cut off, one for another kind of processor, and one that is not of devbox.
    """
    from builder.adapters.imagearchive import read_archive, read_note
    from builder.tasks.carry import load_image

    with session(context) as ours:
        about = read_note(file)
        load_image(ours, file, about, read_archive)
    if as_json:
        print_json({"image": about["image"], "plan": about["plan"]})
    else:
        say(f"{about['image']} is there")


@app.command()
def push(context: typer.Context, as_json: Json = False) -> None:
    """Give the image to the team's registry (`cache` in devbox.yaml), where `up` on other machines finds it."""
    from builder.tasks.prepare import read_request
    from builder.tasks.registry import push_image

    with session(context) as ours:
        read_request(ours)  # a mistake in devbox.yaml ends here, before anything is made
        with ours.workspace.lock("push"):
            shared = push_image(ours)
    if as_json:
        print_json(shared)
    else:
        say(f"{shared.image} is shared as {shared.reference}")


@app.command()
def pull(context: typer.Context, as_json: Json = False) -> None:
    """Take the image from the team's registry, and build and start nothing.

    `up` and `build` do so by themselves.
    """
    from builder.tasks.prepare import read_request
    from builder.tasks.registry import pull_image

    with session(context) as ours:
        read_request(ours)
        with ours.workspace.lock("pull"):
            shared = pull_image(ours)
    if as_json:
        print_json(shared)
    else:
        say(f"{shared.image} {'pulled' if shared.changed else 'is there already: nothing to do'}")
