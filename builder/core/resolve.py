"""From what was asked (Config) and what is offered (Catalog) to a Resolved: defaults filled in, names looked up.

Owns the translation of catalogue entries to the nouns of `model`. Must not ask the world: what cannot be known without
it (digests, what is reachable) stays a question for the lock phase.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.network import OLDEST, through_mirror, through_registry
from builder.core.problems import Problem, choose_hint, make_error, shown
from builder.core.runtime import expand_path, resolve_runtime, switched_off
from builder.core.selection import Selection, Selector
from builder.core.sidecars import resolve_sidecars
from builder.model import (
    ArchiveSource,
    Base,
    Check,
    Level,
    NpmSource,
    ProjectKind,
    PythonSource,
    Resolved,
    ResolvedTool,
    UnpackRule,
    WheelSource,
)

if TYPE_CHECKING:
    from builder.core.catalog import BaseFile, Catalog, ToolFile, Unpack
    from builder.core.config import Config
    from builder.core.facts import HostFacts

FRAMEWORK_PREFIX: Final = "/opt/framework"

__all__ = ["FRAMEWORK_PREFIX", "resolve_config"]


def resolve_config(config: Config, catalog: Catalog, facts: HostFacts, *, base: str | None = None) -> Resolved:
    """Choose tools, versions, ports and mounts. `base` resolves for another base than the config's: a substitute.

    Raises ConfigError with everything that is wrong, at its place in devbox.yaml.
    """
    base_name = base or config.base.name
    problems = list(_unknown_names(config, catalog, base_name))
    if problems:
        raise make_error(problems)
    base_file, profile = catalog.bases[base_name], catalog.profiles[config.profile]
    selector = Selector(config, catalog, profile, base_file, base_name)
    selection = selector.select()
    maker = _ToolMaker(config=config, catalog=catalog, facts=facts, base=base_file, base_name=base_name)
    tools = tuple(_make_tools(maker, selection, selector.problems))
    sidecars = resolve_sidecars(config, catalog.sidecars, catalog.sources, selector.problems)
    runtime = resolve_runtime(config, facts, tools, sidecars, selector.problems)
    selector.problems.extend(_source_problems(config, catalog))
    selector.problems.extend(_moment_problems(config, base_file))
    if selector.problems:
        raise make_error(sorted(dict.fromkeys(selector.problems), key=lambda problem: problem.place))
    substitute = base_file.substitute if config.base.substitute else None
    make_base = functools.partial(_make_base, config)
    return Resolved(
        profile=config.profile,
        base=make_base(base_name, base_file, config.base.image if base is None else None),
        substitute=make_base(substitute, catalog.bases[substitute], None) if substitute else None,
        arch=facts.arch,
        user=config.user.name,
        locale=config.locale,
        tools=tools,
        runtime=runtime,
        budget={**profile.budgets, **config.budgets},
        substitutions=selection.substitutions,
    )


def _unknown_names(config: Config, catalog: Catalog, base: str) -> Iterator[Problem]:
    if config.profile not in catalog.profiles:
        hint = choose_hint(config.profile, catalog.profiles)
        yield config.source.problem(("profile",), f"unknown profile {shown(config.profile)}", hint=hint)
    if base not in catalog.bases:
        path = ("base", "name") if ("base", "name") in config.source.values else ("base",)
        yield config.source.problem(path, f"unknown base {shown(base)}", hint=choose_hint(base, catalog.bases))


def _source_problems(config: Config, catalog: Catalog) -> Iterator[Problem]:
    archives = [name for name, tool in catalog.tools.items() if tool.archive]
    for name in config.sources:
        if name not in archives:
            message = f"{shown(name)} is no tool that comes from an archive"
            yield config.source.problem(("sources", name), message, hint=choose_hint(name, archives), of_key=True)


def _moment_problems(config: Config, base: BaseFile) -> Iterator[Problem]:
    moment, oldest = config.apt.snapshot, OLDEST.get(base.distribution, "")
    if moment is not None and moment < oldest:
        message = f"there are no snapshots of {base.distribution.capitalize()} from before {oldest}"
        yield config.source.problem(("apt", "snapshot"), message, hint="choose a later moment, or another `base`")


def _make_base(config: Config, name: str, file: BaseFile, image: str | None) -> Base:
    return Base(
        name=name,
        distribution=file.distribution,
        codename=file.codename,
        image=image or file.image,
        components=file.components,
        keyring=file.keyring,
        python=file.python,
        substitute=file.substitute,
        supported_until=file.supported_until,
        source=through_registry(image or file.image, config.mirrors.images) if config.mirrors.images else "",
        snapshot=config.apt.snapshot or "",
    )


def _make_tools(maker: _ToolMaker, selection: Selection, problems: list[Problem]) -> Iterator[ResolvedTool]:
    installed: set[str] = set()
    for name, version in selection.versions.items():
        tool = maker.make(name, version, selection, problems)
        installed.update(tool.apt)
        yield tool
    for package in sorted(set(maker.config.apt.packages) - installed):
        summary = f"Debian package {package}"
        yield ResolvedTool(name=f"apt:{package}", summary=summary, version=None, from_profile=False, apt=(package,))
    problems.extend(_npm_clashes(maker.config))
    for entry in sorted(set(maker.config.npm)):
        yield _npm_extra(entry)
    if (framework := _framework(maker.config, maker.facts)) is not None:
        yield framework


def _framework(config: Config, facts: HostFacts) -> ResolvedTool | None:
    """The framework that devbox.yaml brings, as a tool; the bundled one is a tool of the catalogue."""
    asked = config.framework
    if asked.npm is not None:
        return _npm_tool("framework:npm", asked.npm, FRAMEWORK_PREFIX)
    if asked.path is not None:
        kind, location = ProjectKind.FOLDER, expand_path(asked.path, facts)
    elif asked.wheel is not None:
        kind, location = ProjectKind.WHEEL, expand_path(asked.wheel, facts)
    elif asked.git is not None:
        kind, location = ProjectKind.GIT, asked.git
    else:
        return None
    source = PythonSource(kind=kind, location=location, revision=asked.rev, prefix=FRAMEWORK_PREFIX)
    summary = f"the framework of {asked.path or asked.wheel or asked.git}"
    return ResolvedTool(
        name=f"framework:{asked.source}", summary=summary, version=None, from_profile=False, python=source
    )


def _npm_clashes(config: Config) -> Iterator[Problem]:
    """Packages that would share a folder: two versions of one, or names that differ in signs only."""
    taken: dict[str, str] = {}
    for index, entry in enumerate(config.npm):
        first = taken.setdefault(npm_prefix(entry.rpartition("@")[0]), entry)
        if first != entry:
            message = f"{shown(entry)} and {shown(first)} would share a folder"
            yield config.source.problem(("npm", index), message, hint="keep one of them")


def npm_prefix(package: str) -> str:
    return "/opt/npm/" + re.sub(r"[^a-z0-9.-]+", "-", package).strip("-")


def _npm_extra(entry: str) -> ResolvedTool:
    package = entry.rpartition("@")[0]
    return _npm_tool(f"npm:{package}", entry, npm_prefix(package))


def _npm_tool(name: str, entry: str, prefix: str) -> ResolvedTool:
    package, _, version = entry.rpartition("@")
    npm = NpmSource(package=package, version=version, prefix=prefix, links={}, prune=(), integrity=None)
    return ResolvedTool(
        name=name,
        summary=f"npm package {package}",
        version=version,
        from_profile=False,
        npm=npm,
        path=(f"{prefix}/bin",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToolMaker:
    """Translates catalogue entries for one base and architecture."""

    config: Config
    catalog: Catalog
    facts: HostFacts
    base: BaseFile
    base_name: str

    def make(self, name: str, version: str | None, selection: Selection, problems: list[Problem]) -> ResolvedTool:
        tool = self.catalog.tools[name]
        key = selection.keys.get(name)
        words = {"version": version or "", "arch": self.facts.arch, "codename": self.base.codename}
        off = switched_off(self.config)
        checks = tool.checks if Level(self.config.security.level) in tool.levels else ()
        wheel = self._wheel(tool, key, words)
        if wheel and not wheel.sha256:
            message = f"{name} {version or ''}".strip() + f" cannot be had for {self.facts.arch}"
            problems.append(self.config.source.problem(("tools", name), message, hint=f"write `{name}: false`"))
        return ResolvedTool(
            name=name,
            summary=tool.summary,
            version=version,
            from_profile=name in selection.of_profile,
            origin=self.catalog.tool_source(name).file,
            apt=tuple(sorted({*tool.apt, *tool.apt_by_base.get(self.base_name, ())})),
            wheel=wheel,
            archive=self._archive(name, tool, words),
            npm=_npm(tool, key, version, words),
            python=_python(tool),
            rootfs=tool.rootfs,
            env={variable: _fill(value, words) for variable, value in sorted(tool.env.items())},
            path=tuple(_fill(entry, words) for entry in tool.path),
            ports=dict(tool.ports),
            checks=tuple(Check(**check.model_dump()) for check in checks if check.service not in off),
        )

    def _wheel(self, tool: ToolFile, key: str | None, words: Mapping[str, str]) -> WheelSource | None:
        if tool.wheel is None:
            return None
        choice = tool.versions.choices[key] if key else None
        requirement = (choice.wheel if choice else None) or tool.wheel.requirement or ""
        sums = (choice.sha256 if choice else None) or tool.wheel.sha256
        # Only the sum of this architecture: that of another one must not change the id of this image.
        fitting = {arch: sums[arch] for arch in (self.facts.arch, "any") if arch in sums}
        first = dict(list(fitting.items())[:1])
        return WheelSource(requirement=requirement, sha256=first, unpack=_unpack(tool.wheel.unpack, words))

    def _archive(self, name: str, tool: ToolFile, words: Mapping[str, str]) -> ArchiveSource | None:
        archive = tool.archive
        if archive is None:
            return None
        unpack = _unpack(archive.unpack, words)
        if archive.target:
            unpack = (UnpackRule(source="", target=_fill(archive.target, words)),)
        return ArchiveSource(
            location=self._location(name) or through_mirror(_fill(archive.url, words), self.config.mirrors.archives),
            sha256=archive.sha256,
            strip=archive.strip,
            unpack=unpack,
            fallback=archive.fallback,
        )

    def _location(self, name: str) -> str | None:
        """Where the config says that the archive of a tool is: an address, or a path made absolute."""
        given = self.config.sources.get(name)
        if given is None or given.startswith(("http://", "https://")):
            return given
        return expand_path(given, self.facts)


def _npm(tool: ToolFile, key: str | None, version: str | None, words: Mapping[str, str]) -> NpmSource | None:
    if tool.npm is None:
        return None
    choice = tool.versions.choices[key] if key else None
    return NpmSource(
        package=tool.npm.package,
        version=version or "",
        prefix=_fill(tool.npm.prefix, words),
        links={command: _fill(path, words) for command, path in sorted(tool.npm.links.items())},
        prune=tuple(_fill(path, words) for path in tool.npm.prune),
        integrity=(choice.integrity if choice else None) or tool.npm.integrity,
    )


def _python(tool: ToolFile) -> PythonSource | None:
    if tool.python is None:
        return None
    return PythonSource(kind=ProjectKind.OURS, location=tool.python.project, prefix=tool.python.prefix)


def _unpack(rules: tuple[Unpack, ...], words: Mapping[str, str]) -> tuple[UnpackRule, ...]:
    return tuple(UnpackRule(source=_fill(rule.source, words), target=_fill(rule.target, words)) for rule in rules)


def _fill(text: str, words: Mapping[str, str]) -> str:
    """Replace {version}, {arch} and {codename}; catalogue parsing has made sure that there are no others."""
    return re.sub(r"\{(version|arch|codename)\}", lambda match: words[match.group(1)], text)
