"""~/.ssh/config and known_hosts, as OpenSSH understands them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from paramiko.hostkeys import HostKeys

from builder.adapters.remote.address import parse_address
from builder.adapters.remote.knownhosts import add_known, find_known, fingerprint
from builder.adapters.remote.sshconfig import Target, find_jumps, find_target
from builder.errors import ConfigError, HostError

BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)
KEY = f"ssh-ed25519 {base64.b64encode(BLOB).decode()}"


def target(home: Path, config: str, address: str = "ssh://box") -> Target:
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh/config").write_text(config)
    return find_target(parse_address(address, where="x"), {"HOME": str(home), "USER": "me", "SSH_AUTH_SOCK": "/agent"})


def test_the_words_of_ssh_config_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # paramiko writes it in place of ~
    found = target(
        tmp_path,
        "Host box\n  HostName 192.0.2.7\n  Port 2222\n  User you\n  IdentityFile ~/.ssh/work\n  IdentitiesOnly yes\n"
        "  UserKnownHostsFile ~/.ssh/other\n  StrictHostKeyChecking accept-new\n  ConnectTimeout 3\n"
        "  HashKnownHosts yes\n  ServerAliveInterval 5\n",
    )
    assert (found.host, found.port, found.user) == ("192.0.2.7", 2222, "you")
    assert found.identities == (tmp_path / ".ssh/work",)
    assert found.only_identities
    assert found.known_hosts[0] == tmp_path / ".ssh/other"
    assert (found.strict, found.connect_s, found.hashed, found.alive_s) == ("accept-new", 3.0, True, 5.0)
    assert found.key_name == "[192.0.2.7]:2222"
    assert found.agent == "/agent"


def test_what_the_address_says_comes_before_the_config(tmp_path: Path) -> None:
    found = target(tmp_path, "Host *\n  User you\n  Port 2222\n", "ssh://me@box:22")
    assert (found.user, found.port, found.key_name) == ("me", 22, "box")


def test_without_a_config_the_usual_keys_are_offered(tmp_path: Path) -> None:
    found = target(tmp_path, "")
    assert [path.name for path in found.identities] == ["id_ed25519", "id_ecdsa", "id_rsa"]
    assert (found.user, found.strict, found.jumps) == ("me", "ask", ())


def test_include_brings_other_files_and_leaves_the_section_as_it_was(tmp_path: Path) -> None:
    (tmp_path / ".ssh/conf.d").mkdir(parents=True)
    (tmp_path / ".ssh/conf.d/a").write_text("Host other\n  Port 1\n")
    found = target(tmp_path, "Include conf.d/*\nUser you\nHost box\n  Port 2222\n")
    assert (found.user, found.port) == ("you", 2222)


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="too deeply"):
        target(tmp_path, "Include config\n")


def test_jump_hosts_come_in_their_order_and_a_trick_is_no_jump_host(tmp_path: Path) -> None:
    found = target(tmp_path, "Host box\n  ProxyJump a@one:2200,two\n")
    assert [str(jump) for jump in found.jumps] == ["ssh://a@one:2200", "ssh://two"]
    with pytest.raises(ConfigError, match="no address"):
        target(tmp_path, "Host box\n  ProxyJump $(reboot)\n")


@pytest.mark.parametrize(
    ("config", "jumps", "command"),
    [
        ("ProxyCommand none\n", [], ""),
        ("Host box\n  ProxyCommand none\nHost *\n  ProxyJump one\n", [], ""),
        ("Host box\n  ProxyJump none\nHost *\n  ProxyCommand nc %h %p\n", [], ""),
        ("Host box\n  ProxyJump one\nHost *\n  ProxyCommand nc %h %p\n", ["ssh://one"], ""),
        ("Host box\n  ProxyCommand nc %h %p\nHost *\n  ProxyJump one\n", [], "nc box 22"),
    ],
)
def test_of_the_ways_there_the_first_that_is_written_holds(
    tmp_path: Path, config: str, jumps: list[str], command: str
) -> None:
    found = target(tmp_path, config)
    assert ([str(jump) for jump in found.jumps], found.command) == (jumps, command)


def test_a_program_on_the_way_is_told_what_the_address_says(tmp_path: Path) -> None:
    config = "Host box\n  HostName 192.0.2.7\n  Port 1\n  User you\n  ProxyCommand go %r %n %h:%p 50%%\n"
    assert target(tmp_path, config, "ssh://me@box:2222").command == "go me box 192.0.2.7:2222 50%"


def test_the_user_of_the_address_chooses_a_section(tmp_path: Path) -> None:
    assert target(tmp_path, "Match user me\n  Port 7\n", "ssh://me@box").port == 7


def jumps(home: Path, config: str) -> list[str]:
    return [
        f"{item.user}@{item.host}:{item.port}"
        for item in find_jumps(target(home, config), {"HOME": str(home), "USER": "me"})
    ]


def test_the_nearest_jump_host_is_reached_as_its_own_section_says(tmp_path: Path) -> None:
    config = (
        "Host box\n  ProxyJump one,two\nHost one\n  User you\n  ProxyJump outer\nHost two\n  ProxyJump elsewhere\n"
        "Host outer\n  HostName 192.0.2.7\n  Port 2200\n"
    )
    assert jumps(tmp_path, config) == ["me@192.0.2.7:2200", "you@one:22", "me@two:22"]


@pytest.mark.parametrize(
    "config",
    [
        "Host *\n  ProxyJump gate\n",
        "Host box\n  ProxyJump one\nHost one\n  ProxyJump two\nHost two\n  ProxyJump one\n",
        "Host *\n  ProxyJump gate-%h\n",
    ],
)
def test_jump_hosts_that_lead_in_a_circle_are_told(tmp_path: Path, config: str) -> None:
    with pytest.raises(HostError, match="circle"):
        jumps(tmp_path, config)


def test_no_never_means_that_a_changed_key_is_passed_over(tmp_path: Path) -> None:
    assert target(tmp_path, "StrictHostKeyChecking no\n").strict == "accept-new"
    with pytest.raises(HostError, match="unknown"):
        target(tmp_path, "StrictHostKeyChecking perhaps\n")


# ------------------------------------------------------------------------------------------------- known_hosts


@pytest.mark.parametrize(
    ("pattern", "name", "known"),
    [
        ("box", "box", True),
        ("other,box", "box", True),
        ("*.example.org", "box.example.org", True),
        ("*.example.org,!box.example.org", "box.example.org", False),
        ("[box]:2222", "[box]:2222", True),
        ("box", "[box]:2222", False),
        ("b?x", "box", True),
    ],
)
def test_patterns_of_known_hosts(tmp_path: Path, pattern: str, name: str, known: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# a comment\n\n{pattern} {KEY} somebody\n")
    found = find_known([file], name)
    assert [(key.line, key.blob) for key in found] == ([(3, BLOB)] if known else [])


def test_a_hashed_name_and_a_revoked_key_are_known_for_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{HostKeys.hash_host('box')} {KEY}\n@revoked box {KEY}\n@cert-authority box {KEY}\n")
    assert [(key.place, key.revoked) for key in find_known([file], "box")] == [
        (f"{file}:1", False),
        (f"{file}:2", True),
    ]


def test_a_new_key_is_a_line_of_its_own_for_nobody_else_to_read(tmp_path: Path) -> None:
    file = tmp_path / "new/known_hosts"
    add_known(file, "box", "ssh-ed25519", BLOB, hashed=False)
    assert file.read_text() == f"box {KEY}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("# without an end")
    add_known(file, "box", "ssh-ed25519", BLOB, hashed=True)
    assert [key.line for key in find_known([file], "box")] == [2]
    assert "box" not in file.read_text()


def test_the_fingerprint_is_that_of_openssh() -> None:
    expected = base64.b64encode(hashlib.sha256(BLOB).digest()).decode()[:-1]
    assert fingerprint(BLOB) == f"SHA256:{expected}"


@pytest.mark.parametrize(
    ("written", "seconds"), [("", 10.0), ("0", 10.0), ("none", 10.0), ("7", 7.0), ("1m30s", 90.0), ("2H", 7200.0)]
)
def test_a_time_is_written_as_openssh_has_it(tmp_path: Path, written: str, seconds: float) -> None:
    found = target(tmp_path, f"ConnectTimeout {written}\nServerAliveInterval {written}\n" if written else "")
    assert (found.connect_s, found.alive_s) == (seconds, seconds)


@pytest.mark.parametrize("line", ["Port ssh", "Port 70000", "ConnectTimeout soon"])
def test_a_number_that_is_none_is_an_error_and_no_traceback(tmp_path: Path, line: str) -> None:
    with pytest.raises(HostError, match="is no"):
        target(tmp_path, f"{line}\n")


def test_without_a_file_of_known_hosts_nothing_is_remembered(tmp_path: Path) -> None:
    found = target(tmp_path, "UserKnownHostsFile none\n")
    assert found.known_hosts == (Path("/dev/null"), Path("/etc/ssh/ssh_known_hosts"))
    add_known(found.known_hosts[0], "box", "ssh-ed25519", BLOB, hashed=False)
    assert find_known(found.known_hosts[:1], "box") == ()


@pytest.mark.parametrize("name", ["|1|x|y", "|1|", "|2|a|b", "|1|AAAA|AAAA"])
def test_a_hashed_name_that_is_none_is_passed_over(tmp_path: Path, name: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{name} {KEY}\nbox {KEY}\n")
    assert [item.line for item in find_known([file], "box")] == [2]
