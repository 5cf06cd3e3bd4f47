"""Variables and passwords that are handed in: who can read them, and when they count as other ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.adapters.handed import HandedIn
from builder.adapters.keys import KeyStore
from builder.adapters.known_secrets import find_secrets
from builder.errors import ConfigError

WORKSPACE = Path("/home/me/my-app")


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state", tmp_path)


@pytest.fixture
def handed(keys: KeyStore) -> HandedIn:
    return HandedIn(keys.folder)


def test_variables_lie_in_a_file_for_their_owner_alone(handed: HandedIn, keys: KeyStore) -> None:
    handed.ensure_environment("app", WORKSPACE, {"B": "x = 'y'", "A": ""})
    path = keys.folder("app", WORKSPACE) / "secrets" / "environment"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("A=\nB=x = 'y'\n", 0o600)
    assert {name: value.reveal() for name, value in handed.environment("app", WORKSPACE).items()} == {
        "A": "", "B": "x = 'y'"
    }  # fmt: skip


def test_the_token_changes_with_the_variables_and_tells_none_of_them(handed: HandedIn) -> None:
    tokens = [handed.ensure_environment("app", WORKSPACE, values) for values in ({"A": "1"}, {"A": "1"}, {"A": "2"})]
    assert tokens[0] == tokens[1] != tokens[2]
    assert handed.ensure_environment("app", WORKSPACE, {"A": "1"}) not in tokens  # no hash: it can be of anything
    assert handed.ensure_environment("app", WORKSPACE, {}) == ""
    assert handed.environment("app", WORKSPACE) == {}


def test_a_sidecar_has_one_password_and_another_one_another(handed: HandedIn) -> None:
    first = handed.ensure_sidecar("app", WORKSPACE, "db").reveal()
    assert first == handed.ensure_sidecar("app", WORKSPACE, "db").reveal()
    assert first != handed.ensure_sidecar("app", WORKSPACE, "cache").reveal()
    assert len(first) == 32


def test_a_password_can_be_read_inside_and_by_nobody_else_here(handed: HandedIn, keys: KeyStore) -> None:
    handed.ensure_sidecar("app", WORKSPACE, "db")
    inside = Path(handed.sidecar_folder("app", WORKSPACE, "db"))
    assert ((inside / "password").stat().st_mode & 0o777, inside.stat().st_mode & 0o777) == (0o644, 0o755)
    assert [path.stat().st_mode & 0o777 for path in (inside.parent, keys.folder("app", WORKSPACE))] == [0o700, 0o700]


def test_forgetting_leaves_nothing(handed: HandedIn, keys: KeyStore) -> None:
    handed.ensure_environment("app", WORKSPACE, {"A": "1"})
    handed.ensure_sidecar("app", WORKSPACE, "db")
    keys.ensure("app", WORKSPACE, ())
    handed.forget("app", WORKSPACE)
    keys.forget("app", WORKSPACE)
    assert not keys.folder("app", WORKSPACE).exists()
    handed.forget("app", WORKSPACE)  # a second time is nothing


def test_what_is_handed_in_is_known_as_a_secret(handed: HandedIn, tmp_path: Path) -> None:
    values = {"TOKEN": "abc", "PLAIN": "a-long-value", "SHORT": "dev", "URL": "db://me:pass1@db/x"}
    handed.ensure_environment("app", WORKSPACE, values)
    password = handed.ensure_sidecar("app", WORKSPACE, "db").reveal()
    (tmp_path / ".env").write_text("API_KEY='of-dotenv'\n")
    found = find_secrets(tmp_path / "state", tmp_path, tmp_path, {})
    assert {"abc", "a-long-value", "pass1", password, "of-dotenv"} <= found
    assert "dev" not in found


def test_a_file_is_read_as_compose_reads_it_but_a_dollar_is_a_dollar(handed: HandedIn, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('# words\nexport A=1\nB = \'x y\' # why\nC="a\\"b"\nD=pa$$ ${A}\nE=\nF\n')
    assert handed.read_file(str(path)) == {"A": "1", "B": "x y", "C": 'a"b', "D": "pa$$ ${A}", "E": ""}
    assert handed.read_file(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("data", "words"), [(b"A=1\nB: x y\n", ":2: is no NAME"), (b'A="1\n2"\n', "more than a line"), (b"A=\xff", "UTF-8")]
)
def test_what_is_no_line_of_text_is_refused_with_its_place(
    handed: HandedIn, tmp_path: Path, data: bytes, words: str
) -> None:
    path = tmp_path / ".env"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words):
        handed.read_file(str(path))
