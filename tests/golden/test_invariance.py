"""The oracle of untrusted input: whatever a person may write as a value, it stays a value.

For every text of the schema, found by walking the models, an accepted devbox.yaml with a hostile text there is rendered
beside its harmless twin of the same shape. The two Dockerfiles must hold the same instructions in the same stages, the
two compose files the same tree of keys, the files for apt, pip and npm and for sessions the same lines. `make test`
takes a few examples of each; `make test-long` EXAMPLES in all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from unittest import mock

import dockerfile
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from builder import wiring
from builder.adapters.handover import render_build_secrets
from builder.adapters.hostinfo import NetworkSettings
from builder.core.config import parse_config
from builder.core.source import FORBIDDEN
from builder.core.validation import Text
from builder.errors import ConfigError, RenderError
from tests.golden.rendering import FACTS, Rendered, catalog, render
from tests.golden.schema import text_fields

EXAMPLES: Final = 20_000
FEW: Final = 4  # of each field, in `make test`, besides the KILLERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How a document with a text at one place is made.

    `twins` are harmless texts, one for each shape that an accepted text may have; the first is the usual one. `beside`
    are keys that must stand next to it. A `closed` field takes nothing but these words, which rightly change what is
    built. `key` and `value` complete a mapping whose value or key is the text.
    """

    twins: tuple[str, ...] = ("plain",)
    beside: Mapping[str, object] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    key: str = "PLAIN"
    value: object = "plain"
    more: tuple[str, ...] = ()  # texts worth a try that the rule alone seldom leads to


def closed(*words: str, key: str = "PLAIN", value: object = "plain") -> Field:
    return Field(closed=frozenset(words), key=key, value=value)


def check_fields(place: str) -> dict[str, Field]:
    """Of a declared check. They are for `devbox verify`: nothing is rendered from them."""
    named = {"name": "plain"}
    return {
        f"{place}.run[]": Field(beside=named),
        f"{place}.version": Field(twins=(">=1.0",), beside={**named, "run": "true"}),
        f"{place}.file": Field(twins=("/srv/plain",), beside=named),
        f"{place}.package": Field(beside=named),
        f"{place}.service": Field(beside=named),
        f"{place}.name": Field(beside={"run": "true"}),
    }


