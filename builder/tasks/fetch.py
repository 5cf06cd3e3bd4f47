"""`devbox fetch`: keep on this machine all that the image is made of, for builds without a network.

Owns what is fetched: what is kept already, and what the last build left in the builder's caches, is not asked for
again. Writes nothing into the workspace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.kept import list_files
from builder.core.render import render_fetch
from builder.errors import BuildError, LockError
from builder.model import TaskEnded, TaskStarted
from builder.tasks.base import download_progress
from builder.tasks.build import gather
from builder.tasks.demand import Demand
from builder.tasks.offline import refuse_missing
from builder.tasks.packages import explain_gone, name_question, tell_build, teller
from builder.tasks.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.core.kept import KeptFile
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared
    from builder.tasks.packages import Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    packages: int  # that the lock names
    new: int  # that were not kept before
    bytes: int  # of those
    base: bool  # whether its image was kept now


def fetch_all(context: Context) -> Fetched:
    """Keep the base, the packages and the downloads of this folder's lock. Raises LockError where it does not fit
    devbox.yaml, and for what no source has any more."""
    with context.workspace.lock("fetch"):
        prepared = prepare(context, demand=Demand(frozen=True))
        lock = prepared.lock
        if lock is None:
            raise LockError("there is no lock", hint="`devbox lock` writes it")
        gather(context, prepared)
        base = _keep_base(context, prepared)
        files = list_files(lock)
        missing = context.kept.find_missing(files)
        size, new = _fetch(context, prepared, missing) if missing else (0, 0)
        return Fetched(packages=len(files), new=new, bytes=size, base=base)


def _keep_base(context: Context, prepared: Prepared) -> bool:
    """The image that the engine has: one that was bootstrapped on another day is another one."""
    engine, answer = context.engine(), prepared.answers.base
    image = engine.find_image(answer.reference)
    if image is None or context.kept.find_base(answer.identity) == image.id:
        return False
    started = context.clock.now()
    context.report(TaskStarted(name="base", text=f"keep the base {answer.name}"))
    progress = download_progress(context, "base", "keep the base")
    # By its tag: only so does the file hold the tag.
    context.kept.save_base(answer.identity, image.id, engine.save_image(answer.reference), progress)
    context.report(TaskEnded(name="base", text=f"{answer.name} kept", seconds=context.clock.now() - started))
    return True


def _fetch(context: Context, prepared: Prepared, missing: Sequence[KeptFile]) -> tuple[int, int]:
    """Bytes and number of the files that were fetched."""
    engine, started = context.engine(), context.clock.now()
    context.workspace.intend("fetching packages")
    context.report(TaskStarted(name="fetch", text=f"fetch what is not kept yet of {len(missing)} packages"))
    tree = render_fetch(
        prepared.plan, prepared.image_tree, missing, moment=context.keys.new_token(), templates=context.assets.templates
    )
    secrets = context.sources.host_secrets(prepared.resolved.base, teller(context))
    tag, failed = name_question(context, "fetch"), True
    gone: list[Gone] = []
    sizes: list[int] = []
    try:
        engine.build(tree, {}, tag, tell_build(context, "fetch", gone), secrets=secrets)
        try:
            for file in engine.read_files(tag, lambda path: True):
                kind, _, name = file.path.partition("/")
                context.kept.take(kind, name, file.data)
                sizes.append(file.size)
        finally:
            engine.remove_image(tag)
        failed = False
    except BuildError as error:
        if gone:
            raise explain_gone(gone) from error
        raise
    finally:
        seconds = context.clock.now() - started
        context.report(TaskEnded(name="fetch", text=f"{len(sizes)} packages fetched", seconds=seconds, failed=failed))
    still = context.kept.find_missing([file for file in missing if file.kind != "apt"])  # of apt: the base has the rest
    refuse_missing([file.name for file in still])
    return sum(sizes), len(sizes)
