"""From what was asked and what the world answered to a content-addressed plan.

Owns the order of the build and the ids of its steps. Must not know how a step is written down (that is `render`) nor
how it is carried out. A new kind of step is one member of `KINDS`, one `_..._step` function here, one fragment in
templates/ and one golden case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from builder.core.canonical import bytes_id, canonical_json, content_id
from builder.core.labels import LABEL_PREFIX
from builder.core.projects import TREE
from builder.core.runtime import DEFAULT_ID
from builder.errors import RenderError
from builder.model import Answers, Level, Plan, Project, RenderedFile, Resolved, ResolvedTool, Runtime, Step

KINDS: Final = ("base", "apt", "artifact", "npm", "python", "rootfs", "configure")
PYTHON: Final = "python"  # the tool that stages of Python projects stand on
NO_PROJECTS: Final[Mapping[str, Project]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A tree that the host fetches, checks and unpacks. Builds copy it from an image of its own: as a part of what they
    are sent, it would go to the engine again with each of them."""

    image: str  # its name on the engine
    tree: str  # the folder in there; what lies below goes to `/`
    identity: str  # content id
    summary: str


def make_plan(
    resolved: Resolved,
    answers: Answers,
    *,
    requested_base: str,
    rootfs: Mapping[str, RenderedFile],
    templates: Mapping[str, str],
    projects: Mapping[str, Project] = NO_PROJECTS,
) -> Plan:
    """Lay out the build of `resolved` on the base that `answers` found.

    `rootfs` holds the files of images/rootfs by relative path, `templates` the text of every template: both can change
    the image, so both enter the ids. `projects` says what the source of each tool built from Python is.
    Raises RenderError where a tool names a rootfs part that does not exist.
    """
    steps = _make_steps(resolved, answers, rootfs, projects)
    metadata = _make_metadata(resolved)
    recipe = {name: bytes_id(text.encode()) for name, text in templates.items() if shapes_image(name)}
    plan_id = content_id({"steps": [step.id for step in steps], "metadata": metadata, "recipe": recipe})
    return Plan(
        id=plan_id,
        image=f"devbox/{resolved.profile}:{plan_id[:12]}",
        profile=resolved.profile,
        requested_base=requested_base,
        base=answers.base,
        steps=steps,
        environment=_environment(resolved),
        path=tuple(entry for tool in resolved.tools for entry in tool.path),
        # Only what follows from the id. What was asked for is the container's label: others share the image.
        labels={
            f"{LABEL_PREFIX}plan": plan_id,
            f"{LABEL_PREFIX}profile": resolved.profile,
            f"{LABEL_PREFIX}base": answers.base.name,
            f"{LABEL_PREFIX}steps": canonical_json({step.name: [step.id[:12], step.summary] for step in steps}),
        },
        substitutions=(*answers.substitutions, *resolved.substitutions),
        user=resolved.user,
        parts=tuple(rootfs_parts(resolved)),
        ports={name: port for tool in resolved.tools for name, port in tool.ports.items()},
    )


def explain_difference(before: Mapping[str, Sequence[str]], plan: Plan) -> tuple[str, ...]:
    """Say in words what a rebuild is for. `before` is the `steps` label of the image there: name -> [id, summary]."""
    now = {step.name: step for step in plan.steps}
    words = [f"{name} is new: {now[name].summary}" for name in now if name not in before]
    gone = [name for name in before if name not in now]
    words += [f"{name} is gone" for name in gone]
    changed = {step.id: name for name, step in now.items() if name not in before or before[name][0] != step.id[:12]}
    for name, step in now.items():
        if name not in before or step.id not in changed:
            continue
        was = before[name][1]
        below = [changed[parent] for parent in step.parents if parent in changed]
        why = _cause(step, below or (gone if step.kind == "configure" else []))  # which stands on all there is
        words.append(f"{name}: {was} -> {step.summary}" if was != step.summary else f"{name}: {why}")
    return tuple(words) or ("the templates of devbox, or the variables of a tool, changed",)