ARCHIVES: Final = tuple(name for name, tool in catalog().tools.items() if tool.archive)
INSTALLED: Final = "git"  # a package that needs no step of its own, since the profile has it
FIELDS: Final[Mapping[str, Field]] = {
    "name": Field(more=("0", "a-", "a_-", "null", "true", "1e3", "0o7", "1_0")),
    "profile": closed(*catalog().profiles),
    "base.name": closed(*catalog().bases),
    "base.image": Field(twins=("debian:12",), beside={"name": "debian-12"}),
    "user.name": Field(twins=("person",)),
    "tools{key}": closed(*catalog().tools, value=True),
    "tools{}.version": closed(*catalog().tools["node"].versions.choices, key="node"),
    "apt.packages[]": Field(twins=("zzz-plain", INSTALLED)),
    "apt.snapshot": Field(twins=("2024-01-15",), more=("20240115T120000Z",)),
    "npm[]": Field(
        twins=("zzz-plain@1.0.0",),
        more=("npm-novnc@1.0.0", "novnc@1.0.0", "base@1.0.0", "@a/workstation@1.0.0", "@-/a@1.0.0-rc.1+x"),
    ),
    "framework.path": Field(twins=("./plain",), more=("./no-break\u00a0space", "./\u3000", "./a\u200db")),
    "framework.git": Field(twins=("https://example.org/plain.git",), beside={"rev": "v1"}),
    "framework.rev": Field(twins=("v1",), beside={"git": "https://example.org/plain.git"}),
    "framework.wheel": Field(twins=("./plain-1.0-py3-none-any.whl",)),
    "framework.npm": Field(twins=("zzz-plain@1.0.0",)),
    **check_fields("framework.checks[]"),
    "desktop.server": closed(*catalog().providers("vnc-server")),
    "desktop.geometry": Field(twins=("1280x800",)),
    "desktop.keyboard": Field(twins=("de", "de(nodeadkeys)"), more=("no", "us(T3)", "latam", "jp(OADG109A)")),
    "host": Field(twins=("ssh://me@192.0.2.7:2222",), more=("local", "ssh://box", "ssh://[::1]:22/")),
    "bind": Field(twins=("127.0.0.1",), more=("::1", "127.9.9.9", "0:0:0:0:0:0:0:1")),
    "expose.address": Field(twins=("192.0.2.7",), more=("::", "0.0.0.0", "2001:DB8::1", "127.0.0.2")),  # noqa: S104
    "expose.names[]": Field(more=("a.b-c.d9", "null", "true", "x" * 63)),
    "expose.certificate": Field(twins=("./plain.pem",), beside={"key": "./plain.key"}),
    "expose.key": Field(twins=("./plain.key",), beside={"certificate": "./plain.pem"}),
    "environment{key}": Field(twins=("PLAIN",), more=("NO", "null", "true", "y", "_", "services", "ON", "on", "Null")),
    "environment{}": Field(
        more=("${HOME:-x} $$ \"'\\` # : {{ x }} {% raw %} <<EOF", "\\", "${", "*a", "- x: &y", "", "=", "<<", "0x1F")
    ),
    "mounts[].source": Field(twins=("./plain",), beside={"target": "/srv/plain"}),
    "mounts[].target": Field(twins=("/srv/plain",), beside={"source": "./plain"}),
    "sidecars{key}": closed(*catalog().sidecars, value=True),
    "sidecars{}.version": Field(twins=("16",), key="postgres"),
    "hooks.on_create[]": Field(more=("a; b && c | d > e $(f) `g` 'h' \"i\" # j",)),
    "hooks.on_start[]": Field(),
    "dotfiles.git": Field(twins=("https://example.org/plain.git",)),
    "dotfiles.path": Field(twins=("./plain",)),
    "env_file[]": Field(twins=("./plain.env",)),
    "resources.memory": Field(twins=("1g",)),
    "resources.shm": Field(twins=("1g",)),
    "locale": Field(twins=("en_US.UTF-8", "C.UTF-8")),
    "timezone": Field(twins=("UTC",), more=("America/Argentina/Buenos_Aires", "Etc/GMT+1", "Asia/Ust-Nera")),
    "shell.theme": Field(),
    "catalogue[]": Field(twins=("./plain",)),
    "sources{key}": closed(*ARCHIVES, value="./plain.tar"),
    "sources{}": Field(twins=("./plain.tar",), key=ARCHIVES[0]),
    "ssh.authorized_keys[]": Field(twins=("./plain.pub",)),
    "security.level": closed("dev", "locked"),
    "mirrors.apt.debian": Field(twins=("http://plain.example",)),
    "mirrors.apt.ubuntu": Field(twins=("http://plain.example",)),
    "mirrors.pypi": Field(twins=("https://plain.example", "http://plain.example")),
    "mirrors.npm": Field(twins=("https://plain.example",), more=("https://plain.example/@x", "http://h/a=b&c=%20")),
    "mirrors.archives": Field(twins=("https://plain.example",), more=("http://h/a/{host}/b",)),
    "mirrors.images": Field(twins=("registry.example/plain",), more=("localhost:5000", "a:1/b-c/d__e")),
    "mirrors.snapshot.debian": Field(
        twins=("https://plain.example/{timestamp}",), more=("http://h/{archive}/{timestamp}/",)
    ),
    "mirrors.snapshot.ubuntu": Field(twins=("https://plain.example/{timestamp}",)),
    "ca_bundle.path": Field(twins=("./plain.pem",)),
    "cache.registry": Field(twins=("plain.example/team",), more=("localhost/a", "h:5000/a__b.c--d/e", "127.0.0.1:1/a")),
    "backup.to": Field(twins=("./plain",), more=("sftp://a@b:22/~/c", "s3:h/b/c", "gs:b:/c")),
    "backup.volumes[]": Field(),
    "backup.exclude[]": Field(),
    "backup.identity": Field(twins=("./plain",)),
    **check_fields("verify.checks[]"),
    "verify.tests": Field(twins=("./plain",)),
    "budgets{key}": Field(value=1),
}
RULES: Final = text_fields()


def test_no_text_of_the_schema_is_forgotten() -> None:
    hint = "say in FIELDS, tests/golden/test_invariance.py, how a document with a text there is made"
    assert RULES.keys() - FIELDS.keys() == set(), hint
    assert FIELDS.keys() - RULES.keys() == set(), "these are no texts of the schema any more"


def test_a_text_without_a_rule_and_a_type_that_the_walk_does_not_know_are_faults() -> None:
    class Plain(BaseModel):
        words: tuple[str, ...]

    class Odd(BaseModel):
        data: bytes

    with pytest.raises(TypeError, match=r"words\[\]: a text needs exactly one rule"):
        text_fields(Plain)
    with pytest.raises(TypeError, match="data: the walk over the schema does not know"):
        text_fields(Odd)


# ------------------------------------------------------------------------------------------------------ texts

