"""Build the image of a plan: the base and what the host fetches side by side, then BuildKit.

What is built was decided by `core.plan`; how it is told, by `narrate`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.labels import LABEL_PLAN, LABEL_PREFIX
from builder.core.plan import explain_difference, has_artifact, plain_name
from builder.core.progress import count_instructions, map_steps
from builder.core.projects import TREE
from builder.errors import BuildError
from builder.model import BuildEvent, Note, Plan, TaskEnded, TaskStarted
from builder.tasks.artifacts import bring_artifact
from builder.tasks.base import ensure_base
from builder.tasks.narrate import BuildNarrator
from builder.tasks.offline import lay_out_kept
from builder.tasks.owner import find_our_image
from builder.tasks.packages import teller
from builder.tasks.registry import take_shared
from builder.tasks.send import builder_of, send_image

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared
    from builder.views import ImageView


class Way(Enum):
    """How an image came to be on the engine."""

    HERE = "is there already: nothing to do"
    PULLED = "pulled"
    BUILT = "built"
    SENT = "built here, and sent"


def build_image(
    context: Context,
    prepared: Prepared,
    *,
    previous: ImageView | None = None,
    ahead: Callable[[], None] = lambda: None,
    tag: str = "",
    fresh: bool = False,
) -> Way:
    """Make sure that the plan's image is on the engine: it is there, or in the team's registry, or is built, where the
    context has a `builder` by that.

    `previous` is the image that the workstation ran so far: what differs from it is said in words. `ahead` is called
    before a build. Another `tag` than the plan's, and whatever is `fresh`, is built in any case; `fresh` repeats every
    step.
    """
    plan = prepared.plan
    tag = tag or plan.image
    here = builder_of(context)
    if tag == plan.image and not fresh:
        if find_our_image(context, tag, LABEL_PLAN, plan.id):
            return Way.HERE
        if take_shared(context, prepared):
            return Way.PULLED
    if here is not context:
        build_image(here, prepared, previous=previous, ahead=ahead, tag=tag, fresh=fresh)
        send_image(context, here.engine(), tag)
        return Way.SENT
    ahead()
    if previous is not None:
        _say_why(context, plan, previous)
    context.workspace.intend("gathering what the image is made of")
    if prepared.offline and prepared.lock is not None:
        lay_out_kept(context, prepared, prepared.lock)
        secrets = context.sources.offline_secrets(plan.id)
    else:
        secrets = context.sources.host_secrets(prepared.resolved.base, teller(context))
    folders = gather(context, prepared)
    _run(context, prepared, folders, secrets, tag=tag, fresh=fresh)
    return Way.BUILT


def _run(
    context: Context,
    prepared: Prepared,
    folders: Mapping[str, Path],
    secrets: Mapping[str, bytes],
    *,
    tag: str,
    fresh: bool,
) -> None:
    """The build itself, told step by step."""
    plan = prepared.plan
    context.workspace.intend(f"building {tag}")
    started = context.clock.now()
    context.report(TaskStarted(name="build", text=f"build {tag}"))
    dockerfile = prepared.image_tree["Dockerfile"].data.decode()
    narrator = BuildNarrator(
        context=context, steps=map_steps(dockerfile, plan), sizes=count_instructions(dockerfile, plan)
    )
    on_event: Callable[[BuildEvent], None] = narrator
    if prepared.head is not None:
        prepared.head.begin(prepared, secrets)
        on_event = prepared.head.join(narrator)
    try:
        context.engine().build(prepared.image_tree, folders, tag, on_event, secrets=secrets, fresh=fresh)
    except BuildError as error:
        if prepared.head is not None:
            prepared.head.hear_out(error.where)
        context.report(
            TaskEnded(name="build", text="the build failed", seconds=context.clock.now() - started, failed=True)
        )
        raise narrator.explain(error) from error
    if prepared.head is not None:
        prepared.head.tell_rest()
    context.report(TaskEnded(name="build", text=f"{tag} built", seconds=context.clock.now() - started))


def _say_why(context: Context, plan: Plan, previous: ImageView) -> None:
    label = previous.labels.get(f"{LABEL_PREFIX}steps")
    if label is None:
        return
    context.report(Note(text="the image is built anew, because"))
    for words in explain_difference(json.loads(label), plan):
        context.report(Note(text=words))


def gather(context: Context, prepared: Prepared) -> Mapping[str, Path]:
    """Get the base, and what the host fetches, onto the engine; all mostly wait for the network. The folders that the
    build is sent besides."""
    base, arch = prepared.resolved.base, prepared.resolved.arch
    tools = [tool for tool in prepared.resolved.tools if has_artifact(tool, prepared.answers)]
    with ThreadPoolExecutor(max_workers=1 + max(1, len(tools)), thread_name_prefix="gather") as pool:
        onto_engine = [pool.submit(ensure_base, context, base, prepared.answers.base, arch)]
        onto_engine += [pool.submit(bring_artifact, context, tool, arch) for tool in tools]
        trees = {
            f"{TREE}/{plain_name(tool.name)}": pool.submit(
                context.sources.fetch_project, tool.python, prepared.projects[tool.name].identity
            )
            for tool in prepared.resolved.tools
            if tool.python and not prepared.projects[tool.name].files
        }
        try:
            for brought in onto_engine:
                brought.result()
            return {prefix: future.result() for prefix, future in trees.items()}
        except BaseException:
            context.stop()  # or the pool would wait for downloads that nobody wants any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise
