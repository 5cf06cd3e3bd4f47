"""The catalogue: tools, bases, profiles and sidecars as their authors write them in images/.

Owns the shape of these files and the references between them. Must not choose anything: that is `resolve`. Loading is
done elsewhere; here come texts by path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import BeforeValidator, Field

from builder.core.fields import (  # noqa: TC001  # pydantic reads annotations at run time
    AptPackages,
    CatalogueName,
    ContainerPath,
    EnvironmentName,
    FreeText,
    ImageReference,
    Name,
    NpmName,
    Version,
)
from builder.core.problems import Problem, Source, choose_hint, make_error, shown
from builder.core.sidecars import SidecarFile, file_problems
from builder.core.source import parse_source
from builder.core.validation import NUMBER, WHOLE, HexDigest, Section, Text, as_list, check, describe, one_of, wrong
from builder.core.versions import SPEC_PATTERN
from builder.errors import ConfigError
from builder.model import Level

PLACEHOLDERS: Final = ("version", "arch", "codename")

Port = Annotated[int, Field(ge=1024, le=65535), WHOLE]
Specifier = Annotated[str, Text("a version specifier", SPEC_PATTERN, 60, ">=2.25")]
Requirement = Annotated[
    str, Text("a wheel with its exact version", r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*", 120, "name==1.2.3")
]
Arch = Annotated[str, one_of("an architecture", "amd64", "arm64", "any")]
RelativePath = Annotated[str, Text("a path inside", r"(?!/)(?!(?:.*/)?\.\.(?:/|$)).*", 300)]
Summary = Annotated[str, Text("a summary on one line", r".+", 120)]
Part = Annotated[str, Text("a folder of images/rootfs", r"[a-z0-9][a-z0-9-]*", 60)]
Integrity = Annotated[str, Text("an integrity as npm writes it", r"sha512-[A-Za-z0-9+/]{86}==", 95)]
Day = Annotated[str, Text("a day", r"20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", 10, "2027-06-01")]
Location = Annotated[str, Text("an address or a path", r"[^\s]+", 500)]


class VersionChoice(Section):
    """One version that can be asked for. `exact` is the full version where the key is shorter, as 18 for 18.18.2."""

    exact: Version | None = None
    wheel: Requirement | None = None
    sha256: dict[Arch, HexDigest] = Field(default_factory=dict)
    integrity: Integrity | None = None
    needs: dict[CatalogueName, Specifier] = Field(default_factory=dict)


class Versions(Section):
    """Either choices with a default, or `from_base`: the version that the base ships, at least `minimum`."""

    default: Version | None = None
    choices: dict[Version, VersionChoice] = Field(default_factory=dict)
    from_base: Annotated[str, one_of("something that base files state the version of", "python")] | None = None
    minimum: Version | None = None


class Unpack(Section):
    source: RelativePath = Field(default="", alias="from")
    target: ContainerPath = Field(alias="to")


class WheelFile(Section):
    """A wheel of PyPI that is unpacked. Requirement and sha256 may stand with the version choices instead."""

    requirement: Requirement | None = None
    sha256: dict[Arch, HexDigest] = Field(default_factory=dict)
    unpack: tuple[Unpack, ...] = Field(min_length=1)


class NpmFile(Section):
    """A package of npm. Its version is the chosen one, or `version` for a tool without choices."""

    package: NpmName
    version: Version | None = None
    integrity: Integrity | None = None
    prefix: ContainerPath
    prune: tuple[RelativePath, ...] = ()
    links: dict[Annotated[str, Text("a command", r"[A-Za-z0-9][A-Za-z0-9._-]*", 60)], RelativePath] = Field(
        default_factory=dict
    )


class PythonFile(Section):
    """A Python project of this repository, installed with what it depends on into an environment at `prefix`."""

    project: Annotated[str, Text("a folder of images/frameworks", r"images/frameworks/[a-z0-9][a-z0-9._-]*", 120)]
    prefix: ContainerPath


class ArchiveFile(Section):
    """A tar archive; `to` takes all of it, `unpack` some parts."""

    url: Location
    sha256: HexDigest
    strip: Annotated[int, Field(ge=0, le=9), WHOLE] = 0
    target: ContainerPath | None = Field(default=None, alias="to")
    unpack: tuple[Unpack, ...] = ()
    fallback: FreeText | None = None


class CheckFile(Section):
    """One check of `devbox verify`: a command and its version, a file, a package, or a service."""

    run: Annotated[tuple[FreeText, ...], BeforeValidator(as_list)] = ()
    version: Specifier | None = None
    file: ContainerPath | None = None
    package: CatalogueName | None = None
    service: Part | None = None


class ToolFile(Section):
    """images/tools/<name>.yaml"""

    summary: Summary  # in one line
    requires: tuple[CatalogueName, ...] = ()  # tools, or slots that some tool provides
    provides: CatalogueName | None = None  # a slot, of which a workstation has one tool at most
    apt: AptPackages = ()  # packages of the distribution
    apt_by_base: dict[CatalogueName, AptPackages] = Field(default_factory=dict)  # base -> more of them
    versions: Versions = Versions()  # what can be asked for, with a default; or from_base
    wheel: WheelFile | None = None  # a wheel of PyPI that is unpacked
    npm: NpmFile | None = None  # a package of npm
    python: PythonFile | None = None  # a Python project of images/frameworks
    archive: ArchiveFile | None = None  # a tar archive by address and SHA-256
    rootfs: tuple[Part, ...] = ()  # folders of images/rootfs that it brings
    env: dict[EnvironmentName, FreeText] = Field(default_factory=dict)  # variables for everything inside
    path: tuple[ContainerPath, ...] = ()  # folders before the usual ones
    ports: dict[Name, Port] = Field(default_factory=dict)  # name -> port inside
    checks: tuple[CheckFile, ...] = ()  # of `devbox verify`: run, file, package or service
    levels: tuple[Level, ...] = tuple(Level)  # where it can do its work; elsewhere nothing of it is checked


class BaseFile(Section):
    """images/bases/<name>.yaml"""

    summary: Summary = "a distribution release"  # in one line
    distribution: Annotated[str, one_of("a distribution", "debian", "ubuntu")]  # debian or ubuntu
    codename: Annotated[str, Text("a code name", r"[a-z]+", 30)]  # of the release
    image: ImageReference  # what is pulled
    components: tuple[Annotated[str, Text("a component", r"[a-z-]+", 30)], ...] = ("main",)  # of its archive
    # what its archive is signed by
    keyring: Annotated[str, Text("the name of a keyring file", r"[a-z0-9][a-z0-9.-]*\.(?:gpg|asc|pgp)", 80)]
    python: Version  # the version that it ships
    substitute: CatalogueName | None = None  # the base that may stand in
    supported_until: Day | None = None  # a day, for `devbox doctor`


def profile_tools(value: object) -> object:
    """A list of names, or a mapping of names to versions."""
    if not isinstance(value, (list, tuple)):
        return value
    if odd := next((item for item in value if not isinstance(item, str)), None):
        raise wrong(f"the name of a tool is expected, not {describe(odd)}", "for versions write a mapping")
    return {name: {} for name in value}


class ProfileTool(Section):
    short_form: ClassVar[str | None] = "version"
    version: Version | None = None


class ProfileFile(Section):
    """images/profiles/<name>.yaml"""

    summary: Summary  # in one line
    tools: Annotated[dict[CatalogueName, ProfileTool], BeforeValidator(profile_tools)]  # names, or names to versions
    slots: dict[CatalogueName, CatalogueName] = Field(default_factory=dict)  # slot -> the tool that fills it
    budgets: dict[Name, Annotated[float, Field(gt=0), NUMBER]] = Field(default_factory=dict)  # of `devbox verify`


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All catalogue files, checked one by one and against each other."""

    tools: Mapping[str, ToolFile]
    bases: Mapping[str, BaseFile]
    profiles: Mapping[str, ProfileFile]
    sidecars: Mapping[str, SidecarFile]
    sources: Mapping[str, Source]  # by path

    def providers(self, slot: str) -> tuple[str, ...]:
        """The tools that fill a slot, sorted."""
        return tuple(sorted(name for name, tool in self.tools.items() if tool.provides == slot))

    def tool_source(self, name: str) -> Source:
        return self.sources[f"images/tools/{name}.yaml"]


