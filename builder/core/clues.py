"""What the usual files of a folder say about the work in it: versions, packages, services, ports, variables.

Owns the formats of other tools, each read as loosely as its own tool reads it. Must not read a file itself, and must
not choose: what becomes of a clue is decided in `proposal`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import yaml

from builder.core.devcontainer import MARK
from builder.core.problems import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Services that people run beside their work, by the name of the image, and the package that holds the client.
CLIENTS: Final = {
    "mariadb": "mariadb-client",
    "mysql": "default-mysql-client",
    "postgis": "postgresql-client",
    "postgres": "postgresql-client",
    "redis": "redis-tools",
    "valkey": "redis-tools",
}
# Libraries that speak to one kind of server, and the image of it. One that speaks to many says nothing.
SERVERS: Final = {
    **dict.fromkeys(
        ("asyncpg", "pg", "pg-promise", "pg8000", "postgres", "psycopg", "psycopg2", "psycopg2-binary"), "postgres"
    ),
    **dict.fromkeys(("ioredis", "redis"), "redis"),
}
_TOOL_NAMES: Final = {"nodejs": "node"}  # asdf's names -> ours
_NODE_LINES: Final = {"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}  # names of Node's LTS lines
_MANAGERS: Final = ("bun", "pnpm", "yarn")  # any other name would be whatever npm has under it
_NEWEST: Final = frozenset({"*", "current", "latest", "lts", "lts/*", "node", "stable"})
_COMMANDS: Final = (
    "initializeCommand", "onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand",
    "postAttachCommand",
)  # fmt: skip
_NOT_TAKEN: Final = ("build", "dockerComposeFile", "mounts", "runArgs", "remoteUser", "containerUser")


class Kind(Enum):
    VERSION = "version"  # of the tool `name`
    NPM = "npm"  # a package with its version
    SERVICE = "service"  # `name`, from the image `value`
    SERVER = "server"  # that the library `name` speaks to, by the name of its image
    PROJECT = "project"  # the name of a project of Docker Compose; empty: it is called after the folder
    PORT = "port"
    VARIABLE = "variable"
    REMARK = "remark"  # what is there and has no counterpart here, in words


class Style(Enum):
    """How a version is asked for."""

    PLAIN = "plain"  # 20, v20.11.1, 3.12
    RANGE = "range"  # npm's: ^18 || >=20
    SPECIFIER = "specifier"  # Python's: >=3.10,<4
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One thing that a file says."""

    file: str
    kind: Kind
    value: str
    name: str = ""
    style: Style = Style.PLAIN


def read_clues(files: Mapping[str, str]) -> tuple[Clue, ...]:
    """All that the known files say, in their order: where two speak of one tool, the first decides."""
    told = {file: text for file, text in files.items() if not text.startswith(MARK)}  # ours says what devbox.yaml said
    return tuple(clue for file, read in _READERS.items() if file in told for clue in _try(file, read, told[file]))


def _try(file: str, read: Callable[[str, str], Iterator[Clue]], text: str) -> list[Clue]:
    try:
        return list(read(file, text))
    except (ValueError, yaml.YAMLError, RecursionError) as error:  # JSON's and TOML's errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else "nested too deep"
        return [Clue(file=file, kind=Kind.REMARK, value=f"is there and cannot be read: {reason}")]


def _version(file: str, tool: str, written: str, style: Style = Style.PLAIN) -> Clue:
    """As nvm, asdf and the features of dev containers write one."""
    text = written.strip().lower()
    if text in _NEWEST:
        return Clue(file=file, kind=Kind.VERSION, name=tool, value=text, style=Style.NEWEST)
    line = _NODE_LINES.get(text.removeprefix("lts/")) if tool == "node" else None
    value = line or (re.sub(r"^v(?=[0-9])", "", text) if style is Style.PLAIN else text)
    return Clue(file=file, kind=Kind.VERSION, name=tool, value=value, style=style)


def _lines(text: str) -> list[list[str]]:
    """The words of each line, without comments."""
    return [words for line in text.splitlines() if (words := line.partition("#")[0].split())]


def _read_node_version(file: str, text: str) -> Iterator[Clue]:
    if lines := _lines(text):
        yield _version(file, "node", lines[0][0])


def _read_python_version(file: str, text: str) -> Iterator[Clue]:
    if lines := _lines(text):
        yield _version(file, "python", lines[0][0])


def _read_tool_versions(file: str, text: str) -> Iterator[Clue]:
    for name, *versions in _lines(text):
        if versions and versions[0] != "system":
            yield _version(file, _TOOL_NAMES.get(name, name), versions[0])


