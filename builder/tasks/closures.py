"""Asking npm and pip what a tool takes with all that it needs: by builds of a few stages, in the base of the image.

Owns what is asked anew and what stays. npm is asked beside apt; pip afterwards, since its Python is one of the
packages. See docs/decisions/closures.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.core.canonical import bytes_id, content_id
from builder.core.lock import check_integrity
from builder.core.lock_npm import parse_package_lock
from builder.core.lock_python import BUILD, RUN, is_pinned, parse_files, parse_pinned
from builder.core.plan import plain_name
from builder.core.projects import TREE
from builder.core.render import render_npm_question, render_python_question
from builder.errors import BuildError
from builder.model import ProjectKind, TaskEnded, TaskStarted
from builder.tasks.artifacts import bring_node
from builder.tasks.base import ensure_base
from builder.tasks.layout import Request, lay_out, look_at_project
from builder.tasks.packages import explain_gone, name_question, tell_build, teller

if TYPE_CHECKING:
    from builder.core.lock import Lock
    from builder.core.lock_npm import NpmPackage
    from builder.core.lock_python import PythonPackage
    from builder.model import Project, RenderedTree, Resolved, Step
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared
    from builder.tasks.packages import Gone

# At the top of a project: what can say what it needs. Its code changes more often, and needs no other answer.
SAYS_NEEDS: Final = (".toml", ".cfg", ".txt", "setup.py")
Npm = Mapping[str, tuple["NpmPackage", ...]]  # by tool
Python = Mapping[str, tuple["PythonPackage", ...]]


def name_projects(context: Context, used: Resolved) -> Mapping[str, str]:
    """For each Python project a hash of what says what it needs. Of a repository, what is asked of it: its commit is an
    answer, and one of another commit is asked anew."""
    found: dict[str, str] = {}
    for tool in used.tools:
        if tool.python is None:
            continue
        if tool.python.kind is ProjectKind.GIT:
            told: object = [tool.python.location, tool.python.revision]
        else:
            told = _name_needs(look_at_project(context, tool.name, tool.python, {}))
        found[tool.name] = content_id([used.base.python, told])
    return found


def _name_needs(project: Project) -> object:
    files = {path: bytes_id(file.data) for path, file in project.files.items() if "/" not in path}
    return {path: digest for path, digest in files.items() if path.endswith(SAYS_NEEDS)} or project.identity


# ------------------------------------------------------------------------------------------------------------ npm


def ask_npm(context: Context, request: Request, lock: Lock, known: Lock | None) -> Npm:
    """The closure of each package. Those of `known` stay where the same package is wanted."""
    kept = {
        tool: known.npm[tool]
        for tool, package in lock.wanted.npm.items()
        if known is not None and tool in known.npm and known.wanted.npm.get(tool) == package
    }
    asked = [tool for tool in lock.wanted.npm if tool not in kept]
    if not asked:
        return kept
    prepared = lay_out(context, request, lock)
    told = _ask_npm(context, prepared, asked, newest=False)
    found = {tool: parse_package_lock(told[tool], package=lock.wanted.npm[tool]) for tool in asked}
    check_integrity(replace(lock, npm=found), prepared.resolved)
    return dict(sorted({**kept, **found}.items()))


def ask_newest(context: Context, request: Request, lock: Lock) -> Mapping[str, str]:
    """For each tool of npm the newest version that there is, whichever is wanted."""
    if not lock.wanted.npm:
        return {}
    told = _ask_npm(context, lay_out(context, request, lock), list(lock.wanted.npm), newest=True)
    return {tool: version.strip() for tool, version in told.items()}


def _ask_npm(context: Context, prepared: Prepared, asked: list[str], *, newest: bool) -> Mapping[str, str]:
    """What npm says of each tool: its lock, or the newest version."""
    tree = render_npm_question(
        prepared.plan,
        prepared.image_tree,
        asked,
        moment=context.keys.new_token(),
        newest=newest,
        templates=context.assets.templates,
    )
    bring_node(context, prepared.resolved)
    names = ", ".join(asked)
    what, file = (f"for the newest {names}", "newest") if newest else (f"what {names} needs", "package-lock.json")
    files = _ask(context, prepared, "npm", tree, {}, what)
    stages = {step.name: str(step.options["stage"]) for step in prepared.plan.steps if step.name in asked}
    return {tool: files[f"{stages[tool]}/{file}"] for tool in asked}


# --------------------------------------------------------------------------------------------------------- Python


def ask_python(context: Context, request: Request, lock: Lock, known: Lock | None) -> Python:
    """The closure of each project, `lock` having all other answers. What a project pins by hash is taken at its word,
    and that of `known` stays where the project says the same."""
    prepared = lay_out(context, request, lock)
    found: dict[str, tuple[PythonPackage, ...]] = {}
    asked = []
    for tool in lock.wanted.python:
        if known and _says_same(tool, lock, known):
            found[tool] = known.python[tool]
        elif all(is_pinned(prepared.projects[tool].files, name) for name in (RUN, BUILD)):
            files = {name: prepared.projects[tool].files[name].data.decode() for name in (RUN, BUILD)}
            found[tool] = _read(files, tool, prepared)
        else:
            asked.append(tool)
    answers = _ask_pip(context, prepared, asked) if asked else {}
    return dict(sorted({**found, **answers}.items()))


def _says_same(tool: str, lock: Lock, known: Lock) -> bool:
    return (
        tool in known.python
        and known.wanted.python.get(tool) == lock.wanted.python[tool]
        and known.commits.get(tool) == lock.commits.get(tool)
    )


def _read(files: Mapping[str, str], tool: str, prepared: Prepared) -> tuple[PythonPackage, ...]:
    """What a project pins itself, and for the rest what pip chose."""
    python = prepared.resolved.base.python

    def read(name: str, chosen: str, *, build: bool) -> tuple[PythonPackage, ...]:
        if name in files:
            return parse_pinned(files[name], python=python, where=f"{tool}: {name}", build=build)
        return parse_files(files[chosen], tool=tool, build=build)

    return (*read(RUN, "run", build=False), *read(BUILD, "build", build=True))


def _ask_pip(context: Context, prepared: Prepared, asked: list[str]) -> Python:
    tree = render_python_question(
        prepared.plan, prepared.image_tree, asked, moment=context.keys.new_token(), templates=context.assets.templates
    )
    folders = {
        f"{TREE}/{plain_name(tool.name)}": context.sources.fetch_project(
            tool.python, prepared.projects[tool.name].identity
        )
        for tool in prepared.resolved.tools
        if tool.python and tool.name in asked and not prepared.projects[tool.name].files
    }
    files = _ask(context, prepared, "pip", tree, folders, f"what {', '.join(asked)} needs")
    found = {}
    for tool in asked:
        stage = f"python-{plain_name(tool)}/"
        own = {path.removeprefix(stage): text for path, text in files.items() if path.startswith(stage)}
        found[tool] = _read(own, tool, prepared)
    return found


# ------------------------------------------------------------------------------------------------------ the builds


def _ask(
    context: Context, prepared: Prepared, whom: str, tree: RenderedTree, folders: Mapping[str, Path], what: str
) -> Mapping[str, str]:
    """The files that a build of this tree ends with."""
    engine, resolved = context.engine(), prepared.resolved
    ensure_base(context, resolved.base, prepared.answers.base, resolved.arch)
    began = context.clock.now()
    context.report(TaskStarted(name=f"ask-{whom}", text=f"ask {whom} {what}"))
    tag = name_question(context, whom)
    secrets = context.sources.host_secrets(resolved.base, teller(context))
    gone: list[Gone] = []
    try:
        engine.build(tree, folders, tag, tell_build(context, f"ask-{whom}", gone), secrets=secrets)
    except BuildError as error:
        seconds = context.clock.now() - began
        context.report(TaskEnded(name=f"ask-{whom}", text="no answer", seconds=seconds, failed=True))
        raise (explain_gone(gone) if gone else _explain(error, whom, prepared.plan.steps)) from error
    try:
        found = {file.path: file.data.decode() for file in engine.read_files(tag, lambda path: True)}
    finally:
        engine.remove_image(tag)
    seconds = context.clock.now() - began
    context.report(TaskEnded(name=f"ask-{whom}", text=f"{whom} answered", seconds=seconds))
    return found


def _explain(error: BuildError, whom: str, steps: tuple[Step, ...]) -> BuildError:
    """Told by the file that the tool comes from, where the stage that failed is its own."""
    named = (error.where or "").lstrip("[").split(" ")[0]
    step = next((step for step in steps if step.options.get("stage") == named), None)
    if step is None:
        return BuildError(
            f"{whom} cannot be asked: {error.message}",
            detail=error.detail,
            hint=error.hint or "`devbox doctor` looks at the package sources; what runs is not touched",
        )
    return BuildError(
        f"the step `{step.name}` failed: {error.message}",
        where=step.origin,
        detail=error.detail,
        hint=error.hint or f"the step is {step.summary}; change it there, or take the tool out of devbox.yaml",
    )
