"""The devbox.yaml that `devbox init` writes: short, commented, and valid.

Owns the words of that file. Values are emitted as YAML scalars, never pasted, so that no answer can change its shape.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from builder.core.source import FORBIDDEN

_WIDTH: Final = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class InitAnswers:
    """What `init` asked. None, and a tool without a version, leave the default in place and say it in a comment.

    `why` holds sentences by the key that they are the reason of (`base`, `tools.node`), `remarks` those about what has
    no key. `schema` is where editors find the schema of the file.
    """

    name: str
    profile: str = "workstation"
    base: str = "ubuntu-22.04"
    geometry: str | None = None
    server: str | None = None
    tools: Mapping[str, str | None] = field(default_factory=dict)  # name -> version
    apt: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()  # of dev servers
    environment: Mapping[str, str] = field(default_factory=dict)
    sidecars: tuple[str, ...] = ()  # that the folder may want: none is started unasked
    why: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    schema: str | None = None


def render_config_template(answers: InitAnswers) -> str:
    """The text of devbox.yaml; `parse_config` reads it back to these answers."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: InitAnswers) -> Iterator[str]:
    if answers.schema is not None:
        yield f"# yaml-language-server: $schema={answers.schema}"
    yield "# devbox.yaml: what this workstation is. Any key may be left out; then its default holds."
    yield "# `devbox config` shows all of them filled in, `devbox up` makes it so."
    yield ""
    yield from _remarks(answers)
    yield from _why(answers, "name")
    yield f"name: {_scalar(answers.name)}"
    yield f"profile: {_scalar(answers.profile)}".ljust(30) + "# workstation (a full desktop) or headless"
    yield from _why(answers, "base")
    yield f"base: {_scalar(answers.base)}".ljust(30) + "# or ubuntu-24.04, debian-11, debian-12, debian-13"
    yield ""
    yield "# Tools beside those of the profile, or other versions of them. `false` leaves one out."
    yield from _tools(answers)
    yield ""
    yield "# More packages: Debian's by name, npm's with their exact version."
    yield from _packages(answers)
    yield "# framework: {path: ./tools}     # in place of the bundled one; `none` leaves it out"
    yield ""
    yield from _desktop(answers)
    yield ""
    yield from _ports(answers)
    yield ""
    yield from _sidecars(answers)
    yield ""
    yield "# expose: true                 # the web desktop for other machines, by TLS and with a login"
    yield ""
    yield from _environment(answers)
    yield "# mounts: [{source: ./data, target: /home/dev/data}]"
    yield "# resources: {memory: 4g, cpus: 2}"
    yield ""
    yield "# dev: the user is root by sudo. locked, for a machine that is shared: nobody inside is root."
    yield "# security: locked"


def _remarks(answers: InitAnswers) -> Iterator[str]:
    if answers.remarks:
        yield "# Found in this folder, and not in this file:"
        for remark in answers.remarks:
            yield from _comment(remark, "# - ", "#   ")
        yield ""


def _why(answers: InitAnswers, key: str, indent: str = "") -> Iterator[str]:
    for reason in answers.why.get(key, ()):
        yield from _comment(reason, f"{indent}# ", f"{indent}#   ")


def _comment(text: str, first: str, next_: str) -> Iterator[str]:
    """What a file said, as a comment that holds nothing that would end it or that the reader refuses."""
    plain = FORBIDDEN.sub("?", text)
    yield from textwrap.wrap(plain, _WIDTH, initial_indent=first, subsequent_indent=next_, break_on_hyphens=False)


def _tools(answers: InitAnswers) -> Iterator[str]:
    yield "tools:" if answers.tools else "# tools:"
    for name, version in sorted(answers.tools.items()):
        yield from _why(answers, f"tools.{name}", "  ")
        yield f"  {_scalar(name)}: {_scalar(version) if version is not None else 'true'}"
    if not answers.tools:
        yield "#   node: 20"


def _packages(answers: InitAnswers) -> Iterator[str]:
    yield from _why(answers, "apt")
    yield f"apt: {_list(answers.apt)}" if answers.apt else "# apt: [htop, tmux]"
    yield from _why(answers, "npm")
    yield f"npm: {_list(answers.npm)}" if answers.npm else "# npm: [typescript@5.4.5]"


def _sidecars(answers: InitAnswers) -> Iterator[str]:
    yield from _why(answers, "sidecars")
    names = answers.sidecars or ("postgres", "redis")
    yield f"# sidecars: {_list(names)}".ljust(30) + " # run beside it, on its network, and come and go with it"


def _ports(answers: InitAnswers) -> Iterator[str]:
    yield "# Ports of this machine. A busy one is replaced by the next free one, unless it is pinned."
    yield "ports:" if answers.ports else "# ports:"
    yield "#   vnc: 5901"
    yield "#   web: {host: 6080, pinned: true}"
    if answers.ports:
        yield from _why(answers, "ports", "  ")
        yield f"  dev: [{', '.join(map(str, answers.ports))}]".ljust(30) + '# the same port, or "host:workstation"'
    else:
        yield '#   dev: [3000, "8080:5173"]    # the same port, or "host:workstation"'


def _environment(answers: InitAnswers) -> Iterator[str]:
    if not answers.environment:
        yield "# environment: {EDITOR: vim}"
        return
    yield from _why(answers, "environment")
    yield "environment:"
    for name, value in sorted(answers.environment.items()):
        yield f"  {_scalar(name)}: {_scalar(value)}"


def _desktop(answers: InitAnswers) -> Iterator[str]:
    if answers.server is None and answers.geometry is None:
        yield "# desktop: {geometry: 1920x1080, scale: 2, keyboard: de, server: tigervnc}"
        return
    yield "desktop:"
    if answers.geometry is not None:
        yield f"  geometry: {_scalar(answers.geometry)}"
    if answers.server is not None:
        yield f"  server: {_scalar(answers.server)}"
    yield "  # scale: 2                   # for a screen with very small dots; keyboard: de, or any layout of X"


def _list(items: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_scalar, items))}]"


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
