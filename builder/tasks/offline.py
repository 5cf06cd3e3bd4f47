"""A build without a network: from the base and the packages that this machine keeps, by the very steps of any other.

Owns what has to be kept for it. The Dockerfile is the same as ever; what differs is what lies in the caches that its
steps mount, and what they are told of package sources (docs/decisions/offline.md).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from builder.core.kept import describe_files, list_files
from builder.core.lock import locked_lines
from builder.core.plan import has_artifact
from builder.core.render import KEPT, render_lay_out
from builder.errors import BuildError, HostError
from builder.model import BuildEvent, LogLine, TaskEnded, TaskStarted
from builder.tasks.base import download_progress
from builder.tasks.packages import name_question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from builder.core.lock import Lock
    from builder.model import BaseAnswer
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared

MISSING: Final = re.compile(r"not kept: (.+)")  # what lay-out says of a package of Debian
HINT: Final = "`devbox fetch`, where there is a network, keeps what this image is made of"


def lay_out_kept(context: Context, prepared: Prepared, lock: Lock) -> None:
    """Make the engine ready for a build without a network: the base, and what its steps take from their caches. Raises
    HostError for what is not kept."""
    files = list_files(lock)
    missing = [file.name for file in context.kept.find_missing([file for file in files if file.kind != "apt"])]
    refuse_missing([*_find_unfetched(context, prepared), *missing])
    bring_base(context, prepared.answers.base)
    started = context.clock.now()
    context.workspace.intend("laying out what is kept on this machine")
    context.report(TaskStarted(name="kept", text="lay out what is kept on this machine"))
    tree = render_lay_out(
        prepared.plan,
        locked_lines(lock, lock.wanted.apt[-1].name),
        moment=context.keys.new_token(),
        templates=context.assets.templates,
    )
    absent: list[str] = []
    tag = name_question(context, "kept")
    failed = True
    try:
        with context.kept.gathered(files) as folder:
            context.engine().build(tree, {KEPT: folder}, tag, _hearing(context, absent), secrets={})
        context.engine().remove_image(tag)
        failed = False
    except BuildError:
        refuse_missing(absent)
        raise
    finally:
        seconds = context.clock.now() - started
        context.report(TaskEnded(name="kept", text=f"{len(files)} packages", seconds=seconds, failed=failed))


def _hearing(context: Context, absent: list[str]) -> Callable[[BuildEvent], None]:
    def hear(event: BuildEvent) -> None:
        if event.log:
            context.report(LogLine(name="kept", text=event.log))
        if found := MISSING.match(event.log):
            absent.append(found[1])

    return hear


def refuse_missing(names: Sequence[str]) -> None:
    if names:
        count = "a part" if len(names) == 1 else f"{len(names)} parts"
        raise HostError(f"{count} of the image cannot be had on this machine: {describe_files(names)}", hint=HINT)


def _find_unfetched(context: Context, prepared: Prepared) -> Iterator[str]:
    """What the host would have to fetch."""
    resolved = prepared.resolved
    for tool in resolved.tools:
        if has_artifact(tool, prepared.answers) and not context.sources.is_fetched(tool, resolved.arch):
            yield f"{tool.name} {tool.version or ''}".strip()
        if tool.python and not prepared.projects[tool.name].files:
            identity = prepared.projects[tool.name].identity
            if not context.sources.is_project_fetched(tool.python, identity):
                yield f"{tool.name} {identity[:12]}"
    base, answer = resolved.base, prepared.answers.base
    if context.engine().find_image(answer.reference) is None and context.kept.find_base(answer.identity) is None:
        yield f"the base {base.name}"


def bring_base(context: Context, answer: BaseAnswer) -> None:
    """Onto the engine, from what is kept, if it is not there."""
    engine = context.engine()
    if engine.find_image(answer.reference) is not None:
        return
    started = context.clock.now()
    context.report(TaskStarted(name="base", text=f"load the base {answer.name}"))
    engine.load_image(context.kept.read_base(answer.identity, download_progress(context, "base", "load the base")))
    context.report(TaskEnded(name="base", text=f"{answer.name} loaded", seconds=context.clock.now() - started))
