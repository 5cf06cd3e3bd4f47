"""What is taken out of a text for strangers, and what stays readable."""

from __future__ import annotations

import json
import time

import pytest

from builder.core.canonical import Plain
from builder.core.scrubbing import make_scrubber, scrub_plain

SCRUB = make_scrubber(
    ["s3cr3t", "s3cr3t-and-more", "abc"], {"/home/anna": "~", "anna": "<user>", "root": "<user>", "": "?"}
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("it said s3cr3t-and-more.", "it said ***."),
        ("xs3cr3tx", "x***x"),
        ("abcdef", "abcdef"),  # too short to be told from words
        ("/home/anna/box of anna, not of susanna", "~/box of <user>, not of susanna"),
        ("/home/annabel", "/home/annabel"),
        ("root is nobody's name", "root is nobody's name"),
        ("http://me:pw@proxy.example", "http://***@proxy.example"),
        ("MY_TOKEN=tok tok", "MY_TOKEN=*** tok"),
        ("export DB_PASSWORD='pw'", "export DB_PASSWORD='***'"),
        ("  client_secret: xyz", "  client_secret: ***"),
        ('{"apiKey": "xyz", "n": 1}', '{"apiKey": "***", "n": 1}'),
        ("PASSWORD_FILE=/run/secrets/vnc", "PASSWORD_FILE=/run/secrets/vnc"),
        ("PASSWORD_FILE: ~/pw", "PASSWORD_FILE: ~/pw"),
        ('{"PASSWORD_FILE": "/home/anna/pw"}', '{"PASSWORD_FILE": "~/pw"}'),
        ("tokens: 12", "tokens: 12"),
        ('{"tokens":12, "x": "tokens: none"}', '{"tokens":12, "x": "tokens: none"}'),
        ("f(token=None)", "f(token=None)"),
        ("OPENAI_API_KEY: 3f9a01", "OPENAI_API_KEY: ***"),
        ("OPENAI_API_KEY=3f9a01 go", "OPENAI_API_KEY=*** go"),
        ("DB_PASSWORD: '12345678'", "DB_PASSWORD: '***'"),
        ('DB_PASSWORD: "12 horses"', 'DB_PASSWORD: "***"'),
        ("MY_TOKEN: nonesuch", "MY_TOKEN: ***"),
        ("AWS_SECRET_ACCESS_KEY=/bPxRfiCY+wJalr", "AWS_SECRET_ACCESS_KEY=***"),
        ("API_TOKEN=abc,defghijklm", "API_TOKEN=***"),
        ("{A_TOKEN: abc,def, B: c}", "{A_TOKEN: ***, B: c}"),
        ('DB_PASSWORD: "correct horse \\"X\\", and more" # one', 'DB_PASSWORD: "***" # one'),
        ("DB_PASSWORD: 'it''s one' # one", "DB_PASSWORD: '***' # one"),
        ('  DB_PASSWORD: "folded\n    words"\n  B: c', '  DB_PASSWORD: "***"\n  B: c'),
        ('  DB_PASSWORD: "cut off\n  ', '  DB_PASSWORD: "***'),
        ('{"apiKey":"x y"}', '{"apiKey":"***"}'),
        (
            r'{"text": "{\"apiKey\": \"x y\", \"tokens\": \"12\"}"}',
            r'{"text": "{\"apiKey\": \"***\", \"tokens\": \"12\"}"}',
        ),
        ("DB_PASSWORD: ''", "DB_PASSWORD: ''"),
        ("GET http://x/?token=abc&n=1", "GET http://x/?token=***&n=***"),
        ("MY_TOKEN=***", "MY_TOKEN=***"),
        ("MYSQL_PWD=xyz GITHUB_PAT=xyz db_pass: xyz", "MYSQL_PWD=*** GITHUB_PAT=*** db_pass: ***"),
        ("PWD=/home/me/x OLDPWD=/home/me COMPAT=1 PASS: all", "PWD=/home/me/x OLDPWD=/home/me COMPAT=1 PASS: all"),
        ("FAST_PASSES=many THE_PATH=x", "FAST_PASSES=many THE_PATH=x"),
    ],
)
def test_a_text(text: str, left: str) -> None:
    assert SCRUB(text) == left
    assert SCRUB(left) == left


def test_json_stays_json_and_is_masked_by_its_keys() -> None:
    value: Plain = {
        "env": ['A_TOKEN=x y "z"', "B=s3cr3t", "TOKEN_FILE=/run/x"],
        "password": 'a "b',
        "path": {"anna": ["s3cr3t", 1, None]},
        "TOKEN_FILE": "/run/x",
        "SOME_CREDENTIAL": "7e1c",
        "tokens": "12",
    }

    left = scrub_plain(value, SCRUB)

    assert json.loads(json.dumps(left)) == {
        "env": ["A_TOKEN=***", "B=***", "TOKEN_FILE=/run/x"], "password": "***", "path": {"<user>": ["***", 1, None]},
        "TOKEN_FILE": "/run/x", "SOME_CREDENTIAL": "***", "tokens": "12",
    }  # fmt: skip


def test_a_long_text_without_a_secret_is_read_in_one_go() -> None:
    began = time.process_time()
    assert SCRUB("x" * 300_000 + " " + "token" * 1_000) is not None
    assert time.process_time() - began < 5