def explain_labels(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What differs between two images, by their labels `steps`: name -> [id, summary]."""
    words = [f"{name} is new: {after[name][1]}" for name in after if name not in before]
    words += [f"{name} is gone: {before[name][1]}" for name in before if name not in after]
    for name in (name for name in after if name in before and list(after[name]) != list(before[name])):
        was, now = before[name][1], after[name][1]
        words.append(f"{name}: {was} -> {now}" if was != now else f"{name} is that of then: {now}")
    return tuple(words)


def _cause(step: Step, below: Sequence[str]) -> str:
    match step.kind:
        case "rootfs":
            return "files of the image changed"
        case "apt" if not below and step.options.get("locked"):
            return "runs again, for other versions of its packages"
        case "python" if not below:
            return "its source changed"
        case "configure" if not below:
            return "the user, the locale or an id is another one"
        case "configure":
            return "runs again, since what it stands on changed"
        case _:
            return f"runs again, since {', '.join(below)} changed" if below else "its recipe changed"


def shapes_image(template: str) -> bool:
    return template == "Dockerfile.j2" or template.startswith("fragments/")


def _environment(resolved: Resolved) -> Mapping[str, str]:
    merged: dict[str, str] = {"LANG": resolved.locale, "DEVBOX_USER": resolved.user}
    for tool in resolved.tools:
        merged.update(tool.env)
    return dict(sorted(merged.items()))


def _make_metadata(resolved: Resolved) -> Mapping[str, object]:
    return {
        "environment": _environment(resolved),
        "path": [entry for tool in resolved.tools for entry in tool.path],
        "ports": sorted(port for tool in resolved.tools for port in tool.ports.values()),
        "profile": resolved.profile,
    }


def _make_steps(
    resolved: Resolved, answers: Answers, rootfs: Mapping[str, RenderedFile], projects: Mapping[str, Project]
) -> tuple[Step, ...]:
    base = _step(
        "base",
        "base",
        answers.base.name,
        f"images/bases/{answers.base.name}.yaml",
        {"reference": answers.base.reference},
        identity=answers.base.identity,
    )
    apt = _apt_steps(resolved, base, answers.packages)
    artifacts = [_artifact_step(tool) for tool in resolved.tools if has_artifact(tool, answers)]
    node = next((step for step in artifacts if step.name == "node"), None)
    npm = [_npm_step(tool, base, node, answers.closures.get(tool.name)) for tool in resolved.tools if tool.npm]
    below = next((step for step in reversed(apt) if step.options.get("shared")), None)
    python = [
        _python_step(tool, below, projects[tool.name], answers.closures.get(tool.name))
        for tool in resolved.tools
        if tool.python
    ]
    files = _rootfs_step(resolved, rootfs)
    built_in = _built_in_id(resolved.runtime)
    ids = "".join(f", {key} {value}" for key, value in built_in.items())
    configure = _step(
        "configure",
        "configure",
        f"user, caches and desktop settings made at build time{ids}",
        "images/rootfs",
        {"user": resolved.user, "locale": resolved.locale, **built_in},
        parents=[*apt, *artifacts, *npm, *python, files],
    )
    return (base, *apt, *artifacts, *npm, *python, files, configure)


def _built_in_id(runtime: Runtime) -> Mapping[str, object]:
    """At the level `locked` nobody inside can change an id: one that the image does not have by itself is built in."""
    if runtime.level is not Level.LOCKED or (runtime.uid, runtime.gid) == (DEFAULT_ID, DEFAULT_ID):
        return {}
    return {"uid": runtime.uid, "gid": runtime.gid}


def group_packages(resolved: Resolved) -> Mapping[str, tuple[str, ...]]:
    """The packages of Debian by the step that installs them. Each step stands on the one before it."""
    return {
        name: tuple(sorted({package for tool in tools for package in tool.apt}))
        for name, tools in _group_tools(resolved).items()
    }


def _group_tools(resolved: Resolved) -> Mapping[str, Sequence[ResolvedTool]]:
    """One step for the profile, one for each tool or package that a person adds."""
    groups: dict[str, list[ResolvedTool]] = {}
    ours = [tool for tool in resolved.tools if tool.from_profile]
    if any(tool.apt for tool in ours):
        groups["apt"] = ours
    for tool in resolved.tools:
        if not tool.from_profile and tool.apt:
            groups.setdefault(f"apt:{tool.name.removeprefix('apt:')}", []).append(tool)
    return groups


def _apt_steps(resolved: Resolved, base: Step, locked: Mapping[str, tuple[str, ...]]) -> list[Step]:
    """Those up to the one that brings Python are shared: the stages of Python projects stand on them, too."""
    groups, packages = _group_tools(resolved), group_packages(resolved)
    brings = [any(tool.name == PYTHON for tool in tools) for tools in groups.values()]
    steps: list[Step] = []
    for index, (name, tools) in enumerate(groups.items()):
        below = steps[-1] if steps else base
        origin = f"images/profiles/{resolved.profile}.yaml" if name == "apt" else tools[0].origin
        wanted = list(packages[name])
        options: dict[str, object] = {"packages": wanted}
        if any(brings[index:]):
            options["shared"] = True
        if resolved.base.snapshot:
            options["snapshot"] = resolved.base.snapshot
        if name in locked:
            options["locked"] = content_id(locked[name])
        summary = f"{len(wanted)} Debian packages" if len(wanted) > 3 else " ".join(wanted)
        steps.append(_step(name, "apt", summary, origin, options, parents=[below]))
    return steps


def has_artifact(tool: ResolvedTool, answers: Answers) -> bool:
    """Whether the host fetches something for it."""
    return tool.wheel is not None or (tool.archive is not None and tool.name not in answers.absent)


def find_artifact(tool: ResolvedTool) -> Artifact:
    """Raises RenderError for a tool that has none."""
    if tool.wheel is not None:
        what: object = tool.wheel
        summary = tool.wheel.requirement.replace("==", " ")
    elif tool.archive is not None:
        # Where the archive came from does not change the image: its checksum says what is in it.
        what = {"sha256": tool.archive.sha256, "strip": tool.archive.strip, "unpack": tool.archive.unpack}
        summary = f"{tool.name} {tool.version or tool.archive.sha256[:12]}"
    else:
        raise RenderError(f"{tool.name} has nothing to fetch")
    identity, name = content_id(what), plain_name(tool.name)
    image = f"devbox/artifact:{name}-{identity[:12]}"
    return Artifact(image=image, tree=f"artifacts/{name}", identity=identity, summary=summary)


def _artifact_step(tool: ResolvedTool) -> Step:
    found = find_artifact(tool)
    options = {"image": found.image, "tree": found.tree}
    return _step(tool.name, "artifact", found.summary, tool.origin, options, identity=found.identity)


def _npm_step(tool: ResolvedTool, base: Step, node: Step | None, closure: Mapping[str, str] | None) -> Step:
    if tool.npm is None or node is None:
        raise RenderError(
            f"{tool.name} is installed by npm, so it needs the tool node",
            where=tool.origin,
            hint="add `requires: [node]`",
        )
    options = {
        "stage": _npm_stage(tool.name, tool.npm.prefix),
        "package": f"{tool.npm.package}@{tool.npm.version}",
        "prefix": tool.npm.prefix,
        "links": dict(tool.npm.links),
        "prune": list(tool.npm.prune),
        "node": dict(node.options),
        **_locked(closure),
    }
    return _step(tool.name, "npm", f"{tool.npm.package} {tool.npm.version}", tool.origin, options, parents=[base, node])


def _npm_stage(name: str, prefix: str) -> str:
    """Of a tool by its name, of a package of devbox.yaml by its folder: a package can be named like a tool."""
    return f"npm.{prefix.rpartition('/')[2]}" if name.startswith("npm:") else f"npm-{plain_name(name)}"


def _python_step(tool: ResolvedTool, below: Step | None, project: Project, closure: Mapping[str, str] | None) -> Step:
    if tool.python is None or below is None:
        raise RenderError(
            f"{tool.name} is installed by pip, so it needs the tool {PYTHON}",
            where=tool.origin,
            hint=f"add `requires: [{PYTHON}]`",
        )
    name = plain_name(tool.name)
    options: dict[str, object] = {"stage": f"python-{name}", "tree": f"{TREE}/{name}", "prefix": tool.python.prefix}
    options |= _locked(closure)
    return _step(tool.name, "python", project.summary, tool.origin, options, parents=[below], identity=project.identity)


def _locked(closure: Mapping[str, str] | None) -> Mapping[str, object]:
    """What the closure of a tool is known by. There is none where nobody asked the world."""
    return {} if closure is None else {"locked": content_id(closure)}


def plain_name(name: str) -> str:
    """The name of a tool as part of a path, or of a stage: framework:git -> framework-git."""
    return name.replace(":", "-")


def _rootfs_step(resolved: Resolved, rootfs: Mapping[str, RenderedFile]) -> Step:
    parts = rootfs_parts(resolved)
    known = {path.partition("/")[0] for path in rootfs}
    if unknown := [part for part in parts if part not in known]:
        raise RenderError(f"no folder images/rootfs/{unknown[0]}", hint=f"the parts are {', '.join(sorted(known))}")
    files = {path: file for path, file in rootfs.items() if path.partition("/")[0] in parts}
    identity = content_id({path: [bytes_id(file.data), file.executable] for path, file in files.items()})
    summary = f"{len(files)} files of devbox"
    return _step("rootfs", "rootfs", summary, "images/rootfs", {"parts": parts}, identity=identity)


def rootfs_parts(resolved: Resolved) -> list[str]:
    """The folders of images/rootfs that this workstation takes, sorted."""
    return sorted({part for tool in resolved.tools for part in tool.rootfs})


def _step(
    name: str,
    kind: str,
    summary: str,
    origin: str,
    options: Mapping[str, object],
    *,
    parents: Sequence[Step] = (),
    identity: str = "",
) -> Step:
    parent_ids = tuple(parent.id for parent in parents)
    step_id = content_id({"kind": kind, "options": options, "identity": identity, "parents": parent_ids})
    return Step(name=name, kind=kind, id=step_id, summary=summary, origin=origin, options=options, parents=parent_ids)
