"""From what the files of a folder say to the answers of `devbox init`, each with its reason.

Owns the choice among what the catalogue offers. Whatever devbox.yaml would not take is left out, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from semantic_version import NpmSpec
from semantic_version import Version as NpmVersion

from builder.core.clues import CLIENTS, Clue, Kind, Style
from builder.core.config import DEFAULT_BASE, make_name, parse_config
from builder.core.config_template import InitAnswers, render_config_template
from builder.core.problems import shown
from builder.core.resolve import resolve_config
from builder.core.scrubbing import is_secret
from builder.core.selection import exact_version
from builder.core.versions import version_key
from builder.errors import ConfigError
from builder.redaction import redact

if TYPE_CHECKING:
    from builder.core.catalog import Catalog
    from builder.core.facts import HostFacts

APART: Final = "-box"  # behind the name where Docker Compose has a project of that name


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """`taken` lists what the files decided, for a question; `warnings` what could not be had as asked."""

    answers: InitAnswers
    taken: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def make_proposal(clues: Sequence[Clue], catalog: Catalog, facts: HostFacts) -> Proposal:
    """The answers that fit the folder; without any clue they are the defaults."""
    maker = _Maker(catalog, facts)
    maker.take_versions([clue for clue in clues if clue.kind is Kind.VERSION])
    for clue in clues:
        maker.take(clue)
    return maker.proposal()


@dataclass(slots=True)
class _Maker:
    """Gathers one answer after the other, with its reason."""

    catalog: Catalog
    facts: HostFacts
    answers: InitAnswers = field(init=False)
    why: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers = InitAnswers(name=make_name(self.facts.folder))

    def proposal(self) -> Proposal:
        why = {key: tuple(dict.fromkeys(reasons)) for key, reasons in self.why.items()}
        answers = replace(self.answers, why=why, remarks=tuple(dict.fromkeys(self.remarks)))
        return Proposal(answers=answers, taken=tuple(self.taken), warnings=tuple(self.warnings))

    def take(self, clue: Clue) -> None:
        match clue.kind:
            case Kind.NPM:
                self._add(clue, "npm", f"{clue.value} is the package manager of {clue.file}", clue.value)
            case Kind.PORT:
                self._take_port(clue)
            case Kind.VARIABLE:
                self._take_variable(clue)
            case Kind.SERVICE:
                self._take_service(clue)
            case Kind.SERVER:
                self._suggest(clue.value, f"{clue.file} names {clue.name}.")
            case Kind.PROJECT:
                self._keep_apart(clue)
            case Kind.REMARK:
                self.remarks.append(f"{clue.file} {clue.value}.")
            case Kind.VERSION:
                pass  # all of them at once, see `take_versions`

    # ------------------------------------------------------------------------------------------- versions

    def take_versions(self, clues: Sequence[Clue]) -> None:
        for tool in dict.fromkeys(clue.name for clue in clues):
            asked = [clue for clue in clues if clue.name == tool]
            if tool == "python":
                self._take_base(asked)
            elif tool in self.catalog.tools:
                self._take_tool(tool, asked)
            else:
                self.remarks.append(f"{_asks(asked[0])}: devbox has no tool of that name (`apt` takes packages).")

    def _take_tool(self, tool: str, asked: Sequence[Clue]) -> None:
        versions = self.catalog.tools[tool].versions
        offers = {key: exact_version(key, choice) for key, choice in versions.choices.items()}
        if not offers:
            self.remarks.append(f"{_asks(asked[0])}: its version is the one that the base brings.")
            return
        key = _choose(asked[0], offers, versions.default or min(offers, key=version_key))
        self.answers = replace(self.answers, tools={**self.answers.tools, tool: key})
        self.taken.append(f"{tool} {key} ({asked[0].file})")
        have = sorted(offers.values(), key=version_key)
        self._explain(f"tools.{tool}", f"{tool} {offers[key]}", offers[key], asked, have)

    def _take_base(self, asked: Sequence[Clue]) -> None:
        """Python is the distribution's, so its version decides on the base."""
        offers = {name: base.python for name, base in self.catalog.bases.items()}
        name = _choose(asked[0], offers, DEFAULT_BASE, nearest=False)
        self.answers = replace(self.answers, base=name)
        self.taken.append(f"{name} with Python {offers[name]} ({asked[0].file})")
        have = sorted(set(offers.values()), key=version_key)
        self._explain("base", f"{name} with Python {offers[name]}", offers[name], asked, have)

    def _explain(self, key: str, got: str, version: str, asked: Sequence[Clue], have: Sequence[str]) -> None:
        for clue in asked:
            if clue.style is Style.NEWEST or _fits(clue, version):
                self._because(key, f"{_asks(clue)}.")
                continue
            text = f"{_asks(clue)}, and the catalogue has {', '.join(have)}: {got} is taken."
            self._because(key, text)
            self.warnings.append(text)

    # ------------------------------------------------------------------------------------------- the rest

    def _take_port(self, clue: Clue) -> None:
        if not re.fullmatch(r"[0-9]{1,5}", clue.value):
            self.remarks.append(f"{clue.file} forwards {shown(clue.value)}, which is no port of the workstation.")
            return
        self._add(clue, "ports", f"{clue.file} forwards {clue.value}", int(clue.value))

    def _take_variable(self, clue: Clue) -> None:
        if "${" in clue.value:
            self.remarks.append(f"{clue.file} sets {clue.name} from a variable, which is not taken over.")
            return
        if is_secret(clue.name, clue.value) or redact(clue.value) != clue.value:
            text = f"{clue.file} sets {shown(clue.name)}, which looks like a secret: mount a file with it (`mounts`)."
            self.remarks.append(text)
            return
        environment = {**self.answers.environment, clue.name: clue.value}
        if self._accept(clue, f"the variable {clue.name}", environment=environment):
            self._because("environment", f"{clue.file} sets {clue.name}.")

    def _take_service(self, clue: Clue) -> None:
        image = clue.value.rpartition("/")[2].partition("@")[0].partition(":")[0]
        self._add(clue, "apt", f"the client of {image}, which {clue.file} starts as {clue.name}", CLIENTS[image])

        self._suggest(image, f"{clue.file} starts {image} as {clue.name}.")

    def _suggest(self, sidecar: str, reason: str) -> None:
        """As a comment, which a person makes true: a second database beside the one that there is helps nobody."""
        if sidecar in self.catalog.sidecars:
            self.answers = replace(self.answers, sidecars=tuple(sorted({*self.answers.sidecars, sidecar})))
            self._because("sidecars", reason)

    def _keep_apart(self, clue: Clue) -> None:
        """Two projects of one name share a network, and `docker compose down` of the one would take the other."""
        folder = re.sub(r"[^a-z0-9_-]", "", self.facts.folder.lower()).lstrip("_-")  # as Compose makes a name of it
        project = clue.value or folder
        if project == self.answers.name:
            self.answers = replace(self.answers, name=project[: 41 - len(APART)].rstrip("-_") + APART)
            self._because("name", f"Docker Compose calls what {clue.file} starts {project}: two of one name would mix.")
        text = f"{clue.file}: devbox does not start these services. Start them as before; "
        self.remarks.append(
            f"{text}`docker network connect {project}_default {self.answers.name}-workstation-1` lets the workstation "
            "reach each of them by its name."
        )

    def _add(self, clue: Clue, key: str, reason: str, value: str | int) -> None:
        """To a list of the answers, once."""
        so_far: tuple[str | int, ...] = getattr(self.answers, key)
        if value not in so_far:
            if not self._accept(clue, shown(value), **{key: (*so_far, value)}):
                return
            self.taken.append(f"{value} ({clue.file})")
        self._because(key, f"{reason}.")

    def _because(self, key: str, text: str) -> None:
        self.why.setdefault(key, []).append(text)

    def _accept(self, clue: Clue, what: str, **answer: object) -> bool:
        """Take an answer, if the workstation can be had with it and the others; else tell why not."""
        answers = replace(self.answers, **answer)  # type: ignore[arg-type]
        try:
            config = parse_config(render_config_template(answers), file=clue.file, defaults=self.facts)
            resolve_config(config, self.catalog, self.facts)
        except ConfigError as error:
            self.remarks.append(f"{clue.file}: {what} is not taken over: {error.message}.")
            return False
        self.answers = answers
        return True


