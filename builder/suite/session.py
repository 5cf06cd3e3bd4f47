"""Opens what is verified: a running workstation, or a throw-away of an image; and the throw-aways that checks need.

Owns their lives: whatever was started here is gone when `open_subject` ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.adapters.errands import Errands
from builder.errors import EngineError
from builder.suite.subject import Subject
from builder.suite.throwaway import Recipe, boot

if TYPE_CHECKING:
    from pathlib import Path

    from builder.adapters.engine.client import Engine
    from builder.model import Check, Keys, Plan, Resolved
    from builder.suite.throwaway import Running, Tweak
    from builder.views import ContainerView


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the workstation should be, and how thoroughly to look."""

    plan: Plan
    resolved: Resolved
    static: str  # compose/workstation.yaml
    held: str = ""  # `devbox rollback` went back from this plan, which devbox.yaml makes, and `up` stays there
    own: tuple[tuple[str, Check], ...] = ()
    framework: tuple[tuple[str, Check], ...] = ()
    tests: Path | None = None  # a folder of testinfra files
    repeat: int = 5
    cold: bool = False


@contextmanager
def open_running(
    engine: Engine, wanted: Wanted, container: ContainerView, keys: Keys, rendered: Path | None = None
) -> Iterator[Subject]:
    """The workstation that runs. Its throw-aways, if a check wants any, come from the image that it runs from."""
    recipe = _recipe(engine, wanted, container.image_id)
    with ExitStack() as stack:
        yield replace(_subject(recipe, wanted, container, keys, stack), rendered=rendered, held=wanted.held)


@contextmanager
def open_image(engine: Engine, wanted: Wanted, image: str, *, tweak: Tweak | None = None) -> Iterator[Subject]:
    """A throw-away of `image`; no workstation is touched. Raises EngineError when there is no such image."""
    if engine.find_image(image) is None:
        raise EngineError(f"the image {image} is not on the engine", hint="`devbox build` makes that of devbox.yaml")
    recipe = replace(_recipe(engine, wanted, image), tweak=tweak)
    with ExitStack() as stack:
        running = stack.enter_context(boot(recipe))
        yield _fresh(recipe, wanted, running, stack)


def _recipe(engine: Engine, wanted: Wanted, image: str) -> Recipe:
    return Recipe(engine=engine, plan=wanted.plan, resolved=wanted.resolved, static=wanted.static, image=image)


def _fresh(recipe: Recipe, wanted: Wanted, running: Running, stack: ExitStack) -> Subject:
    subject = _subject(recipe, wanted, running.container, running.keys, stack)
    return replace(subject, resolved=running.resolved, fresh=True)


def _subject(recipe: Recipe, wanted: Wanted, container: ContainerView, keys: Keys, stack: ExitStack) -> Subject:
    errands = Errands(recipe.engine)
    stack.callback(errands.close)

    @contextmanager
    def boot_one() -> Iterator[Subject]:
        with boot(recipe) as running, ExitStack() as inner:
            yield _fresh(recipe, wanted, running, inner)

    return Subject(
        engine=recipe.engine,
        commands=errands,
        container=container,
        resolved=wanted.resolved,
        keys=keys,
        substitutions=wanted.plan.substitutions,
        plan=wanted.plan.id,
        own=wanted.own,
        framework=wanted.framework,
        tests=wanted.tests,
        boot=boot_one,
        open_shared=lambda: stack.enter_context(boot_one()),
        repeat=wanted.repeat,
        cold=wanted.cold,
    )
