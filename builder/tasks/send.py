"""An image that is built here for an engine on another machine: which engine builds, and how the image gets there.

Of what it is made of nothing is asked, fetched or built over there; only layers that are missing travel.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.core.chains import find_left_out
from builder.errors import ConfigError, EngineError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.base import download_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.tasks.interfaces import Context, Engine
    from builder.views import ImageView

ABSENT: Final = "no such file"  # what a loader says of a layer that went missing meanwhile
MEGABYTE: Final = 1e6


def builder_of(context: Context) -> Context:
    """The same work with the engine that builds; `context` itself where that is the workstation's own.

    It connects when it is first asked: where nothing has to be built, this machine needs no engine. That raises
    ConfigError where what is built by one cannot run on the other.
    """
    if context.builder is None:
        return context
    connect = functools.partial(_connect_builder, context.builder, context.engine)
    return replace(context, engine=functools.cache(connect), builder=None)


def _connect_builder(builder: Callable[[], Engine], workstation: Callable[[], Engine]) -> Engine:
    engine = builder()
    here, there = engine.version(), workstation().version()
    if here.arch != there.arch:
        raise ConfigError(
            f"this machine builds for {here.arch}, and {there.host} is {there.arch}",
            where="--build-here",
            hint="run devbox on a machine of the same kind as the other one",
        )
    return engine


def send_image(context: Context, builder: Engine, reference: str) -> None:
    """From the engine `builder` to that of the workstation. An interrupted one leaves nothing there."""
    image = builder.find_image(reference)
    if image is None:
        raise EngineError(f"the image {reference} vanished after it was built", hint="run the same command again")
    context.workspace.intend(f"sending {reference}")
    # One that stores images in another way says 0 of itself, too: in what it saves no layer could be told.
    there = min(engine.count_shared(image.layers) for engine in (builder, context.engine()))
    try:
        _send(context, builder, image, reference, find_left_out(image.layers, there))
    except EngineError as error:
        if not there or ABSENT not in error.message:
            raise
        context.report(Note(text=f"a layer is not there any more: {reference} is sent whole", level="warning"))
        _send(context, builder, image, reference, frozenset())
    found = context.engine().find_image(reference)
    if found is None or found.labels != image.labels:
        raise EngineError(
            f"{context.engine().version().host} took {reference}, and has another image of that name now",
            hint="somebody gave that name to something else meanwhile: run the same command again",
        )


def _send(context: Context, builder: Engine, image: ImageView, reference: str, left_out: frozenset[int]) -> None:
    began = context.clock.now()
    sizes = builder.measure_layers(reference) or (0,) * len(image.layers)
    missing = sum(size for number, size in enumerate(sizes) if number not in left_out)
    text = f"send {len(image.layers) - len(left_out)} of {len(image.layers)} layers"
    if any(sizes):
        text += f", {missing / MEGABYTE:.1f} MB of {sum(sizes) / MEGABYTE:.1f} MB"
    context.report(TaskStarted(name="send", text=text))
    progress = download_progress(context, "send", reference)
    sent = context.engine().load_layers(
        builder.save_image(reference), image.layers, left_out, lambda done: progress(done, max(missing, done))
    )
    seconds = context.clock.now() - began
    text = f"{reference} is there, {sent / MEGABYTE:.1f} MB went over"
    context.report(TaskEnded(name="send", text=text, seconds=seconds))
