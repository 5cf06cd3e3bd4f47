"""Asking apt which packages an image will hold: by a build of one step, in the base that the image stands on.

Owns what is asked anew and what stays, and the words of a question that failed. See docs/decisions/lock.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from builder.core.aptquestion import read_answer, render_files
from builder.core.lock import FILE
from builder.core.plan import group_packages
from builder.core.problems import choose_hint, shown
from builder.core.render import render_question
from builder.errors import BuildError, ConfigError, LockError
from builder.model import BuildEvent, LogLine, Note, Plan, Resolved, TaskEnded, TaskStarted
from builder.tasks.base import ensure_base
from builder.tasks.layout import Request, lay_out

if TYPE_CHECKING:
    from builder.core.lock import AptPackage, AptStep, Lock
    from builder.tasks.interfaces import Context

OURS: Final = "devbox: "  # begins a line of a build that a person should know
# What apt-install says of a package that the lock names and that cannot be had.
GONE: Final = re.compile(re.escape(OURS) + r"no mirror has (\S+) (\S+) any more, the nearest is (\S+)")
Gone = tuple[str, str, str]  # name, version of the lock, nearest
SHOWN: Final = 5  # packages that a hint names
QUESTION: Final = "devbox/question"  # an image of a few files, for as long as it takes to read them
UNKNOWN: Final = re.compile(r"E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate)")


class GoneError(LockError):
    """Packages of the lock that no mirror has any more."""


def find_named(used: Resolved, known: Lock | None, names: tuple[str, ...]) -> frozenset[str]:
    """The packages of Debian that `names` of tools and packages stand for, with those of the same sources: they come in
    the same version only. Raises ConfigError for a name that stands for nothing here."""
    tools = {tool.name.removeprefix("apt:"): tool.apt for tool in used.tools}
    wanted = {package for packages in group_packages(used).values() for package in packages}
    there = {package.name for package in known.apt} if known else set()
    if unknown := sorted(set(names) - tools.keys() - wanted - there):
        hint = choose_hint(unknown[0], {*tools, *wanted})
        raise ConfigError(f"{shown(unknown[0])} is no tool or package of this workstation", hint=hint)
    named = {package for name in names for package in (*tools.get(name, ()), *([name] if name in there else ()))}
    sources = {_source(package) for package in (known.apt if known else ()) if package.name in named}
    return frozenset(named | {package.name for package in (known.apt if known else ()) if _source(package) in sources})


def _source(package: AptPackage) -> str:
    """`pool/main/g/git`: the folder of all that is built from the same source."""
    return package.path.rpartition("/")[0] or package.name


def ask_packages(
    context: Context, request: Request, lock: Lock, known: Lock | None, released: frozenset[str] | None
) -> tuple[AptPackage, ...]:
    """All that is installed in the end. `lock` has the other answers already; of `known` all versions stay but those
    that are `released`, or none if that is None.

    One that stays and that no mirror has any more is replaced by the newest, which is said.
    """
    steps = lock.wanted.apt
    below: tuple[AptStep, ...] = ()
    keep: tuple[AptPackage, ...] = ()
    if known is not None and released is not None and _same_release(known, lock):
        keep = tuple(package for package in known.apt if package.name not in released)
        if not released and known.base == lock.base:
            below = _common(known.wanted.apt, steps)
    brought = {step.name for step in below}
    there = tuple(package for package in keep if package.step in brought)
    if len(below) == len(steps):
        return there
    part = replace(lock, wanted=replace(lock.wanted, apt=below), apt=there)
    try:
        answer = _ask(context, request, part, steps[len(below) :], keep, strict=released != frozenset())
    except GoneError:
        if not below:
            raise
        # What stands below cannot be installed any more as it was: all are asked, with the versions that are left.
        part = replace(part, wanted=replace(lock.wanted, apt=()), apt=())
        answer = _ask(context, request, part, steps, keep, strict=False)
    _say_replaced(context, keep, answer)
    return answer


def _same_release(known: Lock, lock: Lock) -> bool:
    return known.base.name == lock.base.name and known.wanted.snapshot == lock.wanted.snapshot


def _common(before: Sequence[AptStep], now: Sequence[AptStep]) -> tuple[AptStep, ...]:
    """The steps at the beginning that are the same: what stands on them can be asked there."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False))
    return tuple(step for step, _ in pairs)


