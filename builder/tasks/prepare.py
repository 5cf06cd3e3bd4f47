"""From the folder to a plan: read, resolve, ask the world what it has, lay out the build, render.

Every verb that needs to know the plan goes through `prepare`. Changes nothing but what the workspace remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from builder.core.canonical import content_id
from builder.core.catalog import Catalog, parse_catalog
from builder.core.config import Config, Verify, parse_config
from builder.core.plan import make_plan
from builder.core.projects import describe_commit, describe_tree, describe_wheel
from builder.core.render import render_compose, render_image
from builder.core.resolve import resolve_config
from builder.core.service import Site, make_service
from builder.errors import EngineError, HostError
from builder.model import (
    Answers,
    Assets,
    BaseAnswer,
    Keys,
    Note,
    Plan,
    PortRequest,
    Project,
    ProjectKind,
    PythonSource,
    RenderedTree,
    Resolved,
    ResolvedTool,
    Retrieval,
    Runtime,
    ServiceSpec,
    State,
    StepProgress,
    Substitution,
)
from builder.tasks.base import answer_base

if TYPE_CHECKING:
    from builder.core.own_checks import OwnCheck
    from builder.tasks.interfaces import Context, Progress


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
    image_tree: RenderedTree
    verify: Verify  # the checks of one's own
    framework_checks: tuple[OwnCheck, ...] = ()
    projects: Mapping[str, Project] = field(default_factory=dict)  # of the tools that are built from Python source


def read_request(context: Context) -> Request:
    """Parse and resolve devbox.yaml. Raises ConfigError with every mistake at once."""
    config = parse_config(context.config_text, file=context.config_file, defaults=context.facts)
    catalog = parse_catalog(context.assets.listing)
    return Request(config=config, catalog=catalog, resolved=resolve_config(config, catalog, context.facts))


def prepare(context: Context, *, ask: bool = True, again: bool = False) -> Prepared:
    """Plan and render the image. `ask=False` takes the requested base as given; `again` forgets earlier answers."""
    request = read_request(context)
    answers = _answers(context, request.resolved, again=again) if ask else assume_answers(request.resolved)
    resolved = request.resolved
    if answers.base.name != resolved.base.name:
        resolved = resolve_config(request.config, request.catalog, context.facts, base=answers.base.name)
    assets = context.assets
    projects = look_at_projects(context, resolved, answers)
    plan = make_plan(
        resolved,
        answers,
        requested_base=request.resolved.base.name,
        rootfs=assets.rootfs,
        templates=assets.templates,
        projects=projects,
    )
    tree = render_image(
        plan, rootfs=assets.rootfs, templates=assets.templates, version=assets.version, projects=projects
    )
    return Prepared(
        resolved=resolved,
        answers=answers,
        plan=plan,
        image_tree=tree,
        verify=request.config.verify,
        framework_checks=request.config.framework.checks,
        projects=projects,
    )


def look_at_projects(context: Context, resolved: Resolved, answers: Answers) -> Mapping[str, Project]:
    """What the source of each tool built from Python is now: files of this machine may have changed since the last
    look, a commit cannot."""
    return {tool.name: _look_at(context, tool.name, tool.python, answers) for tool in resolved.tools if tool.python}


def _look_at(context: Context, tool: str, source: PythonSource, answers: Answers) -> Project:
    match source.kind:
        case ProjectKind.OURS:
            return read_our_project(context.assets, source)
        case ProjectKind.FOLDER:
            return describe_tree(context.sources.read_project(source), source.location.rpartition("/")[2])
        case ProjectKind.GIT:
            return describe_commit(source, answers.commits.get(tool) or source.revision or "")
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
    return Answers(question=_question(resolved), base=base, absent=(), substitutions=())


def _question(resolved: Resolved) -> str:
    """Identifies what the world is asked; the answers hold as long as it stays the same."""
    asked: dict[str, object] = {
        "base": resolved.base,
        "substitute": resolved.substitute,
        "arch": resolved.arch,
        "archives": {tool.name: tool.archive for tool in resolved.tools if tool.archive},
    }
    if repositories := {tool.name: tool.python for tool in resolved.tools if _is_git(tool)}:
        asked["repositories"] = repositories
    return content_id(asked)


def _is_git(tool: ResolvedTool) -> bool:
    return tool.python is not None and tool.python.kind is ProjectKind.GIT


def _answers(context: Context, resolved: Resolved, *, again: bool) -> Answers:
    state = context.workspace.load_state()
    question = _question(resolved)
    if not again and state.answers is not None and _still_hold(context, state.answers, question):
        return state.answers
    base, substitutions = answer_base(context, resolved)
    missing = [item for tool in resolved.tools if (item := _reach(context, tool)) is not None]
    answers = Answers(
        question=question,
        base=base,
        absent=tuple(item.what for item in missing),
        substitutions=(*substitutions, *missing),
        commits={
            tool.name: context.sources.find_commit(tool.python)
            for tool in resolved.tools
            if tool.python and _is_git(tool)
        },
    )
    context.workspace.save_state(replace(state, answers=answers))
    return answers


def _still_hold(context: Context, answers: Answers, question: str) -> bool:
    """Whether the same is asked, and the base is where it was: one that is gone may have to come from elsewhere now."""
    if answers.question != question:
        return False
    return answers.base.how is Retrieval.BOOTSTRAP or context.engine().find_image(answers.base.reference) is not None


def _reach(context: Context, tool: ResolvedTool) -> Substitution | None:
    """Fetch an archive that has a fallback; say what stands in its place where it cannot be had."""
    if tool.archive is None or tool.archive.fallback is None:
        return None
    reason = context.sources.reach_archive(tool, download_progress(context, tool.name, "ask for its archive"))
    if reason is None:
        return None
    return Substitution(
        what=tool.name, wanted=f"{tool.name} {tool.version or ''}".strip(), got=tool.archive.fallback, reason=reason
    )


def download_progress(context: Context, name: str, text: str) -> Progress:
    def report(done: int, total: int) -> None:
        context.report(StepProgress(name=name, text=text, state="running", done=done, total=total, unit="bytes"))

    return report


# ------------------------------------------------------------------------------------------------- the service


def say_substitutions(context: Context, substitutions: tuple[Substitution, ...]) -> None:
    for item in substitutions:
        context.report(Note(text=str(item), level="warning"))


def ensure_keys(context: Context, runtime: Runtime) -> tuple[Keys, bool]:
    """The secrets of a workstation, and whether those of its web door are new. Raises ConfigError for a given
    certificate that will not do."""
    root = context.workspace.root
    renewed = context.keys.ensure_web(runtime.project, root, runtime.exposure, context.addresses())
    keys = context.keys.ensure(runtime.project, root, runtime.authorized_keys, reader=runtime.reader)
    return keys, renewed


def make_spec(context: Context, prepared: Prepared, keys: Keys, ports: dict[str, int]) -> ServiceSpec:
    site = Site(workspace=str(context.workspace.root), secrets_dir=keys.folder, ports=ports, authority=keys.authority)
    return make_service(prepared.plan, prepared.resolved.runtime, site, context.assets.service)


def render_service(context: Context, spec: ServiceSpec) -> RenderedTree:
    return render_compose(spec, templates=context.assets.templates, version=context.assets.version)


def choose_ports(context: Context, runtime: Runtime, state: State, held: set[int]) -> dict[str, int]:
    """A free host port for each, the remembered one first. `held` are those that our own container has now.

    Raises HostError for a pinned port that is busy, naming who has it.
    """
    chosen: dict[str, int] = {}
    for port in runtime.ports:
        remembered = state.ports.get(remember_as(port), port.host)
        first = port.host if port.pinned else remembered
        chosen[port.name] = _free_port(context, port, runtime.bind_of(port.name), first, held, set(chosen.values()))
    return chosen


def remember_as(port: PortRequest) -> str:
    """A port is remembered for what was asked: another wish in devbox.yaml starts afresh."""
    return f"{port.name}={port.host}"


def _free_port(context: Context, port: PortRequest, address: str, first: int, held: set[int], taken: set[int]) -> int:
    for candidate in range(first, min(first + 200, 65536)):
        if candidate not in taken and (candidate in held or context.ports.is_free(address, candidate)):
            if candidate != first:
                _say_taken(context, port, first, candidate)
            return candidate
        if port.pinned:
            raise HostError(
                f"port {candidate} is taken by {_holder(context, candidate)}, and `{port.name}` is pinned to it",
                where=context.config_file,
                hint="stop what holds it, or write `pinned: false` to get the next free one",
            )
    raise HostError(f"no free port from {first} on for {port.name}", hint=f"choose another range in ports.{port.name}")


def _say_taken(context: Context, port: PortRequest, wanted: int, got: int) -> None:
    text = f"port {wanted} ({port.name}) is taken by {_holder(context, wanted)}: {got} instead"
    context.report(Note(text=text, level="warning"))


def _holder(context: Context, port: int) -> str:
    """Who has the port: a container by its name, since the process that holds it is only the engine's proxy."""
    try:
        container = context.engine().used_ports().get(port)
    except EngineError:  # `render` needs no engine, so the name of the process has to do
        container = None
    return container or context.ports.holder(port) or "another program"