# What ends a word, a line, a quotation or an instruction somewhere: shells, Dockerfile, YAML, Compose, Jinja.
SIGNS: Final = " '\"\\$`{}[]()<>#&*!|%@,:;=?~^+-_./\n\r\t\x00\x85\u2028é🐧"
SNIPPETS: Final = (
    "$(id)", "${PATH}", "$$", "`id`", "\\", '"', "'", "\\\n", "\nRUN id", "\nFROM scratch", "<<EOF", "EOF",
    "# escape=`", "{{ 7*7 }}", "{% raw %}", "{#", "&& id", "; id", "| id", ": ", " #", "- ", "? ", "!!str", "&a", "*a",
    "null", "true", "no", "~", "[", "]", "{", "}", "%", "@", "\u2028RUN id", "--from=x", "--mount=type=secret", "://",
    "..", "/../", "\r\n[global]", " --x", "\u202e", "\x7f",
)  # fmt: skip
# The least that shows each kind of quoting missing; tried at every field in every run.
KILLERS: Final = ("\nRUN id", "\u2028RUN id", '"', "'", "\\", " #", ",", "}", "$x", "{{ 7*7 }}")
words = st.one_of(st.sampled_from(SNIPPETS), st.text(SIGNS, max_size=6), st.text(max_size=6))
hostile = st.lists(words, min_size=1, max_size=4).map("".join)
forbidden = [chr(point) for point in range(0x10000) if FORBIDDEN.match(chr(point))]
allowed = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=forbidden)


def splice(text: str, word: str, place: int) -> str:
    at = place % (len(text) + 1)
    return text[:at] + word + text[at:]


@functools.cache
def texts(place: str) -> st.SearchStrategy[str]:
    """Mostly what the rule of the field takes; the same with something hostile in it; and something else altogether."""
    rule, made = RULES[place], FIELDS[place]
    fitting = st.one_of(fit(rule), st.sampled_from((*made.twins, *made.more, *sorted(made.closed))))
    return st.one_of(fitting, fitting, st.builds(splice, fitting, words, st.integers(0, 50)), hostile)


def fit(rule: Text) -> st.SearchStrategy[str]:
    return st.from_regex(rule.pattern, fullmatch=True, alphabet=allowed).filter(lambda text: len(text) <= rule.limit)


# -------------------------------------------------------------------------------------------------- documents


def document(place: str, text: str) -> str:
    """A devbox.yaml with `text` at `place`."""
    nested = _nest(re.findall(r"[^.\[{]+|\[\]|\{\}|\{key\}", place), text, FIELDS[place])
    assert isinstance(nested, dict)
    return yaml.safe_dump({"base": "debian-12", **nested}, allow_unicode=True, width=10_000)


def _nest(parts: list[str], text: str, made: Field) -> object:
    if not parts:
        return text
    head, rest = parts[0], parts[1:]
    match head:
        case "[]":
            return [_nest(rest, text, made)]
        case "{}":
            return {made.key: _nest(rest, text, made)}
        case "{key}":
            return {text: made.value}
        case _:
            innermost = not any(part[0] not in "[{" for part in rest)
            return {head: _nest(rest, text, made), **(made.beside if innermost else {})}


# ------------------------------------------------------------------------------------------------------ shape


def instructions(rendered: Rendered) -> list[tuple[str, str, int]]:
    """(stage, kind, words of a COPY or FROM) of every instruction, as Docker's own parser reads them."""
    stage, found = "", []
    for item in dockerfile.parse_string(rendered.dockerfile):
        kind = item.cmd.upper()
        if kind == "FROM":
            stage = "npm" if item.value[2].startswith("npm.") else item.value[2]  # a package's name is in its stage's
        found.append((stage, kind, len(item.value) if kind in ("FROM", "COPY", "ENV", "LABEL") else len(item.flags)))
    return found


def keys_of(node: object) -> object:
    """The tree of a YAML document without its values."""
    if isinstance(node, dict):
        return {key: keys_of(value) for key, value in node.items()}
    if isinstance(node, list):
        return [keys_of(value) for value in node]
    return type(node).__name__


def compose_tree(rendered: Rendered, variable: str | None) -> object:
    """The keys of compose.yaml; `variable`, where a person chose its name, is masked."""
    parsed = yaml.safe_load(rendered.compose)
    environment = parsed["services"]["workstation"]["environment"]
    if variable is not None:
        environment["<variable>"] = environment.pop(variable)
    return keys_of(parsed)


