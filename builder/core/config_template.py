"""The devbox.yaml that `devbox init` writes: short, commented, and valid.

Owns the words of that file. Values are emitted as YAML scalars, never pasted, so that no answer can change its shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from builder.core.source import FORBIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class InitAnswers:
    """What `init` asked. None, and a tool without a version, leave the default in place and say it in a comment."""

    name: str
    profile: str = "workstation"
    base: str = "ubuntu-22.04"
    geometry: str | None = None
    server: str | None = None
    tools: Mapping[str, str | None] = field(default_factory=dict)  # name -> version
    apt: tuple[str, ...] = ()


def render_config_template(answers: InitAnswers) -> str:
    """The text of devbox.yaml; `parse_config` reads it back to these answers."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: InitAnswers) -> Iterator[str]:
    yield "# devbox.yaml: what this workstation is. Any key may be left out; then its default holds."
    yield "# `devbox config` shows all of them filled in, `devbox up` makes it so."
    yield ""
    yield f"name: {_scalar(answers.name)}"
    yield f"profile: {_scalar(answers.profile)}".ljust(30) + "# workstation (a full desktop) or headless"
    yield f"base: {_scalar(answers.base)}".ljust(30) + "# or ubuntu-24.04, debian-11, debian-12, debian-13"
    yield ""
    yield "# Tools beside those of the profile, or other versions of them. `false` leaves one out."
    yield from _tools(answers.tools)
    yield ""
    yield "# More packages: Debian's by name, npm's with their exact version."
    yield f"apt: [{', '.join(map(_scalar, answers.apt))}]" if answers.apt else "# apt: [htop, tmux]"
    yield "# npm: [typescript@5.4.5]"
    yield "# framework: {path: ./tools}     # in place of the bundled one; `none` leaves it out"
    yield ""
    yield from _desktop(answers)
    yield ""
    yield "# Ports of this machine. A busy one is replaced by the next free one, unless it is pinned."
    yield "# ports:"
    yield "#   vnc: 5901"
    yield "#   web: {host: 6080, pinned: true}"
    yield '#   dev: [3000, "8080:5173"]    # the same port, or "host:workstation"'
    yield ""
    yield "# expose: true                 # the web desktop for other machines, by TLS and with a login"
    yield ""
    yield "# environment: {EDITOR: vim}"
    yield "# mounts: [{source: ./data, target: /home/dev/data}]"
    yield "# resources: {memory: 4g, cpus: 2}"
    yield ""
    yield "# dev: the user is root by sudo. locked, for a machine that is shared: nobody inside is root."
    yield "# security: locked"


def _tools(tools: Mapping[str, str | None]) -> Iterator[str]:
    yield "tools:" if tools else "# tools:"
    for name, version in sorted(tools.items()):
        yield f"  {_scalar(name)}: {_scalar(version) if version is not None else 'true'}"
    if not tools:
        yield "#   node: 20"


def _desktop(answers: InitAnswers) -> Iterator[str]:
    if answers.server is None and answers.geometry is None:
        yield "# desktop: {geometry: 1920x1080, dpi: 96, server: tigervnc}"
        return
    yield "desktop:"
    if answers.geometry is not None:
        yield f"  geometry: {_scalar(answers.geometry)}"
    if answers.server is not None:
        yield f"  server: {_scalar(answers.server)}"


def _scalar(text: str) -> str:
    """Text as a YAML scalar. Plain where it cannot be read in another way, else in double quotes, as JSON writes it."""
    plain = text.isascii() and text.replace("-", "a").replace("_", "a").replace(".", "a").isalnum()
    if (
        plain
        and text[0].isalpha()
        and text.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    ):
        return text
    return json.dumps(text, ensure_ascii=FORBIDDEN.search(text) is not None)
