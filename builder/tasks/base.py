"""Which base image a workstation can stand on here, and getting it there.

Owns the order local, pull, bootstrap, substitute. What was chosen and why is an answer that is kept and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.canonical import content_id
from builder.core.labels import LABEL_BASE
from builder.core.lock import FILE
from builder.errors import ConfigError, EngineError, LockError
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
from builder.tasks.owner import find_our_image

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Engine, Progress
    from builder.views import ImageView

ANEW = "`devbox lock --update` asks what can be had now"
# Raise it when the way a base is bootstrapped changes what is in it.
RECIPE = 4


def answer_base(context: Context, resolved: Resolved) -> tuple[BaseAnswer, tuple[Substitution, ...]]:
    """Find `resolved.base`, or what is allowed in its place. Raises ConfigError where neither can be had."""
    engine = context.engine()
    _refuse_other_kind(engine, resolved.arch)
    context.report(Note(text=f"looking for the base {resolved.base.name}"))
    answer = _find(context, engine, resolved.base, resolved.arch)
    if isinstance(answer, BaseAnswer):
        return answer, ()
    if resolved.substitute is None:
        hint = "choose another `base`, make its source reachable, or allow another in its place (base.substitute)"
        raise _nowhere(f"the base {resolved.base.name} cannot be had here: {answer.why}", answer, hint)
    other = _find(context, engine, resolved.substitute, resolved.arch)
    if isinstance(other, _Missing):
        both = f"neither {resolved.base.name} nor {resolved.substitute.name} can be had here: {answer.why}; {other.why}"
        raise _nowhere(both, answer, "make one of their sources reachable; `devbox doctor` shows each of them")
    return other, (Substitution(what="base", wanted=resolved.base.name, got=other.name, reason=answer.why),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    """A base that cannot be had: in words why by none of the ways, and how the engine refused the pull."""

    why: str
    refused: EngineError


def _nowhere(message: str, missing: _Missing, hint: str) -> ConfigError:
    """With what the engine said of the pull, which can be mended most often: a login, a limit, a typing error."""
    mend = missing.refused.hint
    return ConfigError(message, detail=missing.refused.message, hint=f"{mend}; or {hint}" if mend else hint)


def _find(context: Context, engine: Engine, base: Base, arch: str) -> BaseAnswer | _Missing:
    if image := engine.find_image(base.image):
        return BaseAnswer(name=base.name, reference=base.image, how=Retrieval.LOCAL, identity=_identity(image))
    recipe = content_id({"base": base.name, "codename": base.codename, "arch": arch, **_of_moment(base)})
    reference = _bootstrapped(base, recipe[:12])
    bootstrapped = BaseAnswer(name=base.name, reference=reference, how=Retrieval.BOOTSTRAP, identity=recipe)
    if find_our_image(context, reference, LABEL_BASE, base.name):
        return bootstrapped
    try:
        image = _pull(context, base)
        return BaseAnswer(name=base.name, reference=base.image, how=Retrieval.PULL, identity=_identity(image))
    except EngineError as error:
        context.report(LogLine(name="base", text=error.message))
        refused = error
    if (reason := context.sources.can_bootstrap(base)) is None:
        context.report(
            Note(text=f"{_source(base)} cannot be pulled here; {base.name} is bootstrapped from an apt mirror")
        )
        return bootstrapped
    return _Missing(why=f"{_source(base)} cannot be pulled; {reason}", refused=refused)


def _source(base: Base) -> str:
    return base.source or base.image


def _pull(context: Context, base: Base) -> ImageView:
    """The base by its own name, also where a mirror gave it: the image that is made of it is the same."""
    engine = context.engine()
    image = engine.pull(_source(base), _pull_progress(context, base))
    if _source(base) != base.image:
        engine.tag(_source(base), base.image)
    return image


def _identity(image: ImageView) -> str:
    """Its digest, without the name of the place that it came from."""
    return image.digests[0].rpartition("@")[2] if image.digests else image.id


def identities(image: ImageView) -> tuple[str, ...]:
    return (image.id, *(digest.rpartition("@")[2] for digest in image.digests))


def _of_moment(base: Base) -> Mapping[str, object]:
    return {"recipe": RECIPE, "snapshot": base.snapshot} if base.snapshot else {"recipe": RECIPE}


def _pull_progress(context: Context, base: Base) -> Progress:
    def report(done: int, total: int) -> None:
        context.report(
            StepProgress(
                name="base", text=f"pull {_source(base)}", state="running", done=done, total=total, unit="bytes"
            )
        )

    return report


def _refuse_other_kind(engine: Engine, arch: str) -> None:
    """An image is laid out for the kind of machine that devbox runs on; an engine elsewhere may be on another."""
    there = engine.version()
    if there.arch != arch:
        raise ConfigError(
            f"this machine lays out workstations for {arch}, and {there.host} is {there.arch}",
            hint="run devbox on a machine of the same kind as that of the engine",
        )


def ensure_base(context: Context, base: Base, answer: BaseAnswer, arch: str) -> None:
    """Bring the base onto the engine when it is not there (any more). Raises LockError where that is not possible, and
    where the lock names an image that is none of `base`; ConfigError for an engine on another kind of machine."""
    _refuse_other_kind(context.engine(), arch)
    if answer.how is not Retrieval.BOOTSTRAP:
        _ensure_image(context, base, answer)
        return
    if not answer.reference.startswith(_bootstrapped(base, "")):
        raise _foreign(base, answer)
    if find_our_image(context, answer.reference, LABEL_BASE, base.name):
        return
    # Another workspace may be at it: whoever comes second would take the name from an image that is used by then.
    with context.sources.alone(f"base-{base.name}", _say_whom(context, base)):
        if not find_our_image(context, answer.reference, LABEL_BASE, base.name):
            _bootstrap(context, base, answer.reference, arch)


def _ensure_image(context: Context, base: Base, answer: BaseAnswer) -> None:
    if answer.reference != base.image:
        raise _foreign(base, answer)
    found = context.engine().find_image(base.image) or _pull_again(context, base, answer)
    # One that was kept as a file has lost its digest: what it was kept as is known.
    if answer.identity not in identities(found) and context.kept.find_base(answer.identity) != found.id:
        wanted = _by_digest(base, answer)
        raise LockError(
            f"the image {base.image} here is another one than that of the lock ({answer.identity})",
            where=FILE,
            hint=f"`docker pull {wanted} && docker tag {wanted} {base.image}` brings that one here; or {ANEW}",
        )


def _foreign(base: Base, answer: BaseAnswer) -> LockError:
    return LockError(f"its base {answer.reference} is no image of {base.name}", where=FILE, hint=ANEW)


def _bootstrapped(base: Base, recipe: str) -> str:
    return f"devbox/base:{base.name}-{recipe}"


def _by_digest(base: Base, answer: BaseAnswer) -> str:
    """The image of the lock where it is pulled from, whatever its tag stands for by now."""
    source = _source(base).partition("@")[0]
    name, _, tag = source.rpartition(":")
    return f"{name if name and '/' not in tag else source}@{answer.identity}"


def _say_whom(context: Context, base: Base) -> Callable[[str], None]:
    return lambda who: context.report(Note(text=f"waiting for {who}, which bootstraps {base.name}", level="warning"))


def _bootstrap(context: Context, base: Base, reference: str, arch: str) -> None:
    started = context.clock.now()
    context.report(TaskStarted(name="base", text=f"bootstrap {base.name}"))
    with context.sources.scratch() as folder:
        tar = folder / f"{base.name}.tar"
        for note in context.sources.bootstrap(base, arch, tar, _line_progress(context)):
            context.report(Note(text=note, level="warning"))
        context.engine().import_tar(tar, reference, {LABEL_BASE: base.name})
    context.report(TaskEnded(name="base", text=f"{base.name} bootstrapped", seconds=context.clock.now() - started))


def _pull_again(context: Context, base: Base, answer: BaseAnswer) -> ImageView:
    """By its digest, since the tag moves on; by the tag where the lock knows an id, or the registry no digest."""
    engine, wanted = context.engine(), _by_digest(base, answer)
    if "@" not in base.image:
        try:
            image = engine.pull(wanted, _pull_progress(context, base))
        except EngineError as error:
            context.report(LogLine(name="base", text=error.message))
        else:
            engine.tag(wanted, base.image)
            return image
    try:
        return _pull(context, base)
    except EngineError as error:
        raise LockError(
            f"the base {answer.reference} of the lock cannot be had here: {error.message}",
            where=FILE,
            detail=error.detail,
            hint=f"{error.hint}; or {ANEW}" if error.hint else ANEW,
        ) from error


def _line_progress(context: Context) -> Callable[[str], None]:
    def report(line: str) -> None:
        context.report(StepProgress(name="base", text=line[:80], state="running"))

    return report


def download_progress(context: Context, name: str, text: str) -> Progress:
    def report(done: int, total: int) -> None:
        context.report(StepProgress(name=name, text=text, state="running", done=done, total=total, unit="bytes"))

    return report
