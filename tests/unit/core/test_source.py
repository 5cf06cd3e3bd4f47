"""YAML is read as written: nothing is mangled, nothing surprising is accepted, every place is known."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.core.source import MAX_BYTES, Scalar, decode_source, parse_source
from builder.errors import ConfigError, DevboxError


def value_of(text: str) -> object:
    data = parse_source(f"key: {text}\n", file="f").data
    assert isinstance(data, dict)
    scalar = data["key"]
    assert isinstance(scalar, Scalar)
    return scalar.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20), ("-1", -1), ("0", 0), ("1.10", 1.1), ("true", True), ("False", False), ("null", None), ("~", None),
        ("", None), ("NO", "NO"), ("yes", "yes"), ("off", "off"), ("010", "010"), ("0o17", "0o17"), ("0x1F", "0x1F"),
        ("22:22", "22:22"), ("1_000", "1_000"), ("1e3", "1e3"), (".inf", ".inf"), ("1.", "1."),
        ("2024-01-01", "2024-01-01"),
        ('"20"', "20"), ("'true'", "true"), ('""', ""), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_scalars_are_resolved_as_yaml_1_2_and_no_further(text: str, value: object) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize("text", ["1.10", "010", "22:22", "NO", "20", "true", "null", "+1", "1e3"])
def test_scalars_keep_their_text(text: str) -> None:
    data = parse_source(f"- {text}\n", file="f").data
    assert isinstance(data, list)
    assert data[0] == text


def test_positions_of_keys_and_values_are_known() -> None:
    source = parse_source("a: 1\nlist:\n  - x\n  - {b: two}\n", file="f")
    key, value = source.keys[("list", 1, "b")], source.values[("list", 1, "b")]
    assert (key.line, key.column) == (4, 6)
    assert (value.line, value.column, value.width) == (4, 9, 3)


def test_a_byte_order_mark_at_the_start_is_no_matter() -> None:
    assert parse_source(decode_source(b"\xef\xbb\xbfa: 1\n", file="f"), file="f").data == {"a": "1"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n", "~"])
def test_an_empty_document_is_an_empty_mapping(text: str) -> None:
    assert parse_source(text, file="f").data == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1: a: the key `a` is there already, in line 1"),
        ("a: &x 1\n", "f:1:4: a: the anchor &x is not supported"),
        ("a: *x\n", "f:1:4: a: the alias *x is not supported"),
        ("a: !!binary x\n", "f:1:4: a: the tag"),
        ("a: !env x\n", "f:1:4: a: the tag `!env` is not supported"),
        ("a:\n\tb: 1\n", "f:2:1: the line is indented with a tab"),
        ("a:\n  b: 1\n\tc: 2\n", "f:3:1: the line is indented with a tab"),
        ("a: 1\n---\nb: 2\n", "f:2:1: a second document starts here"),
        ("a: [1\n", "not YAML"),
        ("a: b: c\n", "f:1:5: not YAML"),
        ("a: 'x\n", "not YAML"),
        ("a: @x\n", "f:1:4: not YAML"),
        ("a: \x07\n", "f:1:4: the character U+0007 is not allowed"),
        ("# \u202e\n", "f:1:3: the character U+202E is not allowed"),
        ("a: b\u2028c\n", "f:1:5: the character U+2028 is not allowed"),
        ("a: b\x85c\n", "f:1:5: the character U+0085 is not allowed"),
        ("a: \ud800\n", "f:1:4: the character U+D800 is not allowed"),
        ("a: \ufeffb\n", "f:1:4: the character U+FEFF is not allowed"),
        ("? [a]\n: b\n", "a key must be plain text"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than 32 levels"),
        ("a: " + "{b: " * 5000, "nested deeper than 32 levels"),
        ("a" * (MAX_BYTES + 1), "larger than 1 MB"),
    ],
)
def test_what_is_refused_says_where_and_why(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source(text, file="f")
    assert expected in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(ConfigError, match="is not supported"):
        parse_source("l0: &l0 x\n" + "\n".join(levels), file="f")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: caf\xe9\n", "f:2:7: byte 0xe9 is not UTF-8"),
        ("a: 1".encode("utf-16"), "the file is UTF-16"),
        ("a: 1".encode("utf-16-le"), "the file is UTF-16"),
        (b"a" * (MAX_BYTES + 1), "larger than 1 MB"),
    ],
)
def test_bytes_that_are_no_utf8_are_explained(data: bytes, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_source(data, file="f")
    assert expected in str(caught.value)


def test_the_excerpt_has_a_caret_below_the_place() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source("a: 1\nbcd: 2\nbcd: 3\n", file="f")
    assert "    3 | bcd: 3\n      | ^^^" in str(caught.value)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_but_never_breaks(text: str) -> None:
    with contextlib.suppress(DevboxError):
        parse_source(text, file="f")


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_but_never_break(data: bytes) -> None:
    with contextlib.suppress(DevboxError):
        parse_source(decode_source(data, file="f"), file="f")


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(
    st.recursive(PRINTABLE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4))
)
def test_what_an_emitter_writes_is_read_back(data: object) -> None:
    parsed = parse_source(yaml.safe_dump({"key": data}), file="f").data
    assert parsed == {"key": data}