def parse_catalog(files: Mapping[str, str], origins: Mapping[str, str] = MappingProxyType({})) -> Catalog:
    """Read the catalogue from texts by path, `images/tools/git.yaml`; of images/rootfs and images/frameworks only the
    names of the folders count. `origins` says under which name a mistake in one of them is told.

    Raises ConfigError with everything that is wrong in any of them.
    """
    problems: list[Problem] = []
    sources: dict[str, Source] = {}
    texts = {path: (origins.get(path, path), text) for path, text in files.items()}
    tools = _parse_folder("tools", ToolFile, texts, sources, problems)
    bases = _parse_folder("bases", BaseFile, texts, sources, problems)
    profiles = _parse_folder("profiles", ProfileFile, texts, sources, problems)
    sidecars = _parse_folder("sidecars", SidecarFile, texts, sources, problems)
    catalog = Catalog(tools=tools, bases=bases, profiles=profiles, sidecars=sidecars, sources=sources)
    if not problems:
        problems = list(_reference_problems(catalog, _folders(files, "rootfs"), _folders(files, "frameworks")))
    if problems:
        raise make_error(problems)
    return catalog


File = TypeVar("File", bound=Section)


def _parse_folder(
    folder: str,
    model: type[File],
    files: Mapping[str, tuple[str, str]],
    sources: dict[str, Source],
    problems: list[Problem],
) -> dict[str, File]:
    """`files` holds, by path, where each lies, and its text."""
    found: dict[str, File] = {}
    for path in sorted(files):
        match = re.fullmatch(rf"images/{folder}/([^/]+)\.ya?ml", path)
        if not match:
            continue
        try:
            origin, text = files[path]
            source = parse_source(text, file=origin)
        except ConfigError as error:
            excerpt = error.detail or ""
            problems.append(
                Problem(where=error.where or files[path][0], message=error.message, excerpt=excerpt, hint=error.hint)
            )
            continue
        sources[path] = source
        parsed, wrongs = check(model, source)
        problems += wrongs
        if parsed is not None:
            found[match.group(1)] = parsed
    return found


