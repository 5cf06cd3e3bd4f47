"""From what was asked for, and a lock, to a plan and a rendered image: asks nobody, and writes nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.core.authorities import add_authorities
from builder.core.catalog import Catalog, parse_catalog
from builder.core.config import Config, Verify, parse_config
from builder.core.lock import Lock, answer_by, check_integrity
from builder.core.plan import make_plan
from builder.core.problems import shown
from builder.core.projects import describe_commit, describe_tree, describe_wheel
from builder.core.render import render_image
from builder.core.resolve import resolve_config
from builder.model import (
    Answers,
    Assets,
    BaseAnswer,
    Plan,
    Project,
    ProjectKind,
    PythonSource,
    RenderedFile,
    RenderedTree,
    Resolved,
    Retrieval,
)

if TYPE_CHECKING:
    from builder.core.own_checks import OwnCheck
    from builder.tasks.headstart import HeadStart
    from builder.tasks.interfaces import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for, before the world was asked anything."""

    config: Config
    catalog: Catalog
    resolved: Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that is known before the first act."""

    resolved: Resolved  # for the base that is really used
    answers: Answers
    plan: Plan
    rootfs: Mapping[str, RenderedFile]  # what the image may take from, with the certificates that are to be installed
    render: Callable[[], RenderedTree]
    verify: Verify  # the checks of one's own
    lock: Lock | None = None  # that the answers come from; None where they are assumed
    framework_checks: tuple[OwnCheck, ...] = ()
    projects: Mapping[str, Project] = field(default_factory=dict)  # of the tools that are built from Python source
    registry: str | None = None  # where the image may be had in place of a build
    offline: bool = False  # only what is here may be used
    head: HeadStart | None = None  # what of the build may have begun

    @property
    def image_tree(self) -> RenderedTree:
        """What the image is made of. Rendered when it is first asked for, which takes longer than all else here."""
        return self.render()


def read_request(context: Context) -> Request:
    """Parse and resolve devbox.yaml. Raises ConfigError with every mistake at once."""
    config = parse_config(context.config_text, file=context.config_file, defaults=context.facts)
    catalog = read_catalog(context, config)
    return Request(config=config, catalog=catalog, resolved=resolve_config(config, catalog, context.facts))


def read_catalog(context: Context, config: Config | None = None) -> Catalog:
    """What there is to choose from: ours, and over it the folders that devbox.yaml names. Raises ConfigError with every
    mistake in them and for a folder that is not there, and what hindered the reading of one."""
    config = config or parse_config(context.config_text, file=context.config_file, defaults=context.facts)
    for index, folder in enumerate(config.catalogue):
        if folder in context.assets.absent:
            hint = "it holds tools/NAME.yaml, bases/NAME.yaml, profiles/NAME.yaml or rootfs/PART"
            raise config.source.error(("catalogue", index), f"there is no folder {shown(folder)}", hint=hint)
    for fault in context.assets.unread:
        raise fault
    return parse_catalog(context.assets.listing, context.assets.origins)


def resolve_for(context: Context, request: Request, base: str) -> Resolved:
    """What is asked for, on the base of this name: another one than that of devbox.yaml may stand in its place."""
    if base == request.resolved.base.name:
        return request.resolved
    return resolve_config(request.config, request.catalog, context.facts, base=base)


def lay_out(context: Context, request: Request, lock: Lock | None) -> Prepared:
    """Plan the image that `lock` makes of what was asked for; without one, that of a world that has everything."""
    answers = answer_by(lock) if lock else assume_answers(request.resolved)
    resolved = resolve_for(context, request, answers.base.name)
    if lock is not None:
        check_integrity(lock, resolved)
    assets = context.assets
    projects = look_at_projects(context, resolved, answers)
    rootfs = add_authorities(assets.rootfs, resolved, context.sources.ca_bundle)
    plan = make_plan(
        resolved,
        answers,
        requested_base=request.resolved.base.name,
        rootfs=rootfs,
        templates=assets.templates,
        projects=projects,
    )
    render = functools.partial(
        render_image,
        plan,
        rootfs=rootfs,
        templates=assets.templates,
        version=assets.version,
        projects=projects,
        locked=answers.packages,
        closures=answers.closures,
    )
    return Prepared(
        resolved=resolved,
        answers=answers,
        plan=plan,
        rootfs=rootfs,
        render=functools.cache(render),
        verify=request.config.verify,
        lock=lock,
        framework_checks=request.config.framework.checks,
        projects=projects,
        registry=request.config.cache.registry,
    )


def look_at_projects(context: Context, resolved: Resolved, answers: Answers) -> Mapping[str, Project]:
    """What the source of each tool built from Python is now: files of this machine may have changed since the last
    look, a commit cannot."""
    return {
        tool.name: look_at_project(context, tool.name, tool.python, answers.commits)
        for tool in resolved.tools
        if tool.python
    }


def look_at_project(context: Context, tool: str, source: PythonSource, commits: Mapping[str, str]) -> Project:
    match source.kind:
        case ProjectKind.OURS:
            return read_our_project(context.assets, source)
        case ProjectKind.FOLDER:
            return describe_tree(context.sources.read_project(source), source.location.rpartition("/")[2])
        case ProjectKind.GIT:
            return describe_commit(source, commits.get(tool) or source.revision or "")
        case ProjectKind.WHEEL:
            return describe_wheel(source, context.sources.find_wheel_digest(source))


def read_our_project(assets: Assets, source: PythonSource) -> Project:
    """A project that comes with devbox."""
    start = f"{source.location}/"
    files = {path[len(start) :]: file for path, file in assets.projects.items() if path.startswith(start)}
    return describe_tree(files, f"{source.location.rpartition('/')[2]} of devbox {assets.version}")


def assume_answers(resolved: Resolved) -> Answers:
    """The answers of a world that has everything: for looking at a plan, and for golden cases."""
    base = BaseAnswer(
        name=resolved.base.name, reference=resolved.base.image, how=Retrieval.PULL, identity=resolved.base.image
    )
    return Answers(base=base, absent=(), substitutions=())