def _read_package_json(file: str, text: str) -> Iterator[Clue]:
    data = _mapping(json.loads(text))
    if pinned := _mapping(data.get("volta")).get("node"):
        yield _version(file, "node", str(pinned))
    if engine := _mapping(data.get("engines")).get("node"):
        yield _version(file, "node", str(engine), Style.RANGE)
    yield from _of_libraries(file, [*_mapping(data.get("dependencies")), *_mapping(data.get("devDependencies"))])
    manager, _, version = str(data.get("packageManager") or "").partition("@")
    if not version or manager == "npm":  # npm comes with Node.js
        return
    if manager not in _MANAGERS:
        yield Clue(file=file, kind=Kind.REMARK, value=f"names the package manager {shown(manager)}, which is not taken")
        return
    version = version.partition("+")[0]  # behind it stands a hash
    # From its second version on yarn is published under another name.
    package = "@yarnpkg/cli-dist" if manager == "yarn" and not version.startswith("1.") else manager
    yield Clue(file=file, kind=Kind.NPM, name=manager, value=f"{package}@{version}")


def _read_pyproject(file: str, text: str) -> Iterator[Clue]:
    data = tomllib.loads(text)
    project = _mapping(data.get("project"))
    if asked := project.get("requires-python"):
        yield _version(file, "python", str(asked), Style.SPECIFIER)
    poetry = _mapping(_mapping(_mapping(data.get("tool")).get("poetry")).get("dependencies"))
    if asked := poetry.get("python"):
        yield _version(file, "python", str(asked), Style.RANGE)
    required = [re.split(r"[^A-Za-z0-9._-]", str(item).strip())[0] for item in _sequence(project.get("dependencies"))]
    yield from _of_libraries(file, [*required, *poetry])


def _of_libraries(file: str, names: Sequence[str]) -> Iterator[Clue]:
    for name in names:
        if server := SERVERS.get(name.lower()):
            yield Clue(file=file, kind=Kind.SERVER, name=name, value=server)


def _read_devcontainer(file: str, text: str) -> Iterator[Clue]:
    data = _mapping(json.loads(_plain_json(text)))
    yield from _of_image(file, str(data.get("image") or ""))
    for feature, options in _mapping(data.get("features")).items():
        name = feature.rpartition("/")[2].partition(":")[0]
        asked = options if isinstance(options, str) else _mapping(options).get("version")
        if name in ("node", "python"):
            yield _version(file, name, str(asked or "latest"))
        elif name not in ("common-utils", "git"):
            yield Clue(file=file, kind=Kind.REMARK, value=f"asks for the feature {shown(feature)}, which is not taken")
    for port in _sequence(data.get("forwardPorts")):
        yield Clue(file=file, kind=Kind.PORT, value=str(port))
    for variables in (data.get("containerEnv"), data.get("remoteEnv")):
        for name, value in _mapping(variables).items():
            yield Clue(file=file, kind=Kind.VARIABLE, name=name, value=str(value))
    for key in _COMMANDS:
        if key in data:
            command = data[key] if isinstance(data[key], str) else json.dumps(data[key])
            yield Clue(file=file, kind=Kind.REMARK, value=f"has {key}, which devbox does not run: {shown(command)}")
    if left := [key for key in _NOT_TAKEN if key in data]:
        yield Clue(file=file, kind=Kind.REMARK, value=f"has {', '.join(left)}, which devbox does not take over")


def _of_image(file: str, image: str) -> Iterator[Clue]:
    """The images of dev containers name a version in their tag, behind that of the image: python:1-3.12-bookworm."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    tool = "node" if name in ("node", "typescript-node", "javascript-node") else name
    pattern = {"python": r"(?:[0-9]+-)?(3\.[0-9]+)", "node": r"(?:[0-9]+-)?([0-9]{2})"}.get(tool)
    if pattern and (match := re.match(pattern, tag)):
        yield _version(file, tool, match.group(1))


def _read_compose(file: str, text: str) -> Iterator[Clue]:
    data = _mapping(yaml.safe_load(text))
    for name, service in _mapping(data.get("services")).items():
        image = str(_mapping(service).get("image") or "")
        if image.rpartition("/")[2].partition("@")[0].partition(":")[0] in CLIENTS:
            yield Clue(file=file, kind=Kind.SERVICE, name=name, value=image)
    if data.get("services"):
        yield Clue(file=file, kind=Kind.PROJECT, value=str(data.get("name") or ""))


def _plain_json(text: str) -> str:
    """JSON without what editors allow in theirs: comments, and commas behind the last item."""
    token = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
    bare = token.sub(lambda match: match.group(1) or " ", text)
    return re.sub(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', lambda match: match.group(1) or "", bare)


def _mapping(value: object) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


_READERS: Final[Mapping[str, Callable[[str, str], Iterator[Clue]]]] = {
    ".nvmrc": _read_node_version,
    ".node-version": _read_node_version,
    ".python-version": _read_python_version,
    ".tool-versions": _read_tool_versions,
    "package.json": _read_package_json,
    "pyproject.toml": _read_pyproject,
    ".devcontainer/devcontainer.json": _read_devcontainer,
    ".devcontainer.json": _read_devcontainer,
    "compose.yaml": _read_compose,
    "compose.yml": _read_compose,
    "docker-compose.yaml": _read_compose,
    "docker-compose.yml": _read_compose,
}
KNOWN_FILES: Final = tuple(_READERS)
