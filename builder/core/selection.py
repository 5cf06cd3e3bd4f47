"""Which tools a workstation has, in which version and order.

Owns the choice among what the catalogue offers: profile, slots, requirements, versions. Must not know how a tool is
installed. Problems are collected, not raised, so that a person sees all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.problems import Path, Problem, choose_hint, shown
from builder.core.versions import satisfies, version_key
from builder.model import Substitution

if TYPE_CHECKING:
    from builder.core.catalog import BaseFile, Catalog, ProfileFile, ToolFile, VersionChoice
    from builder.core.config import Config

VNC_SLOT: Final = "vnc-server"
FRAMEWORK_SLOT: Final = "framework"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The tools in install order: name -> exact version, or None where a tool has none of its own."""

    versions: Mapping[str, str | None]
    keys: Mapping[str, str]  # name -> the choice of the catalogue that was taken
    of_profile: frozenset[str]
    substitutions: tuple[Substitution, ...]


class Selector:
    """Works out a Selection and gathers what is wrong on the way in `problems`."""

    def __init__(self, config: Config, catalog: Catalog, profile: ProfileFile, base: BaseFile, base_name: str) -> None:
        self._config = config
        self._catalog = catalog
        self._profile = profile
        self._base = base
        self._base_name = base_name
        self._slots: dict[str, str] = {}
        self._removed = {name for name, choice in config.tools.items() if not choice.enabled}
        self.problems: list[Problem] = []

    def select(self) -> Selection:
        added = self._added_tools()
        self._slots = self._fill_slots(added)
        own = [name for name in (*self._profile.tools, *self._profile_slots()) if name not in self._removed]
        of_profile = self._close(own)
        names = self._close([*own, *added])
        for name in sorted(names & self._removed):
            users = sorted(user for user in names if name in self._requirements(user))
            self._complain(("tools", name), f"{name} is needed by {', '.join(users)}", "leave these out as well")
        for name in sorted(names):
            self._check_base(name)
        keys = {name: key for name in sorted(names) if (key := self._choose(name)) is not None}
        versions = {name: self._exact(name, keys.get(name)) for name in self._order(names)}
        self._check_needs(versions, keys)
        return Selection(
            versions=versions,
            keys=keys,
            of_profile=frozenset(of_profile),
            substitutions=tuple(self._substitutions(names)),
        )

    def _complain(self, path: Path, message: str, hint: str | None = None, *, of_key: bool = False) -> None:
        self.problems.append(self._config.source.problem(path, message, hint=hint, of_key=of_key))

    def _tool(self, name: str) -> ToolFile:
        return self._catalog.tools[name]

    # ---------------------------------------------------------------------------------------- which tools

    def _added_tools(self) -> list[str]:
        source = self._config.source
        for index, name in enumerate(self._config.tools):
            if name not in self._catalog.tools:
                path = ("tools", name) if ("tools", name) in source.keys else ("tools", index)
                self._complain(path, f"unknown tool {shown(name)}", choose_hint(name, self._catalog.tools), of_key=True)
        known = [name for name, choice in self._config.tools.items() if choice.enabled and name in self._catalog.tools]
        return [*known, *(name for name in self._implied_tools() if name in self._catalog.tools)]

    def _implied_tools(self) -> Iterator[str]:
        """Tools that another key of the config asks for."""
        if self._config.npm or self._config.framework.npm:
            yield "node"
        if self._config.framework.source in ("path", "git", "wheel"):
            yield "python"
        if self._config.desktop.opengl:
            yield "opengl"
        if self._config.ca_bundle.install:
            yield "own-ca"
        if not self._config.locale.startswith("C."):
            yield "locales"

    def _fill_slots(self, added: Iterable[str]) -> dict[str, str]:
        """slot -> tool: the profile's, unless the config names another one in `desktop.server` or in `tools`."""
        slots = dict(self._profile.slots)
        for name in added:
            slot = self._tool(name).provides
            if slot:
                slots[slot] = name
        server = self._config.desktop.server
        if server is None:
            return slots
        providers = self._catalog.providers(VNC_SLOT)
        listed = [name for name in added if name in providers and name != server]
        if server not in providers:
            self._complain(("desktop", "server"), f"unknown VNC server {shown(server)}", choose_hint(server, providers))
        elif listed:
            self._complain(("desktop", "server"), f"{server} and {listed[0]} exclude each other", "keep one of them")
        else:
            slots[VNC_SLOT] = server
        return slots

    def _profile_slots(self) -> list[str]:
        """The tools of the profile's slots; the framework's stays open where devbox.yaml brings another, or none."""
        bundled = self._config.framework.bundled
        return [self._slots[slot] for slot in self._profile.slots if bundled or slot != FRAMEWORK_SLOT]

    def _requirements(self, name: str) -> list[str]:
        """What a tool requires, slots replaced by the tool that fills them."""
        found = []
        for required in self._tool(name).requires:
            if required in self._catalog.tools:
                found.append(required)
            elif required in self._slots:
                found.append(self._slots[required])
            else:
                choices = ", ".join(self._catalog.providers(required))
                self._complain(("tools", name), f"{name} needs a {required}", f"add one of {choices} to `tools`")
        return found

    def _close(self, names: Iterable[str]) -> set[str]:
        """The names and all that they require, directly or not."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._requirements(name)
        return found

    def _order(self, names: set[str]) -> list[str]:
        """Requirements first; among those that could come next, by name."""
        missing = {name: {item for item in self._requirements(name) if item in names} for name in names}
        ready = sorted(name for name, items in missing.items() if not items)
        ordered: list[str] = []
        while ready:
            name = heapq.heappop(ready)
            ordered.append(name)
            for other, items in missing.items():
                if name in items:
                    items.remove(name)
                    if not items:
                        heapq.heappush(ready, other)
        return ordered

    def _check_base(self, name: str) -> None:
        """A tool whose packages are listed by base only cannot be had on the others."""
        tool = self._tool(name)
        if tool.apt_by_base and not tool.apt and self._base_name not in tool.apt_by_base:
            hint = f"{' and '.join(sorted(tool.apt_by_base))} have it: write `base: {max(tool.apt_by_base)}`"
            self._complain(("tools", name), f"{name} cannot be had on {self._base_name}", hint)

    # ------------------------------------------------------------------------------------------- versions

    def _choose(self, name: str) -> str | None:
        """The choice asked for in the config, else by the profile, else the default."""
        versions = self._tool(name).versions
        choice = self._config.tools.get(name)
        asked = choice.version if choice else None
        if asked is None:
            of_profile = self._profile.tools.get(name)
            return (of_profile.version if of_profile else None) or versions.default
        if asked in versions.choices:
            return asked
        if versions.from_base and self._base_version(versions.from_base) == asked:
            return None
        if versions.choices:
            hint = choose_hint(asked, versions.choices)
        elif versions.from_base:
            hint = f"{self._base_name} brings {self._base_version(versions.from_base)}; another base brings another one"
        else:
            hint = f"its version is the one that {self._base_name} brings: write `{name}: true`"
        path = (
            ("tools", name, "version") if ("tools", name, "version") in self._config.source.values else ("tools", name)
        )
        self._complain(path, f"{name} {asked} is not offered", hint)
        return versions.default

    def _base_version(self, what: str) -> str:
        return {"python": self._base.python}[what]

    def _exact(self, name: str, key: str | None) -> str | None:
        tool = self._tool(name)
        if tool.versions.from_base:
            return self._base_version(tool.versions.from_base)
        if key is None:
            return tool.npm.version if tool.npm else _pinned(tool.wheel.requirement if tool.wheel else None)
        return exact_version(key, tool.versions.choices[key])

    def _check_needs(self, versions: Mapping[str, str | None], keys: Mapping[str, str]) -> None:
        for name, key in keys.items():
            needs = self._tool(name).versions.choices[key].needs
            for needed, spec in needs.items():
                has = versions.get(needed)
                if has is not None and not satisfies(has, spec):
                    self._complain_about_need(name, needed, spec, has, key)

    def _complain_about_need(self, name: str, needed: str, spec: str, has: str, key: str) -> None:
        fitting = [
            option
            for option in self._tool(needed).versions.choices
            if satisfies(self._exact(needed, option) or "", spec)
        ]
        hint = f'{needed} {" or ".join(sorted(fitting, key=version_key))} would do: write `{needed}: "{fitting[0]}"`'
        written = [entry for entry in (name, needed) if entry in self._config.tools]
        path: Path = ("tools", written[0]) if written else ()
        message = f"{name} {key} needs {needed} {spec}, but {needed} is {has}"
        self._complain(path, message, hint or f"no {needed} of the catalogue would do")

    def _substitutions(self, names: set[str]) -> Iterable[Substitution]:
        for name in sorted(names):
            versions = self._tool(name).versions
            if not versions.from_base or not versions.minimum:
                continue
            has = self._base_version(versions.from_base)
            if version_key(has) < version_key(versions.minimum):
                reason = f"{base_title(self._base_name)} has no newer"
                yield Substitution(what=name, wanted=f">={versions.minimum}", got=has, reason=reason)


def exact_version(key: str, choice: VersionChoice) -> str:
    """20 -> 20.18.0, where the catalogue says so."""
    return choice.exact or _pinned(choice.wheel) or key


def _pinned(requirement: str | None) -> str | None:
    return requirement.partition("==")[2] if requirement else None


def base_title(name: str) -> str:
    """debian-11 -> Debian 11"""
    return name.replace("-", " ").capitalize()
