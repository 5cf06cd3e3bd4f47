"""What a machine keeps of backups, and what opens a place for them: tight modes, nothing shown, nothing guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.adapters.backups.access import find_access
from builder.adapters.backups.store import BackupStore
from builder.adapters.hostinfo import NetworkSettings
from builder.adapters.keys import KeyStore
from builder.core.backups import Access, parse_place
from builder.errors import BackupError, ConfigError, HostError
from builder.model import Secret

SETTINGS = NetworkSettings(ca_bundle=b"PEM", proxies={"https_proxy": "http://proxy.example:3128"})
WORKSPACE = Path("/home/me/my-app")
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def store(tmp_path: Path) -> BackupStore:
    keys = KeyStore(tmp_path / "state", tmp_path)
    return BackupStore(
        keys.folder, environment={}, home=tmp_path, cache=tmp_path / "cache", settings=lambda: NetworkSettings()
    )


def kept(tmp_path: Path, name: str) -> Path:
    (found,) = (tmp_path / "state").glob(f"devbox/my-app-*/{name}")
    return found


def test_the_password_is_kept_for_nobody_else(store: BackupStore, tmp_path: Path) -> None:
    assert store.password("my-app", WORKSPACE) is None
    made = store.new_password()
    assert len(made.reveal()) >= 32
    assert made != store.new_password()
    store.keep_password("my-app", WORKSPACE, made)
    assert store.password("my-app", WORKSPACE) == made
    path = kept(tmp_path, "backup-password")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    store.password("my-app", WORKSPACE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.password("my-app", Path("/elsewhere")) is None


def test_a_password_of_before_is_kept_however_often_another_one_comes(store: BackupStore, tmp_path: Path) -> None:
    assert store.keep_password("my-app", WORKSPACE, Secret("works")) == ""
    assert store.keep_password("my-app", WORKSPACE, Secret("works")) == ""
    assert store.keep_password("my-app", WORKSPACE, Secret("mistyped"))
    told = store.keep_password("my-app", WORKSPACE, Secret("mistyped again"))
    path = kept(tmp_path, "backup-password.before")
    assert told == str(path)
    assert path.read_text() == "works\nmistyped\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.password("my-app", WORKSPACE) == Secret("mistyped again")


@pytest.mark.parametrize("text", ["", " x", "x ", "a\nb", "x" * 1025, "\x00"])
def test_a_password_that_would_be_read_otherwise_is_refused(store: BackupStore, text: str) -> None:
    with pytest.raises(ConfigError, match="is no password of a backup"):
        store.keep_password("my-app", WORKSPACE, Secret(text))
    assert store.password("my-app", WORKSPACE) is None


def test_a_password_behind_a_link_is_refused(store: BackupStore, tmp_path: Path) -> None:
    store.keep_password("my-app", WORKSPACE, Secret("x"))
    path = kept(tmp_path, "backup-password")
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(HostError, match="is a link"):
        store.password("my-app", WORKSPACE)


def test_which_volumes_are_in_use_is_remembered(store: BackupStore) -> None:
    assert store.volumes("my-app", WORKSPACE) == {}
    store.use_volumes("my-app", WORKSPACE, {"home": "my-app_home_20260101-000000"})
    assert store.volumes("my-app", WORKSPACE) == {"home": "my-app_home_20260101-000000"}
    store.use_volumes("my-app", WORKSPACE, {})
    store.use_volumes("my-app", WORKSPACE, {})
    assert store.volumes("my-app", WORKSPACE) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"home": 1}', '{"home": "../x"}', '{"home": "-v"}'])
def test_damaged_names_of_volumes_are_an_error_and_no_guess(store: BackupStore, tmp_path: Path, text: str) -> None:
    store.use_volumes("my-app", WORKSPACE, {"home": "x"})
    kept(tmp_path, "volumes.json").write_text(text)
    with pytest.raises(HostError, match="is damaged"):
        store.volumes("my-app", WORKSPACE)


def test_a_disk_that_is_not_there_becomes_no_folder_on_another(store: BackupStore, tmp_path: Path) -> None:
    away = parse_place("x", str(tmp_path / "mnt/disk"))
    with pytest.raises(BackupError, match="there is no such folder"):
        store.owner(away, make=True)
    assert not (tmp_path / "mnt").exists()
    beside = parse_place("x", str(tmp_path / "new"))
    with pytest.raises(BackupError, match="there is no such folder"):
        store.owner(beside, make=False)
    assert store.owner(beside, make=True) == (os.geteuid(), os.getegid())
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_the_program_inside_imports_nothing_that_is_not_sent_along(store: BackupStore) -> None:
    for path, file in store.program().items():
        for line in file.data.decode().splitlines():
            if line.lstrip().startswith(("from builder", "import builder")):
                module = line.split()[1].replace(".", "/") + ".py"
                assert module in store.program(), f"{path}: {line}"


# ------------------------------------------------------------------------------------------------------ access


def access(text: str, home: Path, environ: Mapping[str, str] | None = None, identity: str | None = None) -> Access:
    return find_access(parse_place(text, "/b"), identity, environ or {}, home, SETTINGS)


def test_a_folder_needs_nothing(tmp_path: Path) -> None:
    assert access("./b", tmp_path) == Access()


def test_sftp_takes_one_key_and_the_hosts_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there is no SSH key"):
        access("sftp://me@nas/b", tmp_path)
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "id_rsa").write_bytes(KEY)
    with pytest.raises(BackupError, match="no host key is known") as caught:
        access("sftp://me@nas/b", tmp_path)
    assert caught.value.hint is not None
    assert "ssh me@nas" in caught.value.hint
    (folder / "known_hosts").write_bytes(b"nas ssh-ed25519 AAAA\n")
    found = access("sftp://me@nas:2222/b", tmp_path)
    assert found.files == {"identity": KEY, "known_hosts": b"nas ssh-ed25519 AAAA\n"}
    command = found.options[-1]
    assert "StrictHostKeyChecking=yes" in command
    assert command.endswith("-p 2222 me@nas -s sftp")
    (tmp_path / "own").write_bytes(b"own")
    assert access("sftp://nas/b", tmp_path, identity=str(tmp_path / "own")).files["identity"] == b"own"


def test_s3_takes_variables_or_the_file_of_others(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there are no credentials for s3"):
        access("s3:h/b", tmp_path)
    variables = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "r", "OTHER": "x"}
    found = access("s3:h/b", tmp_path, variables)
    assert found.environment == {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "r",
        "https_proxy": "http://proxy.example:3128",
    }
    assert (found.files, found.options) == ({"ca.crt": b"PEM"}, ("--cacert", "/run/backup/ca.crt"))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_bytes(b"[default]\n")
    found = access("s3:h/b", tmp_path, {"AWS_PROFILE": "p"})
    assert found.environment["AWS_SHARED_CREDENTIALS_FILE"] == "/run/backup/credentials"
    assert found.environment["AWS_PROFILE"] == "p"
    assert found.files["credentials"] == b"[default]\n"


def test_gs_takes_a_token_or_a_file(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there are no credentials for gs"):
        access("gs:b:/x", tmp_path)
    token = {"GOOGLE_ACCESS_TOKEN": "t", "GOOGLE_PROJECT_ID": "p"}
    assert access("gs:b:/x", tmp_path, token).environment.items() >= token.items()
    (tmp_path / "account.json").write_bytes(b"{}")
    found = access("gs:b:/x", tmp_path, {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json")})
    assert found.environment["GOOGLE_APPLICATION_CREDENTIALS"] == "/run/backup/credentials"
    assert found.files["credentials"] == b"{}"


def test_what_opens_a_place_shows_itself_nowhere(tmp_path: Path) -> None:
    variables = {"AWS_ACCESS_KEY_ID": "hidden", "AWS_SECRET_ACCESS_KEY": "hidden"}
    assert "hidden" not in repr(access("s3:h/b", tmp_path, variables))