def _say_replaced(context: Context, keep: Sequence[AptPackage], answer: Sequence[AptPackage]) -> None:
    now = {(package.name, package.architecture): package.version for package in answer}
    for package in keep:
        version = now.get((package.name, package.architecture), package.version)
        if version != package.version:
            text = f"{package.name} {package.version} cannot be had any more: {version} in its place"
            context.report(Note(text=text, level="warning"))


def _ask(
    context: Context,
    request: Request,
    part: Lock,
    steps: Sequence[AptStep],
    keep: Sequence[AptPackage],
    *,
    strict: bool,
) -> tuple[AptPackage, ...]:
    """`part` is the lock as far as it is known: its steps are below the question. Raises GoneError where no mirror has
    what they install."""
    prepared = lay_out(context, request, part)
    engine, plan = context.engine(), prepared.plan
    ensure_base(context, prepared.resolved.base, prepared.answers.base, prepared.resolved.arch)
    began = context.clock.now()
    context.workspace.intend("asking the package mirror")
    context.report(TaskStarted(name="ask", text="ask the package mirror what it has"))
    tag = name_question(context)
    tree = render_question(
        plan,
        prepared.image_tree,
        render_files(steps, keep),
        known=[step.name for step in part.wanted.apt],
        moment=context.keys.new_token(),
        strict=strict,
        templates=context.assets.templates,
    )
    secrets = context.sources.host_secrets(prepared.resolved.base, teller(context))
    gone: list[Gone] = []
    try:
        engine.build(tree, {}, tag, tell_build(context, "ask", gone), secrets=secrets)
    except BuildError as error:
        context.report(TaskEnded(name="ask", text="no answer", seconds=context.clock.now() - began, failed=True))
        raise (explain_gone(gone) if gone else _explain(error, plan)) from error
    try:
        files = {file.path: file.data.decode() for file in engine.read_files(tag, lambda path: True)}
    finally:
        engine.remove_image(tag)
    answer = read_answer(files, steps, part.apt)
    context.report(TaskEnded(name="ask", text=f"{len(answer)} packages", seconds=context.clock.now() - began))
    return answer


def name_question(context: Context, whom: str = "apt") -> str:
    """A name that nobody else has: other folders, and a `plan` beside this one, ask on the same engine."""
    return f"{QUESTION}:{context.keys.new_token()}-{whom}"


def _explain(error: BuildError, plan: Plan) -> BuildError:
    """Told by the file that a package comes from, where apt names one."""
    found = UNKNOWN.search(f"{error.message}\n{error.detail or ''}")
    name = (found[1] or found[2]) if found else ""
    step = next((step for step in plan.steps if step.kind == "apt" and name in _names(step.options)), None)
    if step is None:
        return BuildError(
            f"the package mirror cannot be asked: {error.message}",
            detail=error.detail,
            hint=error.hint or "`devbox doctor` looks at the mirrors; what runs is not touched",
        )
    return BuildError(
        f"the step `{step.name}` failed: no package mirror has {name}",
        where=step.origin,
        detail=error.detail,
        hint=error.hint or f"the step is {step.summary}; change it there, or take the tool out of devbox.yaml",
    )


def _names(options: Mapping[str, object]) -> Sequence[str]:
    packages = options["packages"]
    return [str(item) for item in packages] if isinstance(packages, list) else []


def teller(context: Context) -> Callable[[str], None]:
    """Says what of this machine's network could not be handed to a build."""
    return lambda text: context.report(Note(text=text, level="warning"))


def tell_build(context: Context, name: str, gone: list[Gone]) -> Callable[[BuildEvent], None]:
    """Tells what a build says; packages of the lock that no mirror has any more are added to `gone`."""

    def tell(event: BuildEvent) -> None:
        if event.log:
            context.report(LogLine(name=name, text=event.log))
        if found := GONE.match(event.log):
            gone.append((found[1], found[2], found[3]))
        elif event.log.startswith(OURS):
            context.report(Note(text=event.log.removeprefix(OURS), level="warning"))

    return tell


def explain_gone(gone: Sequence[Gone]) -> GoneError:
    """Each with the nearest that there is; once, though a build and its head start may both have told it."""
    each = list(dict.fromkeys(gone))
    (name, version, nearest), *more = each
    others = [f"{other} {wanted}: the nearest is {there}" for other, wanted, there in more]
    command = " ".join(("devbox lock --update", *(item[0] for item in each if len(each) <= SHOWN)))
    return GoneError(
        f"no package mirror has {name} {version} any more; the nearest is {nearest}",
        where=FILE,
        detail="\n".join(others) or None,
        hint=f"`{command}` takes what there is now",
    )
