"""The published schema and the parser, held to each other: what devbox takes no editor underlines, and the other way
round as far as a schema can see it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from builder.core.config import Config, config_as_dict
from builder.core.config_template import InitAnswers, render_config_template
from builder.core.schema import MODELS, make_schema
from builder.core.validation import keys_of, model_at
from builder.errors import ConfigError
from tests.unit.core.bad_cases import load_cases
from tests.unit.core.builders import make_config
from tests.unit.core.test_config import FULL

ROOT: Final = Path(__file__).resolve().parents[3]
SCHEMA: Final = make_schema()
VALIDATOR: Final = Draft202012Validator(SCHEMA)


class Loader(yaml.SafeLoader):
    """YAML 1.2 as editors read it: true and false alone are booleans, and nothing is a date or octal."""


Loader.yaml_implicit_resolvers = {}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), None)
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), None)
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), None)
Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+$"), None)


def load(text: str | bytes) -> Any:
    loader = Loader(text)
    try:
        return loader.get_single_data() or {}
    finally:
        loader.dispose()


SHORT = (
    "base: debian-12", "user: me", "tools: [git, node]", "tools: {node: 20}", "tools: {node: 1.10}", "tools: {node: }",
    "tools: {node: false}", "ports: {vnc: 6000}", "ports: {vnc: false}", "ports: {dev: 4000}",
    "ports: {dev: '8080:3000'}", "ports: {dev: false}", "ports: {dev: [3000, '8080:5173', {container: 9000}]}",
    "hooks: {on_create: npm ci}", "env_file: false",
    "dotfiles: ~/dot", "dotfiles: {path: ./dot}", "dotfiles: https://example.org/dot.git",
    "env_file: a.env", "sidecars: [redis]", "sidecars: {redis: 7, postgres: {port: 5432}}",
    "apt: htop", "npm: typescript@5.4.5", "backup: ./b", "backup: {volumes: home, exclude: .cache}",
    "tools:\ndesktop:\nname:\ntimezone:\napt:\nports:\n", "name: 42", "environment: {A: 1, B: true, C: x, D: 1.5}",
    "expose: true", "expose: 192.0.2.7", "framework: none", "framework: false", "security: locked",
    "verify: [{name: a, run: git}]", "ssh: {authorized_keys: ~/.ssh/id.pub}", "resources: {memory: 4g, cpus: 0.5}",
    "desktop: {depth: 16}", "budgets: {painted_s: 3}",
)  # fmt: skip
GOLDEN = sorted(ROOT.glob("tests/golden/*/devbox.yaml"))


@pytest.mark.parametrize("text", [FULL, render_config_template(InitAnswers(name="x")), *SHORT])
def test_what_the_parser_takes_the_schema_takes(text: str) -> None:
    make_config(text)
    assert said(text) == []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_the_schema_takes_every_golden_case(path: Path) -> None:
    assert said(path.read_text()) == []


@pytest.mark.parametrize("text", [None, FULL])
def test_the_schema_takes_what_devbox_config_prints(text: str | None) -> None:
    assert said(json.dumps(config_as_dict(make_config(text)))) == []


def said(text: str | bytes) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(load(text))]


# What a schema cannot see, by the words of the parser: each must be the reason of a case that the schema takes.
BEYOND: Final = (
    # the form of YAML, and of the file
    "the anchor &", "is there already", "is not allowed", "cannot hold the character",
    # what the catalogue offers
    "unknown VNC server", "unknown base", "unknown profile", "unknown tool", "is not offered", "is needed by",
    "needs node", "needs a vnc-server", "is no tool that comes from an archive",
    # what belongs together, or shuts out another
    "belong together", "exclude each other", "is a service of the bundled framework", "no framework is installed",
    "checks nothing", "is there twice", "would share a folder", "both ask for port", "is taken by",
    # what is more than a pattern
    "is out of range", "is no time zone", "belongs to the workstation", "belongs to the system", "is set by the key",
    "cannot be mounted", "would hide a folder", "is a volume of the workstation", "leaves its folder",
    "is the home of somebody else", "is not in its shortest form", "would remove a package",
    "is longer than a file's name", "is not a loopback address", "is not an IP address",
    # numbers: of 1000.0, JSON says that it is whole; a text of digits may be written without quotes
    "a whole number is expected, not `1000.0`", "has at most 20 characters", "`22` is too small",
)  # fmt: skip

SMALL: Final = 10_000  # bytes


def test_what_the_parser_refuses_the_schema_refuses_but_for_what_it_cannot_see() -> None:
    seen, used = 0, set()
    for case in (case for cases in load_cases().values() for case in cases):
        if len(case.text) > SMALL or (data := load_or_none(case.text)) is None:
            continue  # what is large takes minutes in Python's YAML; that it is no YAML, an editor sees
        if list(VALIDATOR.iter_errors(data)):
            seen += 1
            continue
        reasons = [words for words in BEYOND if words in case.expected[0].reason]
        assert reasons, f"{case.name}: the schema takes it, and the parser says {case.expected[0].reason}"
        used.update(reasons)
    assert used == set(BEYOND)
    assert seen >= 390  # of some 540


def load_or_none(text: bytes) -> Any:
    try:
        return load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def test_every_key_is_described() -> None:
    assert list(undescribed(Config, "")) == []


def undescribed(model: type[BaseModel], path: str) -> Iterator[str]:
    """The keys of a section that say nothing of themselves; a new one gets a line in builder/core/schema_words.py."""
    section = SCHEMA if model is Config else SCHEMA["$defs"][model.__name__]
    forms = [section, *section.get("anyOf", ())]
    keys = next(form["properties"] for form in forms if "properties" in form)
    for key in keys_of(model):
        inner = f"{path}.{key}".removeprefix(".")
        if not keys[key].get("description"):
            yield inner
        below = model_at(model, (key,))
        if below is not model and below.__name__ not in ("OwnCheck", "PortChoice", "DevPort", "ToolChoice"):
            yield from undescribed(below, inner)


@pytest.mark.parametrize("kind", MODELS)
def test_a_schema_is_one_of_its_dialect(kind: str) -> None:
    Draft202012Validator.check_schema(make_schema(kind))


@pytest.mark.parametrize(
    ("kind", "folder"), [("tool", "tools"), ("base", "bases"), ("profile", "profiles"), ("sidecar", "sidecars")]
)
def test_the_schemas_of_the_catalogue_take_every_file_of_it_and_no_other(kind: str, folder: str) -> None:
    validator = Draft202012Validator(make_schema(kind))
    files = sorted((ROOT / "images" / folder).glob("*.yaml"))
    assert files
    wrong = {path.name: [error.message for error in validator.iter_errors(load(path.read_text()))] for path in files}
    assert {name: errors for name, errors in wrong.items() if errors} == {}
    assert list(validator.iter_errors({"summary": "x", "nonsense": 1}))


def test_the_tool_that_contributing_shows_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert list(Draft202012Validator(make_schema("tool")).iter_errors(load(dedent(text)))) == []


def test_the_schema_refuses_what_the_parser_refuses_of_the_same_kind() -> None:
    with pytest.raises(ConfigError):
        make_config("ports: {vnc: 80}")
    assert said("ports: {vnc: 80}")
