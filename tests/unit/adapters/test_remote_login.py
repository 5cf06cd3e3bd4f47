"""Host keys and logins against an SSH server of paramiko's, in this process: what is asked, refused and remembered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL

from builder.adapters.remote.address import parse_address
from builder.adapters.remote.knownhosts import fingerprint
from builder.adapters.remote.login import Credentials, check_host_key, log_in, prefer_known
from builder.adapters.remote.sshconfig import Target, find_target
from builder.adapters.remote.steps import DEADLINES, Question, StepError

PASSPHRASE = "open sesame"


def make_key(path: Path, passphrase: str | None = None) -> None:
    key = Ed25519PrivateKey.generate()
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:  # with few rounds: this is no secret
        lock = serialization.PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(1).build(passphrase.encode())
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock))
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(line + b" me\n")


@dataclass
class Door(paramiko.ServerInterface):
    """Who is let in: the holder of `key`, or of `password`."""

    key: bytes | None = None
    password: str | None = None
    seen: list[str] = field(default_factory=list)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password" if self.password else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.seen.append("key")
        return AUTH_SUCCESSFUL if key.asbytes() == self.key else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.seen.append(password)
        return AUTH_SUCCESSFUL if password == self.password else AUTH_FAILED


@contextmanager
def connected(
    door: Door, host_key: paramiko.PKey, prepare: Callable[[paramiko.Transport], object] = id
) -> Iterator[paramiko.Transport]:
    near, far = socket.socketpair()
    server, client = paramiko.Transport(far), paramiko.Transport(near)
    server.add_server_key(host_key)
    server.start_server(threading.Event(), door)
    try:
        prepare(client)
        client.start_client(timeout=10)
        yield client
    finally:
        client.close()
        server.close()


@dataclass
class Person:
    """Answers in turn, and what was asked."""

    answers: list[str | None]
    asked: list[Question] = field(default_factory=list)

    def __call__(self, question: Question) -> str | None:
        self.asked.append(question)
        return self.answers.pop(0)


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    found = find_target(parse_address("ssh://me@box", where="x"), {"HOME": str(tmp_path)})
    return replace(found, known_hosts=(tmp_path / ".ssh/known_hosts",), strict="ask", hashed=False)


@pytest.fixture(scope="module")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> paramiko.PKey:
    path = tmp_path_factory.mktemp("host") / "key"
    make_key(path)
    return paramiko.Ed25519Key.from_private_key_file(str(path))


def meet(target: Target, host_key: paramiko.PKey, person: Person) -> str:
    with connected(Door(), host_key, lambda transport: prefer_known(transport, target)) as transport:
        return check_host_key(transport, target, prefer_known(transport, target), person)


def test_an_unknown_key_is_shown_and_asked_for_once(target: Target, host_key: paramiko.PKey) -> None:
    person = Person(["yes"])
    assert "new" in meet(target, host_key, person)
    assert fingerprint(host_key.asbytes()) in person.asked[0].text
    assert f"{target.known_hosts[0]}:1" in meet(target, host_key, Person([]))


@pytest.mark.parametrize(("answer", "words"), [("no", "not accepted"), ("", "not accepted"), (None, "nobody is there")])
def test_an_unknown_key_that_nobody_accepts_ends_it(
    target: Target, host_key: paramiko.PKey, answer: str | None, words: str
) -> None:
    with pytest.raises(StepError, match=words):
        meet(target, host_key, Person([answer]))
    assert not target.known_hosts[0].exists()


def test_accept_new_asks_nobody_and_remembers(target: Target, host_key: paramiko.PKey) -> None:
    meet(replace(target, strict="accept-new"), host_key, Person([]))
    assert host_key.get_base64() in target.known_hosts[0].read_text()


def test_strict_refuses_what_it_does_not_know(target: Target, host_key: paramiko.PKey) -> None:
    with pytest.raises(StepError, match="is not known"):
        meet(replace(target, strict="yes"), host_key, Person([]))


def test_a_changed_key_is_fatal_and_named_by_file_and_line(
    target: Target, host_key: paramiko.PKey, tmp_path: Path
) -> None:
    make_key(tmp_path / "other")
    line = (tmp_path / "other.pub").read_text()
    target.known_hosts[0].write_text(f"# of before\nbox {line}")
    for strict in ("ask", "accept-new"):
        with pytest.raises(StepError, match="changed") as caught:
            meet(replace(target, strict=strict), host_key, Person([]))
        assert caught.value.where == f"{target.known_hosts[0]}:2"
        assert "ssh-keygen -R" in str(caught.value)


def test_a_revoked_key_is_refused(target: Target, host_key: paramiko.PKey) -> None:
    target.known_hosts[0].write_text(f"@revoked box ssh-ed25519 {host_key.get_base64()}\n")
    with pytest.raises(StepError, match="revoked"):
        meet(target, host_key, Person([]))


# -------------------------------------------------------------------------------------------------------- login


def enter(target: Target, door: Door, host_key: paramiko.PKey, person: Person, credentials: Credentials) -> str:
    with connected(door, host_key) as transport:
        return log_in(transport, target, credentials, person)


def public(path: Path) -> bytes:
    blob = paramiko.pkey.PublicBlob.from_string(path.with_name(f"{path.name}.pub").read_text()).key_blob
    return bytes(blob)


def test_a_key_file_opens_the_door_without_a_question(target: Target, host_key: paramiko.PKey) -> None:
    make_key(target.identities[0])
    assert "id_ed25519" in enter(target, Door(public(target.identities[0])), host_key, Person([]), Credentials())


def test_a_locked_key_is_asked_for_three_times_at_most_and_kept_for_the_next_connection(
    target: Target, host_key: paramiko.PKey
) -> None:
    make_key(target.identities[0], PASSPHRASE)
    door, kept = Door(public(target.identities[0])), Credentials()
    person = Person(["wrong", PASSPHRASE])
    enter(target, door, host_key, person, kept)
    assert [question.secret for question in person.asked] == [True, True]
    enter(target, door, host_key, Person([]), kept)
    assert PASSPHRASE not in repr(kept)
    with pytest.raises(StepError, match="not let in"):
        enter(target, door, host_key, Person(["a", "b", "c"]), Credentials())


def test_a_password_is_asked_for_where_no_key_is_taken(target: Target, host_key: paramiko.PKey) -> None:
    make_key(target.identities[0])
    door, kept = Door(password="right"), Credentials()
    enter(target, door, host_key, Person(["wrong", "right"]), kept)
    assert door.seen == ["key", "wrong", "right"]
    enter(target, door, host_key, Person([]), kept)


def test_who_is_not_let_in_hears_what_was_offered_and_what_to_do(target: Target, host_key: paramiko.PKey) -> None:
    make_key(target.identities[0])
    with pytest.raises(StepError, match=r"me is not let in; offered: .*id_ed25519") as caught:
        enter(target, Door(), host_key, Person([]), Credentials())
    assert "ssh-copy-id" in str(caught.value)
    assert caught.value.step == "login"


def test_nobody_is_asked_for_a_password_that_the_server_does_not_take(target: Target, host_key: paramiko.PKey) -> None:
    with pytest.raises(StepError, match="no key"):
        enter(target, Door(), host_key, Person([]), Credentials())


def test_a_password_that_is_not_enough_is_no_login(target: Target, host_key: paramiko.PKey) -> None:
    class TwoLocks(Door):
        def check_auth_password(self, username: str, password: str) -> int:
            return AUTH_PARTIALLY_SUCCESSFUL

    with pytest.raises(StepError, match="not let in"):
        enter(target, TwoLocks(password="right"), host_key, Person(["right"]), Credentials())


def test_an_agent_that_says_nothing_is_passed_over(
    target: Target, host_key: paramiko.PKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEADLINES, "agent", 0.2)
    make_key(target.identities[0])
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "agent"))
        silent.listen()
        asking = replace(target, agent=str(tmp_path / "agent"))
        assert "id_ed25519" in enter(asking, Door(public(target.identities[0])), host_key, Person([]), Credentials())


@pytest.mark.parametrize(
    ("passphrase", "words", "hint"),
    [
        (None, ".ssh/id_ed25519", "`ssh-copy-id -p 2200 me@box`"),
        (PASSPHRASE, "no key: ", "`ssh-add` unlocks it"),
        ("", "there is none in ~/.ssh", "`ssh-keygen -t ed25519` makes one"),
    ],
)
def test_who_is_not_let_in_is_told_what_was_offered_and_what_helps(
    target: Target, host_key: paramiko.PKey, tmp_path: Path, passphrase: str | None, words: str, hint: str
) -> None:
    if passphrase != "":
        make_key(tmp_path / ".ssh/id_ed25519", passphrase)
    nobody = Person([None])
    with connected(Door(), host_key) as transport, pytest.raises(StepError, match=words) as caught:
        log_in(transport, replace(target, port=2200), Credentials(), nobody)
    assert hint in str(caught.value.hint)
