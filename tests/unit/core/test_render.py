"""The quoting filters, and how files of several parts come together."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import dockerfile
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.core.render import quote_compose, quote_environment, quote_shell, render_image
from builder.errors import RenderError
from builder.model import BaseAnswer, Plan, RenderedFile, Retrieval

FRAGMENTS = Path(__file__).parents[3] / "templates/fragments"
printable = st.text().filter(str.isprintable)


def make_plan(*parts: str) -> Plan:
    base = BaseAnswer(name="debian-12", reference="debian:12", how=Retrieval.PULL, identity="x")
    return Plan(
        id="f" * 64, image="devbox/x:f", profile="x", requested_base="debian-12", base=base, steps=(),
        environment={"LANG": "C.UTF-8"}, path=("/opt/x/bin",), labels={}, substitutions=(), user="dev", parts=parts,
        ports={},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize("quote", [quote_environment, quote_shell], ids=["env", "sh"])
@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x00", "\x85", "\u2028", "\ud800"], ids=ascii)
def test_nothing_that_could_end_a_line_is_written_in_a_dockerfile(quote: Callable[[str], str], sign: str) -> None:
    with pytest.raises(RenderError, match="a control character cannot be written in a Dockerfile"):
        quote(f"a{sign}RUN id")


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", '"plain"'), ("", '""'), ("$HOME ${X}", r'"\$HOME \${X}"'), ('say "x"', r'"say \"x\""'),
        ("a\\", r'"a\\"'), ("\\$x", r'"\\\$x"'), ("it's # a <<EOF", '"it\'s # a <<EOF"'),
    ],
)  # fmt: skip
def test_a_value_of_env_is_quoted(value: str, quoted: str) -> None:
    assert quote_environment(value) == quoted


@given(printable)
def test_any_value_of_env_stays_one_instruction(value: str) -> None:
    found = dockerfile.parse_string(f"FROM x\nENV NAME={quote_environment(value)}\nUSER y\n")
    assert [item.cmd.upper() for item in found] == ["FROM", "ENV", "USER"]
    assert found[1].value[:2] == ("NAME", quote_environment(value))


@given(printable)
def test_a_quoted_word_is_one_word_of_the_shell(value: str) -> None:
    assert shlex.split(quote_shell(value)) == [value]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_compose_reads_back_what_was_written(value: str) -> None:
    read = yaml.safe_load(f"key: {quote_compose(value)}")["key"]
    assert read.replace("$$", "$") == value if "$$" not in value else read.count("$") == 2 * value.count("$")


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("a $b ${c}", '"a $$b $${c}"'), (("ALL", "$"), '["ALL", "$$"]'), (True, "true"), ("null", '"null"'),
        ("line\u2028break\x7f\x85", '"line\\u2028break\\u007f\\u0085"'), ("a\nb", '"a\\nb"'), ("é🐧", '"é🐧"'),
    ],
)  # fmt: skip
def test_a_value_of_compose_is_quoted(value: object, quoted: str) -> None:
    assert quote_compose(value) == quoted


def test_a_folder_that_is_not_utf8_is_refused_in_words() -> None:
    with pytest.raises(RenderError, match="a path that is not UTF-8"):
        quote_compose("/srv/\udcff")


# ---------------------------------------------------------------------------------------------------- the tree


def test_only_the_parts_of_the_plan_are_taken_and_modes_are_kept() -> None:
    rootfs = {"a/bin/x": RenderedFile(data=b"x", executable=True), "b/bin/y": RenderedFile(data=b"y")}
    tree = render_image(make_plan("a"), rootfs=rootfs, templates={"Dockerfile.j2": "FROM x\n"}, version="1")
    assert list(tree) == ["Dockerfile", "rootfs/bin/x", "rootfs/etc/devbox/environment"]
    assert tree["rootfs/bin/x"] == RenderedFile(data=b"x", executable=True)


def test_two_parts_with_the_same_file_are_refused() -> None:
    rootfs = {"a/etc/x": RenderedFile(data=b"1"), "b/etc/x": RenderedFile(data=b"1")}
    with pytest.raises(RenderError, match="two parts of images/rootfs bring /etc/x") as caught:
        render_image(make_plan("a", "b"), rootfs=rootfs, templates={"Dockerfile.j2": ""}, version="1")
    assert caught.value.where == "images/rootfs/b/etc/x"
    render_image(make_plan("a"), rootfs=rootfs, templates={"Dockerfile.j2": ""}, version="1")


def test_sessions_that_the_engine_does_not_start_get_the_same_environment() -> None:
    tree = render_image(make_plan(), rootfs={}, templates={"Dockerfile.j2": ""}, version="1")
    assert tree["rootfs/etc/devbox/environment"].data.decode().splitlines() == [
        "LANG=C.UTF-8",
        "PATH=/opt/x/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]


@pytest.mark.parametrize(
    ("template", "words"),
    [("{{ nothing }}", "'nothing' is undefined"), ("{% if %}", "Expected an expression"), ("{{ 1 | nope }}", "nope")],
)
def test_a_wrong_template_is_named(template: str, words: str) -> None:
    with pytest.raises(RenderError) as caught:
        render_image(make_plan(), rootfs={}, templates={"Dockerfile.j2": template}, version="1")
    assert caught.value.where == "templates/Dockerfile.j2"
    assert words in caught.value.message


def test_a_fragment_that_is_missing_is_named() -> None:
    with pytest.raises(RenderError, match=r"fragments/x\.j2"):
        render_image(make_plan(), rootfs={}, templates={"Dockerfile.j2": "{% include 'fragments/x.j2' %}"}, version="1")


def test_labels_are_json_inside_quotes() -> None:
    text = json.dumps({"a": ["b", "c d"]})
    found = dockerfile.parse_string(f"FROM x\nLABEL a.b={quote_environment(text)}\n")
    assert json.loads(json.loads(found[1].value[1])) == {"a": ["b", "c d"]}


@pytest.mark.parametrize("name", sorted(path.name for path in FRAGMENTS.glob("*.j2")))
def test_what_a_step_mounts_stands_before_all_that_it_runs(name: str) -> None:
    """Behind a variable or a command, `--mount` is a word of the shell."""
    words = [line.strip().removeprefix("RUN ") for line in (FRAGMENTS / name).read_text().splitlines()]
    ran = False
    for word in words:
        if word.startswith(("--mount", "{%", "{#", "#")) or not word:
            assert not (ran and word.startswith("--mount")), word
        else:
            ran = word.endswith("\\")
