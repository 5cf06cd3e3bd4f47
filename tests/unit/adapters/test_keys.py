"""Secrets are made once, kept private, and only real public keys get in."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import paramiko
import pytest
from cryptography import x509

from builder.adapters.files import PART
from builder.adapters.keys import ALPHABET, KeyStore, parse_public_key
from builder.errors import ConfigError, HostError
from builder.model import Exposure

HERE = Path("/some/workspace")


def public_key(kind: str = "ssh-ed25519", comment: str = "me") -> str:
    blob = struct.pack(">I", len(kind)) + kind.encode() + struct.pack(">I", 32) + bytes(32)
    return f"{kind} {base64.b64encode(blob).decode()} {comment}"


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    return KeyStore(tmp_path / "state", tmp_path / "home")


def test_secrets_are_made_once_and_kept(store: KeyStore) -> None:
    first = store.ensure("demo", HERE, ())
    kept = {path: path.read_bytes() for path in Path(first.folder).parent.rglob("*") if path.is_file()}
    second = store.ensure("demo", HERE, ())
    assert first == second
    assert kept == {path: path.read_bytes() for path in Path(first.folder).parent.rglob("*") if path.is_file()}
    assert {path.name for path in Path(first.folder).iterdir()} == {
        "vnc-password",
        "ssh_host_ed25519_key",
        "ssh_host_ed25519_key.pub",
        "authorized_keys",
    }


def test_everything_is_private(store: KeyStore) -> None:
    folder = Path(store.ensure("demo", HERE, ()).folder).parent
    modes = {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*")) if path.is_dir()}
    assert modes == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}


def test_loose_permissions_are_tightened(store: KeyStore) -> None:
    folder = Path(store.ensure("demo", HERE, ()).folder)
    folder.chmod(0o755)
    (folder / "vnc-password").chmod(0o644)
    store.ensure("demo", HERE, ())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "vnc-password").stat().st_mode & 0o777 == 0o600


def test_what_root_makes_for_a_reader_is_given_to_that_one_for_good(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda path, uid, gid, **_: given.update({Path(path).name: (uid, gid)}))
    folder = Path(store.folder("demo", HERE))
    folder.mkdir(parents=True)
    if folder.stat().st_uid:  # nobody but root really owns what root makes
        monkeypatch.setattr("builder.adapters.keys.private_folder", lambda path, **_: path.mkdir(exist_ok=True))

    store.ensure("demo", HERE, (), reader=(4321, 4322))

    inside = {"secrets", "vnc-password", "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "authorized_keys"}
    assert given == dict.fromkeys(inside, (4321, 4322))


def test_a_new_password_belongs_to_whom_the_folder_was_given(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(store.ensure("demo", HERE, ()).folder)
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda path, uid, gid, **_: given.update({Path(path).name: (uid, gid)}))
    monkeypatch.setattr(Path, "lstat", lambda self: SimpleNamespace(st_uid=-1, st_gid=-1, st_mode=0))  # root's, new

    store.rotate_password("demo", HERE)

    assert given["vnc-password"] == (folder.stat().st_uid, folder.stat().st_gid)


def test_two_workspaces_of_one_name_have_secrets_of_their_own(store: KeyStore) -> None:
    first = store.ensure("demo", HERE, ())
    other = store.ensure("demo", Path("/another/workspace"), ())
    assert first.folder != other.folder
    assert first.password != other.password


THERE = Path("/elsewhere")


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "place.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def known(store: KeyStore) -> Path:
    """The folder of a workspace that was at HERE, and is known by its token."""
    folder = Path(store.ensure("demo", HERE, ()).folder).parent
    store.remember("demo", HERE, "token")
    return folder


def test_the_secrets_of_a_folder_that_was_moved_go_along_and_its_old_path_leads_there(store: KeyStore) -> None:
    old = known(store)
    (old / "volumes.json").write_text("{}")
    before = contents(old)
    assert store.find_moved("demo", HERE, "token") == ()
    assert store.find_moved("demo", THERE, "token") == (str(HERE),)
    assert store.find_moved("demo", THERE, "another") == ()
    store.move("demo", str(HERE), THERE)
    assert contents(store.folder("demo", THERE)) == before
    assert contents(old) == before, "the container of then would not find its secrets"
    assert store.owner("demo", str(HERE)) == str(THERE)
    assert store.owner("demo", str(THERE)) == str(THERE)
    assert store.find_moved("demo", THERE, "token") == ()
    with pytest.raises(HostError, match=f"went along to {THERE}"):
        store.ensure("demo", HERE, ())


def test_a_folder_may_go_on_and_come_back(store: KeyStore) -> None:
    old, last = known(store), Path("/last")
    (old / "volumes.json").write_text("{}")
    before = contents(old)
    for one, other in ((HERE, THERE), (THERE, last), (last, HERE), (HERE, THERE)):
        store.move("demo", str(one), other)
        assert contents(store.folder("demo", other)) == before
        assert store.owner("demo", str(one)) == store.owner("demo", str(HERE)) == str(other)
    store.forget("demo", THERE)
    assert [path.name for path in old.parent.glob("demo-*")] == [store.folder("demo", THERE).name], "of the backups"
    (store.folder("demo", THERE) / "volumes.json").unlink()
    store.forget("demo", THERE)
    assert list(old.parent.glob("demo-*")) == []
    assert {str(path): store.owner("demo", str(path)) for path in (HERE, last)} == {
        str(HERE): str(HERE), str(last): str(last),
    }  # fmt: skip
    store.ensure("demo", HERE, ())


def test_a_move_to_where_another_one_was_before_is_refused(store: KeyStore) -> None:
    known(store)
    store.move("demo", str(HERE), THERE)
    store.ensure("demo", Path("/third"), ())
    with pytest.raises(HostError, match=f"went along to {THERE}"):
        store.move("demo", "/third", HERE)
    assert store.owner("demo", str(HERE)) == str(THERE)


@pytest.mark.parametrize("step", ["symlink_to", "rename"])
def test_a_move_that_was_cut_off_is_finished_by_the_next(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old = known(store)
    before = contents(old)
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.move("demo", str(HERE), THERE)
    assert store.find_moved("demo", THERE, "token") == (str(HERE),)
    store.move("demo", str(HERE), THERE)
    assert contents(old) == contents(store.folder("demo", THERE)) == before
    assert store.owner("demo", str(HERE)) == str(THERE)


def test_what_a_new_folder_has_not_comes_from_the_old_one_and_nothing_of_worth_is_lost(store: KeyStore) -> None:
    old = known(store)
    (old / "volumes.json").write_text("{}")
    new = store.folder("demo", THERE)
    newer = store.ensure("demo", THERE, ()).password.reveal()
    (new / "backup-password").write_text("of there")
    store.move("demo", str(HERE), THERE)
    assert store.ensure("demo", THERE, ()).password.reveal() == newer
    assert [(new / name).read_text() for name in ("volumes.json", "backup-password")] == ["{}", "of there"]
    assert store.owner("demo", str(HERE)) == str(THERE)


def test_two_of_what_cannot_be_made_again_are_left_to_the_person(store: KeyStore) -> None:
    folders = known(store), Path(store.ensure("demo", THERE, ()).folder).parent
    for folder in folders:
        (folder / "backup-password").write_text(folder.name)
    before = [contents(folder) for folder in folders]
    with pytest.raises(HostError, match="there are two of backup-password"):
        store.move("demo", str(HERE), THERE)
    assert [contents(folder) for folder in folders] == before


def test_what_a_killed_process_half_wrote_is_taken_away_and_nothing_else(store: KeyStore) -> None:
    folder = Path(store.ensure("demo", HERE, ()).folder)
    other = Path(store.ensure("demo", THERE, ()).folder) / f".vnc-password.abc{PART}"
    other.touch()
    kept = sorted(folder.parent.rglob("*"))
    (folder / f".vnc-password.abc{PART}").touch()
    store.tidy(HERE)
    assert sorted(folder.parent.rglob("*")) == kept
    assert other.exists(), "another workspace may be at work"
    store.tidy(Path("/never/made"))


def test_the_password_fits_vncauth_and_can_be_rotated(store: KeyStore) -> None:
    keys = store.ensure("demo", HERE, ())
    assert len(keys.password.reveal()) == 8
    assert set(keys.password.reveal()) <= set(ALPHABET)
    assert len(ALPHABET) == len(set(ALPHABET)) == 55
    fresh = store.rotate_password("demo", HERE)
    assert fresh != keys.password
    assert store.ensure("demo", HERE, ()).password == fresh


def test_rotating_before_there_is_one_is_an_error(store: KeyStore) -> None:
    with pytest.raises(HostError, match="no password yet"):
        store.rotate_password("demo", HERE)


def test_without_keys_of_the_person_a_pair_is_made_that_ssh_can_read(store: KeyStore) -> None:
    keys = store.ensure("demo", HERE, ())
    assert keys.identity is not None
    made = paramiko.Ed25519Key.from_private_key_file(keys.identity)
    assert made.get_base64() in (Path(keys.folder) / "authorized_keys").read_text()
    host = paramiko.Ed25519Key.from_private_key_file(str(Path(keys.folder) / "ssh_host_ed25519_key"))
    assert Path(keys.known_hosts).read_text() == f"* ssh-ed25519 {host.get_base64()}\n"
    assert not (Path(keys.folder) / "id_ed25519").exists()


def test_the_persons_own_keys_are_taken_and_odd_ones_left_out(tmp_path: Path, store: KeyStore) -> None:
    ssh = tmp_path / "home/.ssh"
    (ssh / "id_ed25519.pub").write_text(f"{public_key()}\n")
    (ssh / "id_dsa.pub").write_text("ssh-dss AAAA me\n")
    (ssh / "limited.pub").write_text(f'command="/bin/true" {public_key(comment="other")}\n')
    keys = store.ensure("demo", HERE, ())
    assert keys.identity is None
    assert (Path(keys.folder) / "authorized_keys").read_text() == f"{public_key()}\n"


def test_keys_of_the_config_are_lines_or_paths_and_replace_the_persons(tmp_path: Path, store: KeyStore) -> None:
    (tmp_path / "home/.ssh/id_ed25519.pub").write_text(f"{public_key(comment='own')}\n")
    (tmp_path / "home/team.pub").write_text(f"# team\n{public_key(comment='a')}\n{public_key(comment='b')}\n")
    keys = store.ensure("demo", HERE, (public_key(comment="c"), "~/team.pub"))
    lines = (Path(keys.folder) / "authorized_keys").read_text().splitlines()
    assert lines == [public_key(comment=name) for name in "cab"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-dss AAAAB3NzaC1kc3M=",
        f'command="x" {public_key()}',
        f"no-pty {public_key()}",
        public_key("ssh-rsa").replace("ssh-rsa", "ssh-ed25519", 1),
    ],
)
def test_what_is_no_plain_public_key_is_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        parse_public_key(line, where="x")


def test_a_private_key_named_in_the_config_is_refused(tmp_path: Path, store: KeyStore) -> None:
    (tmp_path / "home/id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match="private key"):
        store.ensure("demo", HERE, ("~/id",))


NO_PUBLIC_KEYS = {
    "private": b"-----BEGIN RSA PRIVATE KEY-----\n",
    "large": f"{public_key()}\n".encode() * 500,
    "bytes": bytes(range(256)),
    "options": f'command="id" {public_key()}\n'.encode(),
    "half a key": public_key()[:40].encode(),
    "known hosts": f"example.org {public_key()}\n".encode(),
    "one of two": f"{public_key()}\n-oProxyCommand=id\n".encode(),
}


@pytest.mark.parametrize("content", NO_PUBLIC_KEYS.values(), ids=NO_PUBLIC_KEYS)
@pytest.mark.parametrize("linked", [False, True], ids=["plain", "linked"])
def test_a_file_that_holds_no_public_keys_is_refused(
    tmp_path: Path, store: KeyStore, content: bytes, *, linked: bool
) -> None:
    (tmp_path / "home/team").write_bytes(content)
    (tmp_path / "home/link").symlink_to("team")
    with pytest.raises(ConfigError):
        store.ensure("demo", HERE, ("~/link" if linked else "~/team",))


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to nothing", "nothing"])
def test_what_is_no_file_of_public_keys_is_refused_and_not_waited_for(
    tmp_path: Path, store: KeyStore, kind: str
) -> None:
    path = tmp_path / "home/team"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "link to nothing":
            path.symlink_to("gone")
    with pytest.raises(ConfigError):
        store.ensure("demo", HERE, ("~/team",))


def test_secrets_are_not_written_behind_a_link(tmp_path: Path, store: KeyStore) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state/devbox").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="link"):
        store.ensure("demo", HERE, ())


# ------------------------------------------------------------------------------------------------------------- exposed

OPEN = Exposure(address="192.0.2.7", name="box.example", names=("box.example",), ssh=False)


def test_an_exposed_workstation_gets_a_certificate_and_the_hash_of_a_long_password(store: KeyStore) -> None:
    assert store.ensure_web("demo", HERE, OPEN, ("198.51.100.1",))
    keys = store.ensure("demo", HERE, ())
    assert keys.web_password is not None
    text = keys.web_password.reveal()
    assert len(text) == 20
    assert set(text) <= set(ALPHABET)
    hidden = Path(keys.folder)
    assert (hidden / "web-password.sha256").read_text() == hashlib.sha256(text.encode()).hexdigest() + "\n"
    assert all(text.encode() not in path.read_bytes() for path in hidden.iterdir())
    assert keys.authority is not None
    assert Path(keys.authority).is_file()
    assert {path.stat().st_mode & 0o777 for path in hidden.iterdir()} == {0o600}


def test_the_certificate_names_the_one_address_or_all_of_the_machine(store: KeyStore) -> None:
    mine = {"198.51.100.1", "2001:db8::1"}
    wanted = {"192.0.2.7": "192.0.2.7", "0.0.0.0": "198.51.100.1", "::": "2001:db8::1"}  # noqa: S104
    for number, (address, named) in enumerate(wanted.items()):
        project = f"demo-{number}"  # a certificate keeps a name that is wanted no more
        store.ensure_web(project, HERE, replace(OPEN, address=address), sorted(mine))
        pem = (store.folder(project, HERE) / "secrets/tls.pem").read_bytes()
        names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert {str(item.value) for item in names.value} & {"192.0.2.7", *mine} == {named}


def test_what_opens_the_web_door_is_kept_until_it_is_renewed(store: KeyStore) -> None:
    assert store.ensure_web("demo", HERE, OPEN, ())
    assert not store.ensure_web("demo", HERE, OPEN, ())
    first = store.ensure("demo", HERE, ()).web_password
    second = store.rotate_web_password("demo", HERE)
    assert second != first
    assert not store.ensure_web("demo", HERE, OPEN, ())
    assert store.ensure("demo", HERE, ()).web_password == second


def test_what_is_exposed_no_more_keeps_nothing_of_it(store: KeyStore) -> None:
    store.ensure_web("demo", HERE, OPEN, ())
    assert not store.ensure_web("demo", HERE, None, ())
    assert store.ensure("demo", HERE, ()).web_password is None
    left = {path.name for path in store.folder("demo", HERE).rglob("*")}
    assert not left & {"tls.pem", "web-password", "web-password.sha256"}
    with pytest.raises(HostError, match="is not exposed"):
        store.rotate_web_password("demo", HERE)


def test_two_workstations_share_the_authority_and_not_the_password(store: KeyStore) -> None:
    for name in ("one", "two"):
        store.ensure_web(name, HERE, OPEN, ())
    one, two = (store.ensure(name, HERE, ()) for name in ("one", "two"))
    assert one.authority == two.authority
    assert one.web_password != two.web_password


def test_what_is_forgotten_is_all_but_what_others_keep_there(store: KeyStore) -> None:
    for name in ("one", "two"):
        store.ensure_web(name, HERE, OPEN, ())
        store.ensure(name, HERE, ())
    (store.folder("two", HERE) / "of-a-backup").write_text("kept")

    for name in ("one", "two", "one"):
        store.forget(name, HERE)

    assert not store.folder("one", HERE).exists()
    assert [path.name for path in store.folder("two", HERE).iterdir()] == ["of-a-backup"]
    assert store.ensure("two", HERE, ()).authority
