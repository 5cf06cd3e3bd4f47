"""Which base image a workstation can stand on here, and getting it there.

Owns the order local, pull, bootstrap, substitute. What was chosen and why is an answer that is kept and said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from builder.core.canonical import content_id
from builder.errors import ConfigError, EngineError
from builder.model import (
    Base,
    BaseAnswer,
    LogLine,
    Note,
    Resolved,
    Retrieval,
    StepProgress,
    Substitution,
    TaskEnded,
    TaskStarted,
)

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Engine, Progress

# Raise it when the way a base is bootstrapped changes what is in it.
RECIPE = 3


def answer_base(context: Context, resolved: Resolved) -> tuple[BaseAnswer, tuple[Substitution, ...]]:
    """Find `resolved.base`, or what is allowed in its place. Raises ConfigError where neither can be had."""
    engine = context.engine()
    context.report(Note(text=f"looking for the base {resolved.base.name}"))
    answer, reasons = _find(context, engine, resolved.base, resolved.arch)
    if answer is not None:
        return answer, ()
    why = "; ".join(reasons)
    if resolved.substitute is None:
        raise ConfigError(
            f"the base {resolved.base.name} cannot be had here: {why}",
            hint="choose another `base`, make its source reachable, or allow another in its place (base.substitute)",
        )
    answer, more = _find(context, engine, resolved.substitute, resolved.arch)
    if answer is None:
        raise ConfigError(
            f"neither {resolved.base.name} nor {resolved.substitute.name} can be had here: {why}; {'; '.join(more)}",
            hint="make one of their sources reachable; `devbox doctor` shows each of them",
        )
    return answer, (Substitution(what="base", wanted=resolved.base.name, got=answer.name, reason=why),)


def _find(context: Context, engine: Engine, base: Base, arch: str) -> tuple[BaseAnswer | None, tuple[str, ...]]:
    """An answer, or the reasons why there is none, one for each way that was tried."""
    if image := engine.find_image(base.image):
        identity = image.digests[0] if image.digests else image.id
        return BaseAnswer(name=base.name, reference=base.image, how=Retrieval.LOCAL, identity=identity), ()
    recipe = content_id({"base": base.name, "codename": base.codename, "arch": arch, "recipe": RECIPE})
    reference = f"devbox/base:{base.name}-{recipe[:12]}"
    bootstrapped = BaseAnswer(name=base.name, reference=reference, how=Retrieval.BOOTSTRAP, identity=recipe)
    if engine.find_image(reference):
        return bootstrapped, ()
    try:
        image = engine.pull(base.image, _pull_progress(context, base))
        identity = image.digests[0] if image.digests else image.id
        return BaseAnswer(name=base.name, reference=base.image, how=Retrieval.PULL, identity=identity), ()
    except EngineError as error:
        context.report(LogLine(name="base", text=error.message))
        refused = f"{base.image} cannot be pulled"
    if (reason := context.sources.can_bootstrap(base)) is None:
        context.report(Note(text=f"{base.image} cannot be pulled here; {base.name} is bootstrapped from an apt mirror"))
        return bootstrapped, ()
    return None, (refused, reason)


def _pull_progress(context: Context, base: Base) -> Progress:
    def report(done: int, total: int) -> None:
        context.report(
            StepProgress(name="base", text=f"pull {base.image}", state="running", done=done, total=total, unit="bytes")
        )

    return report


def ensure_base(context: Context, base: Base, answer: BaseAnswer, arch: str) -> None:
    """Bring the base onto the engine when it is not there (any more)."""
    engine = context.engine()
    if engine.find_image(answer.reference):
        return
    if answer.how is not Retrieval.BOOTSTRAP:
        engine.pull(answer.reference, _pull_progress(context, base))
        return
    started = context.clock.now()
    context.report(TaskStarted(name="base", text=f"bootstrap {base.name}"))
    with context.sources.scratch() as folder:
        tar = folder / f"{base.name}.tar"
        for note in context.sources.bootstrap(base, arch, tar, _line_progress(context)):
            context.report(Note(text=note, level="warning"))
        engine.import_tar(tar, answer.reference, {"dev.devbox.base": base.name})
    context.report(TaskEnded(name="base", text=f"{base.name} bootstrapped", seconds=context.clock.now() - started))


def _line_progress(context: Context) -> Callable[[str], None]:
    def report(line: str) -> None:
        context.report(StepProgress(name="base", text=line[:80], state="running"))

    return report