def host_lines(text: str) -> dict[str, list[str]]:
    """What stands before the value in every line of the files for apt, pip and npm."""
    config = parse_config(text, file="devbox.yaml", defaults=FACTS)
    with mock.patch.object(wiring, "find_network_settings", NetworkSettings):
        files = render_build_secrets(wiring.find_settings(config, FACTS))
    lines = {name: data.decode().split("\n") for name, data in files.items()}
    return {name: [line.partition("=")[0].strip() for line in of_file] for name, of_file in lines.items()}


def shape(place: str, text: str) -> tuple[Rendered, object]:
    written = document(place, text)
    rendered = render(written)
    session = rendered.tree["rootfs/etc/devbox/environment"].data.count(b"\n")
    host = host_lines(written) if place.startswith("mirrors.") else {}
    variable = text if place == "environment{key}" else None
    return rendered, (instructions(rendered), compose_tree(rendered, variable), session, host, list(rendered.tree))


@functools.cache
def shapes_of_twins(place: str) -> list[object]:
    return [shape(place, twin)[1] for twin in FIELDS[place].twins]


def shape_or_refusal(place: str, text: str) -> tuple[Rendered, object] | ConfigError:
    try:
        return shape(place, text)
    except ConfigError as error:
        return error


def check(place: str, text: str) -> bool:
    """Whether `text` is accepted; if so it must change nothing but its own value."""
    outcome = shape_or_refusal(place, text)
    if isinstance(outcome, ConfigError):  # refused, with its place: that is the other right answer
        assert re.search(r"^devbox\.yaml:\d+:\d+: ", str(outcome), re.MULTILINE)
        return False
    rendered, found = outcome
    if FIELDS[place].closed:
        assert text in FIELDS[place].closed
        return True
    assert found in shapes_of_twins(place)
    if place == "environment{}":
        environment = yaml.safe_load(rendered.compose)["services"]["workstation"]["environment"]
        assert environment["PLAIN"].replace("$$", "$") == text
    return True


# ------------------------------------------------------------------------------------------------------ tests


@pytest.mark.parametrize("place", sorted(FIELDS))
def test_harmless_texts_are_accepted(place: str) -> None:
    made = FIELDS[place]
    assert all(check(place, text) for text in (made.closed and [min(made.closed)]) or made.twins)


@pytest.mark.parametrize("place", sorted(FIELDS))
def test_what_ends_a_text_somewhere_changes_nothing(place: str) -> None:
    made = FIELDS[place]
    start = made.twins[0] if not made.closed else min(made.closed)
    for killer in KILLERS:
        check(place, start + killer)


@settings(max_examples=FEW, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("place", sorted(FIELDS))
def test_no_accepted_text_changes_what_is_built_or_started(place: str, data: st.DataObject) -> None:
    check(place, data.draw(texts(place)))


@settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(folder=st.one_of(hostile, st.sampled_from(KILLERS)).filter(lambda name: not set("/\0") & set(name)))
def test_the_name_of_a_folder_changes_nothing_either(folder: str) -> None:
    """Whoever packs an archive chooses it, and Linux takes every byte but two."""
    written = "base: debian-12\nmounts: [{source: ./a, target: /srv/a}, {source: ~/b, target: /srv/b}]\n"
    home = f"/home/{folder}"
    odd = replace(FACTS, folder=folder, workspace=f"{home}/{folder}", home=home)
    try:
        rendered = render(written, facts=odd)
    except RenderError as error:
        assert "not UTF-8" in str(error)  # noqa: PT017  # the only name that cannot be written down
        return
    plain = render(written)
    assert (instructions(rendered), compose_tree(rendered, None)) == (instructions(plain), compose_tree(plain, None))
    labels = yaml.safe_load(rendered.compose)["services"]["workstation"]["labels"]
    assert labels["dev.devbox.workspace"].replace("$$", "$") == odd.workspace


@pytest.mark.long
@pytest.mark.parametrize("place", sorted(FIELDS))
def test_no_accepted_text_of_very_many_changes_what_is_built_or_started(place: str) -> None:
    accepted: list[bool] = []

    @settings(
        max_examples=-(-EXAMPLES // len(FIELDS)), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(text=texts(place))
    def many(text: str) -> None:
        accepted.append(check(place, text))

    many()
    print(f"{place}: {len(accepted)} examples, {sum(accepted)} of them accepted")  # noqa: T201  # pytest -s, -rP
    assert any(accepted)


@pytest.mark.parametrize(("place", "text"), [(place, text) for place, made in FIELDS.items() for text in made.more])
def test_texts_that_are_easily_taken_for_something_else(place: str, text: str) -> None:
    assert check(place, text)