def _folders(files: Mapping[str, str], parent: str) -> frozenset[str]:
    return frozenset(path.split("/")[2] for path in files if path.startswith(f"images/{parent}/"))


# ------------------------------------------------------------------------------------------------- references


def _reference_problems(catalog: Catalog, parts: frozenset[str], projects: frozenset[str]) -> Iterator[Problem]:
    for name, tool in catalog.tools.items():
        source = catalog.tool_source(name)
        yield from _tool_problems(tool, source, catalog)
        yield from _version_problems(tool, source)
        yield from _placeholder_problems(source)
        for index, part in enumerate(tool.rootfs):
            if part not in parts:
                yield _unknown("part of images/rootfs", part, parts, source, "rootfs", index)
        if tool.python and (project := tool.python.project.rpartition("/")[2]) not in projects:
            yield _unknown("folder of images/frameworks", project, projects, source, "python", "project")
    for name, base in catalog.bases.items():
        if base.substitute is not None and base.substitute not in catalog.bases:
            source = catalog.sources[f"images/bases/{name}.yaml"]
            yield _unknown("base", base.substitute, catalog.bases, source, "substitute")
    for name, profile in catalog.profiles.items():
        yield from _profile_problems(profile, catalog.sources[f"images/profiles/{name}.yaml"], catalog)
    for name, sidecar in catalog.sidecars.items():
        yield from file_problems(name, sidecar, catalog.sources[f"images/sidecars/{name}.yaml"])
    yield from _cycle_problems(catalog)


def _unknown(kind: str, name: str, known: object, source: Source, *path: str | int) -> Problem:
    names = [str(item) for item in known] if isinstance(known, (Mapping, frozenset, set, tuple)) else []
    return source.problem(path, f"unknown {kind} {shown(name)}", hint=choose_hint(name, names), of_key=True)


