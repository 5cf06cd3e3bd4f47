"""Build the image of a plan: the base and what the host fetches side by side, then BuildKit.

Owns the reporting of a build by step. What is built was decided by `core.plan`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.labels import LABEL_PREFIX
from builder.core.plan import explain_difference, plain_name
from builder.core.progress import AptProgress, count_instructions, map_steps
from builder.core.projects import TREE
from builder.errors import BuildError
from builder.model import BuildEvent, LogLine, Note, Plan, ResolvedTool, Step, StepProgress, TaskEnded, TaskStarted
from builder.tasks.base import ensure_base
from builder.tasks.prepare import Prepared, download_progress

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.views import ImageView


def build_image(context: Context, prepared: Prepared, *, previous: ImageView | None = None) -> bool:
    """Make sure that the plan's image is on the engine. True when it had to be built.

    `previous` is the image that the workstation ran so far: what differs from it is said in words.
    """
    plan = prepared.plan
    if context.engine().find_image(plan.image):
        return False
    if previous is not None:
        _say_why(context, plan, previous)
    folders = _gather(context, prepared)
    started = context.clock.now()
    context.report(TaskStarted(name="build", text=f"build {plan.image}"))
    dockerfile = prepared.image_tree["Dockerfile"].data.decode()
    narrator = BuildNarrator(
        context=context, steps=map_steps(dockerfile, plan), sizes=count_instructions(dockerfile, plan)
    )
    tree = {**prepared.image_tree, **{f"host/{name}": file for name, file in context.sources.host_files().items()}}
    try:
        context.engine().build(tree, folders, plan.image, narrator, secrets=context.sources.host_secrets())
    except BuildError as error:
        context.report(
            TaskEnded(name="build", text="the build failed", seconds=context.clock.now() - started, failed=True)
        )
        raise narrator.explain(error) from error
    context.report(TaskEnded(name="build", text=f"{plan.image} built", seconds=context.clock.now() - started))
    return True


def _say_why(context: Context, plan: Plan, previous: ImageView) -> None:
    label = previous.labels.get(f"{LABEL_PREFIX}steps")
    if label is None:
        return
    context.report(Note(text="the image is built anew, because"))
    for words in explain_difference(json.loads(label), plan):
        context.report(Note(text=words))


def _gather(context: Context, prepared: Prepared) -> Mapping[str, Path]:
    """Get the base onto the engine while the host fetches its part; both mostly wait for the network."""
    tools = [tool for tool in prepared.resolved.tools if _is_fetched(tool, prepared)]
    base = prepared.resolved.base
    with ThreadPoolExecutor(max_workers=1 + max(1, len(tools)), thread_name_prefix="gather") as pool:
        onto_engine = pool.submit(ensure_base, context, base, prepared.answers.base, prepared.resolved.arch)
        trees = {f"artifacts/{tool.name}": pool.submit(_fetch, context, tool, prepared.resolved.arch) for tool in tools}
        trees |= {
            f"{TREE}/{plain_name(tool.name)}": pool.submit(
                context.sources.fetch_project, tool.python, prepared.projects[tool.name].identity
            )
            for tool in prepared.resolved.tools
            if tool.python and not prepared.projects[tool.name].files
        }
        try:
            onto_engine.result()
            return {prefix: future.result() for prefix, future in trees.items()}
        except BaseException:
            context.stop()  # or the pool would wait for downloads that nobody wants any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_fetched(tool: ResolvedTool, prepared: Prepared) -> bool:
    return tool.wheel is not None or (tool.archive is not None and tool.name not in prepared.answers.absent)


def _fetch(context: Context, tool: ResolvedTool, arch: str) -> Path:
    started = context.clock.now()
    tree = context.sources.fetch_tree(tool, arch, download_progress(context, tool.name, "fetch"))
    seconds = context.clock.now() - started
    if seconds > 0.2:  # taken from the cache otherwise: not worth a line
        context.report(StepProgress(name=tool.name, text="fetched and checked", state="done", seconds=seconds))
    return tree


@dataclass(slots=True)
class BuildNarrator:
    """Turns what the builder says of its instructions into progress of our steps."""

    context: Context
    steps: Callable[[str], Step | None]  # vertex name -> step
    sizes: Mapping[str, int]  # step -> number of its instructions
    packages: dict[str, AptProgress] = field(default_factory=dict)
    ended: dict[str, list[BuildEvent]] = field(default_factory=dict)

    def __call__(self, event: BuildEvent) -> None:
        step = self.steps(event.vertex)
        if step is None:
            return
        if event.log:
            self._log(step, event)
        else:
            self._state(step, event)

    def _log(self, step: Step, event: BuildEvent) -> None:
        self.context.report(LogLine(name=step.name, text=event.log))
        if step.kind != "apt":
            return
        progress = self.packages.setdefault(step.name, AptProgress())
        if progress.read(event.log):
            self._report(step, "running", done=progress.done, total=progress.total)

    def _state(self, step: Step, event: BuildEvent) -> None:
        """A step of several instructions is told as one: it runs from its first to its last."""
        if event.state not in ("done", "cached"):
            self._report(step, event.state, seconds=event.seconds)
            return
        ended = self.ended.setdefault(step.name, [])
        ended.append(event)
        if len(ended) == self.sizes.get(step.name, 1):
            state = "cached" if all(item.state == "cached" for item in ended) else "done"
            self._report(step, state, seconds=sum(item.seconds for item in ended))

    def _report(self, step: Step, state: str, *, seconds: float = 0.0, done: int = 0, total: int = 0) -> None:
        self.context.report(
            StepProgress(
                name=step.name, text=step.summary, state=state, seconds=seconds, done=done, total=total, unit="packages"
            )
        )

    def explain(self, error: BuildError) -> BuildError:
        """The same failure, told by the catalogue file that the step comes from."""
        step = self.steps(error.where or "")
        if step is None:
            return error
        return BuildError(
            f"the step `{step.name}` failed: {error.message}",
            where=step.origin,
            detail=error.detail,
            hint=error.hint or f"the step is {step.summary}; change it there, or take the tool out of devbox.yaml",
        )
