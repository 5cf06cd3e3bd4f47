"""Where secrets lie on a machine, and in which forms they are looked for."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from builder.adapters.backups.store import VOLUMES
from builder.adapters.history import HistoryStore
from builder.adapters.known_secrets import find_secrets
from builder.core.generations import History


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".npmrc", "//npm.invalid/:_authToken=geheim-1\n"),
        (".netrc", "machine a login me password geheim-1\n"),
        (".git-credentials", "https://me:geheim-1@git.invalid\n"),
        (".config/pip/pip.conf", "[global]\nindex-url = https://geheim-1@pip.invalid/\n"),
        (".docker/config.json", json.dumps({"auths": {"x": {"auth": base64.b64encode(b"me:geheim-1").decode()}}})),
        ("state/devbox/box-00/web-password", "geheim-1\n"),
        ("state/devbox/box-00/secrets/vnc-password", "geheim-1\n"),
        ("state/devbox/box-00/any/new/thing", "geheim-1\n"),
        ("work/devbox.yaml", "environment: {MY_TOKEN: geheim-1}\n"),
        ("work/devbox.yaml", "environment:\n  OPENAI_API_KEY: !!str 'geheim-1' # mine\n"),
        ("work/devbox.yaml", "MY_CREDENTIAL: |\n  -----BEGIN\n  geheim-1\n  -----END\n"),
        ("work/devbox.yaml", "environment:\n  MY_TOKEN: geheim-1\n  a: [\n"),
        ("work/devbox.yaml", "a: &a [*a]\nMY_TOKEN: geheim-1\n"),
        (".aws/credentials", "[default]\naws_access_key_id = AKIA\naws_secret_access_key = geheim-1\n"),
        (".config/gcloud/application_default_credentials.json", '{"client_secret": "geheim-1", "n": 1}'),
        (".pypirc", "[pypi]\npassword: geheim-1\n"),
    ],
)
def test_it_is_found_where_it_lies(file: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

    assert "geheim-1" in find_secrets(tmp_path / "state", tmp_path, tmp_path / "work", {})


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "MY_CREDENTIALS", "DB_PASSWD", "npm_config__auth"]
)
@pytest.mark.parametrize("value", ["sk-ant-1", "abc,defghijklm", "correct horse X", "12345678", "/bPxRfiCY"])
def test_a_variable_is_one_as_a_whole(name: str, value: str, tmp_path: Path) -> None:
    assert value in find_secrets(tmp_path, tmp_path, tmp_path, {name: value})


def test_a_word_of_a_secret_is_none_and_neither_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "devbox.yaml").write_text(
        "DB_PASSWORD: 'correct horse X'\nB_TOKEN: /run/token\nmy-secret: n\nLANGUAGE: german\n"
    )

    found = find_secrets(tmp_path, tmp_path, tmp_path, {"A_PASSWORD": "wrong horse X", "A_TOKEN": "~/token"})

    assert "wrong horse X" in found
    assert not {"correct", "wrong", "/run/token", "~/token", "LANGUAGE", "german"} & found


def test_what_a_workstation_was_made_from_is_no_secret(tmp_path: Path) -> None:
    folder = tmp_path / "devbox/box-00"
    HistoryStore(lambda _: folder).save("box", History())
    (folder / VOLUMES).write_text(json.dumps({"home": "a-volume-of-it"}, indent=1))

    assert find_secrets(tmp_path, tmp_path, tmp_path, {}) == frozenset()


def test_it_is_looked_for_in_each_form(tmp_path: Path) -> None:
    found = find_secrets(tmp_path, tmp_path, tmp_path, {"http_proxy": "http://me:ge%22heim@proxy.invalid"})

    assert {'ge"heim', "ge%22heim", 'ge\\"heim', base64.b64encode(b'me:ge"heim').decode()} <= found


def test_what_cannot_be_read_is_left_out_and_logs_are_no_secrets(tmp_path: Path) -> None:
    (tmp_path / ".netrc").mkdir()
    runs = tmp_path / "devbox/runs"
    runs.mkdir(parents=True)
    (runs / "a.jsonl").write_text("a line of a log\n")

    assert find_secrets(tmp_path, tmp_path, tmp_path, {}) == frozenset()
