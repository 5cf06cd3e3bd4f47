"""Whatever a person may write as a value, it stays a value: it adds no instruction, no stage and no key.

Each example renders an accepted devbox.yaml with hostile texts, and its harmless twin of the same shape. The two
Dockerfiles must hold the same instructions in the same stages, the two compose files the same tree of keys.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import dockerfile
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from builder.core.fields import NPM_NAME
from builder.errors import ConfigError
from tests.golden.rendering import Rendered, catalog, render


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Every text of a devbox.yaml that a person is free in."""

    name: str = "plain"
    user: str = "person"
    image: str = "debian:12"
    apt: str = "zzz-plain"
    npm: str = "zzz-plain@1.0.0"
    theme: str = "plain"
    timezone: str = "Europe/Berlin"
    variable: str = "PLAIN"
    value: str = "plain"
    source: str = "./plain"
    target: str = "/srv/plain"
    archive: str = "./plain.tar"
    key: str = "./plain.pub"

    def as_yaml(self) -> str:
        return yaml.safe_dump(
            {
                "name": self.name,
                "base": {"name": "debian-12", "image": self.image},
                "user": {"name": self.user},
                "apt": [self.apt],
                "npm": [self.npm],
                "shell": {"theme": self.theme},
                "timezone": self.timezone,
                "environment": {self.variable: self.value},
                "mounts": [{"source": self.source, "target": self.target}],
                "sources": {"oh-my-zsh": self.archive},
                "ssh": {"authorized_keys": [self.key]},
            },
            allow_unicode=True,
            width=10_000,
        )


# What ends a word, a line, a quotation or an instruction somewhere: shells, Dockerfile, YAML, Compose, Jinja.
SIGNS = " '\"\\$`{}[]()<>#&*!|%@,:;=?~^+-_./\n\r\t\x00\x85\u2028é🐧"
SNIPPETS = (
    "$(id)", "${PATH}", "$$", "`id`", "\\", '"', "'", "\\\n", "\nRUN id", "\nFROM scratch", "<<EOF", "EOF",
    "# escape=`", "{{ 7*7 }}", "{% raw %}", "{#", "&& id", "; id", "| id", ": ", " #", "- ", "? ", "!!str", "&a", "*a",
    "null", "true", "no", "~", "[", "]", "{", "}", "%", "@", "\u2028RUN id", "--from=x", "--mount=type=secret", "://",
)  # fmt: skip
words = st.one_of(st.sampled_from(SNIPPETS), st.text(SIGNS, max_size=6), st.text(max_size=6), st.from_regex(r"\w+"))
hostile = st.lists(words, min_size=1, max_size=4).map("".join)
paths = st.builds(str.__add__, st.sampled_from(["./", "~/", "/srv/", "x"]), hostile)


def matching(pattern: str, *, around: str = "{}") -> st.SearchStrategy[str]:
    """Mostly texts of the field's own pattern, which are accepted; and some that only look like them."""
    fitting = st.from_regex(pattern, fullmatch=True)
    return st.one_of(fitting, fitting, fitting, hostile.map(around.format))


TEXTS = {
    "name": matching(r"[a-z0-9][a-z0-9_-]{0,40}"),
    "user": matching(r"[a-z_][a-z0-9_-]{0,30}"),
    "image": matching(r"[a-z0-9]+(?:[._-][a-z0-9]+){0,3}(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,20})?", around="debian:12{}"),
    "apt": matching(r"[a-z0-9][a-z0-9+.-]{1,40}", around="htop{}"),
    "npm": st.one_of(st.from_regex(f"{NPM_NAME}@1.2.3", fullmatch=True), hostile.map("x{}@1.2.3".format)),
    "theme": matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    "timezone": st.sampled_from(["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+1", "Europe/Berlin\nx"]),
    "variable": matching(r"[A-Za-z_][A-Za-z0-9_]{0,20}"),
    "value": hostile,
    "source": paths,
    "target": st.one_of(
        st.from_regex(r"/srv/[^\s:,\\/.]+(?: [^\s:,\\/]+)*", fullmatch=True), hostile.map("/srv/{}".format)
    ),
    "archive": paths,
    "key": paths,
}


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


def compose_tree(rendered: Rendered, variable: str) -> object:
    """The keys of compose.yaml; `variable`, the one name that a person chose, is masked."""
    document = yaml.safe_load(rendered.compose)
    environment = document["services"]["workstation"]["environment"]
    environment["<variable>"] = environment.pop(variable)
    return keys_of(document)


def shape(given_texts: Texts) -> tuple[Rendered, object]:
    rendered = render(given_texts.as_yaml())
    return rendered, (instructions(rendered), compose_tree(rendered, given_texts.variable))


@functools.cache
def shape_of_the_twin() -> object:
    return shape(Texts())[1]


@functools.cache
def packages_of_the_profile() -> frozenset[str]:
    return frozenset(package for tool in catalog().tools.values() for package in tool.apt) | {"tigervnc-tools"}


def check(field: str, text: str) -> bool:
    """Whether `text` is accepted; if so it must change nothing but its own value."""
    try:
        rendered, found = shape(Texts(**{field: text}))
    except ConfigError:
        return False  # refused, with its place: that is the other right answer
    assert found == shape_of_the_twin()
    if field == "value":
        environment = yaml.safe_load(rendered.compose)["services"]["workstation"]["environment"]
        assert environment["PLAIN"].replace("$$", "$") == text
    return True


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("field", sorted(TEXTS))
def test_no_accepted_text_changes_what_is_built_or_started(field: str, data: st.DataObject) -> None:
    text = data.draw(TEXTS[field])
    assume(text not in packages_of_the_profile())  # installed already: rightly no step of its own
    check(field, text)


@pytest.mark.parametrize("text", ["NO", "null", "true", "y", "_", "services"])
def test_a_variable_can_have_a_name_that_means_something_in_yaml(text: str) -> None:
    assert check("variable", text)


@pytest.mark.parametrize("text", ["${HOME:-x} $$ \"'\\` # : {{ x }} {% raw %} <<EOF", "\\", "${", "*a", "- x: &y", ""])
def test_a_value_comes_through_as_it_was_written(text: str) -> None:
    assert check("value", text)


@pytest.mark.parametrize("text", ["npm-novnc@1.0.0", "novnc@1.0.0", "base@1.0.0", "@a/workstation@1.0.0"])
def test_a_package_can_be_named_like_a_tool_or_a_stage(text: str) -> None:
    assert check("npm", text)