# --------------------------------------------------------------------------------------------------- versions


def _asks(clue: Clue) -> str:
    return f"{clue.file} asks for {clue.name} {shown(clue.value)}"


def _choose(clue: Clue, offers: Mapping[str, str], default: str, *, nearest: bool = True) -> str:
    """The key of the offer that fits: the default, else the lowest. Where none fits, the nearest, or the default."""
    ordered = sorted(offers, key=lambda key: version_key(offers[key]))
    if clue.style is Style.NEWEST:
        return ordered[-1] if nearest else default
    fitting = [key for key in ordered if _fits(clue, offers[key])]
    if default in fitting or not (fitting or nearest):
        return default
    return fitting[0] if fitting else _nearest(clue, ordered, offers, default)


def _nearest(clue: Clue, ordered: Sequence[str], offers: Mapping[str, str], default: str) -> str:
    """Of the same line (20 for 20.11.1), else the next higher one, else the highest."""
    wanted = version_key(next(iter(re.findall(r"[0-9]+(?:\.[0-9]+)*", clue.value)), ""))
    if not wanted:
        return default
    same = [key for key in ordered if version_key(offers[key])[:1] == wanted[:1]]
    higher = [key for key in ordered if version_key(offers[key]) >= wanted]
    return (same or higher or [ordered[-1]])[0]


def _fits(clue: Clue, offer: str) -> bool:
    """Whether a version that is offered is what was asked for. A range that its own tool would not read fits none."""
    if clue.style is Style.PLAIN:
        return _is_part(clue.value, offer) or _is_part(offer, clue.value)
    try:
        return any(_matches(clue, version) for version in _read_as(offer))
    except (InvalidSpecifier, ValueError):
        return False


def _is_part(short: str, long: str) -> bool:
    return f"{long}.".startswith(f"{short}.")


def _read_as(offer: str) -> Iterator[str]:
    """A base states its Python as 3.11: that is any of 3.11.0 and those after it."""
    yield offer
    if offer.count(".") < 2:
        yield f"{offer}.99"


def _matches(clue: Clue, version: str) -> bool:
    if clue.style is Style.RANGE:
        return bool(NpmSpec(clue.value).match(NpmVersion.coerce(version)))
    return SpecifierSet(clue.value).contains(version)
