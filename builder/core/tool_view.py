"""What a tool of the catalogue brings, as `devbox tools` and `devbox tool show` say it. Must not choose versions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.problems import choose_hint, shown
from builder.core.versions import version_key
from builder.errors import ConfigError

if TYPE_CHECKING:
    from builder.core.catalog import Catalog, CheckFile, ToolFile

_SERVICES: Final = "usr/lib/devbox/services"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolView:
    """One tool, ready to be printed. `file` is where it lies, as the catalogue names it."""

    name: str  # of the tool
    summary: str  # in one line
    file: str  # where it is written
    profiles: tuple[str, ...]  # that have it
    provides: str | None  # the slot that it fills
    requires: tuple[str, ...]  # tools or slots
    default: str | None  # version
    versions: tuple[str, ...]  # that can be asked for
    apt: tuple[str, ...]  # packages of the distribution
    apt_by_base: Mapping[str, tuple[str, ...]]  # base -> more of them
    sources: tuple[str, ...]  # wheels, archives, npm packages
    services: tuple[str, ...]  # inside
    ports: Mapping[str, int]  # name -> port inside
    env: Mapping[str, str]  # variables
    path: tuple[str, ...]  # folders
    checks: tuple[str, ...]  # of `devbox verify`


def list_tools(catalog: Catalog, listing: Mapping[str, str]) -> tuple[ToolView, ...]:
    return tuple(view_tool(name, catalog, listing) for name in sorted(catalog.tools))


def view_tool(name: str, catalog: Catalog, listing: Mapping[str, str]) -> ToolView:
    """Raises ConfigError for a name that the catalogue lacks. `listing` holds the paths of what tools bring."""
    if name not in catalog.tools:
        raise ConfigError(f"there is no tool {shown(name)}", hint=choose_hint(name, catalog.tools))
    tool = catalog.tools[name]
    return ToolView(
        name=name,
        summary=tool.summary,
        file=catalog.tool_source(name).file,
        profiles=tuple(
            profile
            for profile, file in sorted(catalog.profiles.items())
            if name in file.tools or name in file.slots.values()
        ),
        provides=tool.provides,
        requires=tool.requires,
        default=tool.versions.default,
        versions=tuple(sorted(tool.versions.choices, key=version_key)),
        apt=tool.apt,
        apt_by_base=tool.apt_by_base,
        sources=tuple(_sources(tool)),
        services=tuple(_services(tool.rootfs, listing)),
        ports=tool.ports,
        env=tool.env,
        path=tool.path,
        checks=tuple(map(_check, tool.checks)),
    )


def _sources(tool: ToolFile) -> Iterator[str]:
    if tool.wheel:
        wheels = [tool.wheel.requirement, *(choice.wheel for choice in tool.versions.choices.values())]
        yield from (f"wheel {wheel}" for wheel in wheels if wheel)
    if tool.npm:
        yield f"npm {tool.npm.package}" + (f"@{tool.npm.version}" if tool.npm.version else "")
    if tool.archive:
        yield f"archive {tool.archive.url}"
    if tool.python:
        yield f"Python project {tool.python.project}"


def _services(parts: Sequence[str], listing: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(listing):
        for part in parts:
            name, _, file = path.removeprefix(f"images/rootfs/{part}/{_SERVICES}/").partition("/")
            if file == "run":
                yield name


def _check(check: CheckFile) -> str:
    what = {"file": check.file, "package": check.package, "service": check.service}
    words = [shlex.join(check.run)] if check.run else [f"{kind} {name}" for kind, name in what.items() if name]
    return " ".join([*words, check.version]) if check.version else " ".join(words)


def describe_tool(tool: ToolView) -> Iterator[str]:
    """The lines of `devbox tool show`; what a tool does not bring is left out."""
    yield f"{tool.name}: {tool.summary}"
    by_base = {f"apt on {base}": ", ".join(names) for base, names in sorted(tool.apt_by_base.items())}
    rows = {
        "file": tool.file,
        "profiles": ", ".join(tool.profiles),
        "provides": tool.provides or "",
        "requires": ", ".join(tool.requires),
        "versions": ", ".join(f"{key} (default)" if key == tool.default else key for key in tool.versions),
        "apt": ", ".join(tool.apt),
        **by_base,
        "from": "\n".join(tool.sources),
        "services": ", ".join(tool.services),
        "ports": ", ".join(f"{name} {port}" for name, port in sorted(tool.ports.items())),
        "environment": "\n".join(f"{name}={value}" for name, value in sorted(tool.env.items())),
        "path": ", ".join(tool.path),
        "checks": "\n".join(tool.checks),
    }
    width = max(map(len, rows))
    for name, text in rows.items():
        for number, line in enumerate(text.splitlines()):
            yield f"  {name if number == 0 else '':<{width}}  {line}"
