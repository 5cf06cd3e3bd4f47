"""Renders a devbox.yaml the way `devbox render` does, for one fixed machine and a world that has everything.

Owns what the golden cases, the linters and the invariance test share. Nothing of the machine that runs the tests gets
in: host facts, folders, ports and the version of devbox are fixed here; only the data folders of devbox are real.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Final

from builder.adapters.assets import load_assets
from builder.core.catalog import Catalog, parse_catalog
from builder.core.config import parse_config
from builder.core.facts import HostFacts
from builder.core.lock import Lock, answer_by
from builder.core.plan import make_plan
from builder.core.projects import describe_commit, describe_tree, describe_wheel
from builder.core.render import render_compose, render_image
from builder.core.resolve import resolve_config
from builder.core.service import Site, make_service
from builder.model import Assets, Plan, Project, ProjectKind, PythonSource, RenderedFile, RenderedTree, Resolved
from builder.tasks.layout import assume_answers, read_our_project

VERSION: Final = "0.0.0"
FACTS: Final = HostFacts(
    folder="my-app",
    workspace="/home/me/my-app",
    home="/home/me",
    uid=1000,
    gid=1000,
    arch="amd64",
    timezone="Europe/Berlin",
)
SECRETS: Final = "/home/me/.local/state/devbox/my-app/secrets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    resolved: Resolved
    plan: Plan
    tree: RenderedTree
    compose: str

    @property
    def dockerfile(self) -> str:
        return self.tree["Dockerfile"].data.decode()


@functools.cache
def assets() -> Assets:
    return replace(load_assets(), version=VERSION)


@functools.cache
def catalog() -> Catalog:
    return parse_catalog(assets().listing)


def resolve(text: str | None, *, base: str | None = None, facts: HostFacts = FACTS) -> Resolved:
    return resolve_config(parse_config(text, file="devbox.yaml", defaults=facts), catalog(), facts, base=base)


def look_at(source: PythonSource) -> Project:
    """What a source is in a world that has everything: our own project as it is, one file of any other."""
    match source.kind:
        case ProjectKind.OURS:
            return read_our_project(assets(), source)
        case ProjectKind.FOLDER:
            return describe_tree({"pyproject.toml": RenderedFile(data=b"")}, source.location.rpartition("/")[2])
        case ProjectKind.GIT:
            return describe_commit(source, source.revision or "")
        case ProjectKind.WHEEL:
            return describe_wheel(source, "0" * 64)


def render(text: str | None, *, facts: HostFacts = FACTS, lock: Lock | None = None) -> Rendered:
    """The image and the service of `text`, with what `lock` answers, or else on the base that it asks for. Raises
    ConfigError where it is refused."""
    asked = resolve(text, facts=facts)
    answers = answer_by(lock) if lock else assume_answers(asked)
    resolved = resolve(text, base=answers.base.name, facts=facts)
    projects = {tool.name: look_at(tool.python) for tool in resolved.tools if tool.python}
    plan = make_plan(
        resolved,
        answers,
        requested_base=asked.base.name,
        rootfs=assets().rootfs,
        templates=assets().templates,
        projects=projects,
    )
    tree = render_image(
        plan,
        rootfs=assets().rootfs,
        templates=assets().templates,
        version=VERSION,
        projects=projects,
        locked=answers.packages,
        closures=answers.closures,
    )
    ports = {port.name: port.host for port in resolved.runtime.ports}
    site = Site(workspace=facts.workspace, secrets_dir=SECRETS, ports=ports)
    spec = make_service(plan, resolved.runtime, site, assets().service)
    compose = render_compose(spec, templates=assets().templates, version=VERSION)["compose.yaml"].data.decode()
    return Rendered(resolved=resolved, plan=plan, tree=tree, compose=compose)