def _tool_problems(tool: ToolFile, source: Source, catalog: Catalog) -> Iterator[Problem]:
    for index, required in enumerate(tool.requires):
        if required not in catalog.tools and not catalog.providers(required):
            yield _unknown("tool", required, catalog.tools, source, "requires", index)
    for base in tool.apt_by_base:
        if base not in catalog.bases:
            yield _unknown("base", base, catalog.bases, source, "apt_by_base", base)
    for version, choice in tool.versions.choices.items():
        for needed in choice.needs:
            if needed not in tool.requires:
                path = ("versions", "choices", version, "needs", needed)
                yield source.problem(path, f"{needed} is not among what the tool requires", hint="add it to `requires`")


def _version_problems(tool: ToolFile, source: Source) -> Iterator[Problem]:
    versions = tool.versions
    if versions.choices and versions.default not in versions.choices:
        hint = choose_hint(versions.default or "", versions.choices)
        yield source.problem(("versions", "default"), "the default is none of the choices", hint=hint)
    if versions.choices and versions.from_base:
        yield source.problem(("versions", "from_base"), "choices and from_base exclude each other", of_key=True)
    choices = versions.choices.values()
    if tool.wheel and not (tool.wheel.requirement or (choices and all(choice.wheel for choice in choices))):
        yield source.problem(("wheel",), "no requirement, neither here nor with every version", of_key=True)
    if tool.wheel and not (tool.wheel.sha256 or (choices and all(choice.sha256 for choice in choices))):
        yield source.problem(("wheel",), "no sha256, neither here nor with every version", of_key=True)
    if tool.npm and not (tool.npm.version or versions.choices):
        yield source.problem(("npm",), "no version, neither here nor as choices", of_key=True)
    if tool.archive and bool(tool.archive.target) == bool(tool.archive.unpack):
        yield source.problem(("archive",), "write either `to` or `unpack`", of_key=True)


def _placeholder_problems(source: Source) -> Iterator[Problem]:
    """Unknown {words} anywhere but in checks, whose commands may hold braces of their own."""
    data = source.data if isinstance(source.data, dict) else {}
    for key in ("wheel", "npm", "archive", "env", "path", "versions"):
        for path, text in _texts(data.get(key), (key,)):
            for word in re.findall(r"\{([A-Za-z_]+)\}", text):
                if word not in PLACEHOLDERS:
                    yield _unknown("placeholder", word, PLACEHOLDERS, source, *path)


def _texts(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for key, item in node.items():
            yield from _texts(item, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, (*path, index))


def _profile_problems(profile: ProfileFile, source: Source, catalog: Catalog) -> Iterator[Problem]:
    for position, (name, wanted) in enumerate(profile.tools.items()):
        listed = ("tools", name) if ("tools", name) in source.keys else ("tools", position)
        if name not in catalog.tools:
            yield _unknown("tool", name, catalog.tools, source, *listed)
        elif wanted.version and wanted.version not in catalog.tools[name].versions.choices:
            yield _unknown("version", wanted.version, catalog.tools[name].versions.choices, source, *listed)
    for slot, name in profile.slots.items():
        if name not in catalog.providers(slot):
            yield _unknown(f"tool for the slot {slot}", name, catalog.providers(slot), source, "slots", slot)


def _cycle_problems(catalog: Catalog) -> Iterator[Problem]:
    done: set[str] = set()
    for start in sorted(catalog.tools):
        cycle = _find_cycle(start, catalog, (), done)
        if cycle:
            source = catalog.tool_source(cycle[0])
            yield source.problem(("requires",), f"these require each other: {' -> '.join(cycle)}", of_key=True)
            return


def _find_cycle(name: str, catalog: Catalog, trail: tuple[str, ...], done: set[str]) -> tuple[str, ...]:
    if name in trail:
        return (*trail[trail.index(name) :], name)
    if name in done:
        return ()
    required = catalog.tools[name].requires
    below = [item for entry in required for item in ([entry] if entry in catalog.tools else catalog.providers(entry))]
    for item in below:
        if cycle := _find_cycle(item, catalog, (*trail, name), done):
            return cycle
    done.add(name)
    return ()
