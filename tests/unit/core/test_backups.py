"""`backup:` of devbox.yaml: places and what they mean to restic; and what restic's complaints mean."""

from __future__ import annotations

import pytest

from builder.core.backups import Kind, Trouble, first_fatal, parse_place, read_snapshots, understand
from builder.errors import ConfigError
from tests.unit.core.builders import make_config


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("./b", Kind.FOLDER, "/repository"),
        ("sftp://me@nas.example/srv/b", Kind.SFTP, "sftp:me@nas.example:/srv/b"),
        ("sftp://nas/~/b", Kind.SFTP, "sftp:nas:b"),
        ("sftp://me@nas:2222/b", Kind.SFTP, "sftp:me@nas:/b"),
        ("s3:s3.example.org/bucket/x", Kind.S3, "s3:s3.example.org/bucket/x"),
        ("s3:http://127.0.0.1:9000/bucket", Kind.S3, "s3:http://127.0.0.1:9000/bucket"),
        ("gs:bucket:/x", Kind.GS, "gs:bucket:/x"),
    ],
)
def test_a_place_is_told_to_restic(text: str, kind: Kind, address: str) -> None:
    choice = make_config(f"backup: {text}").backup
    assert choice.to == text
    place = parse_place(text, "/home/me/my-app/b")
    assert (place.kind, place.address) == (kind, address)
    assert place.shown == ("/home/me/my-app/b" if kind is Kind.FOLDER else address)


@pytest.mark.parametrize(
    "text",
    [
        "sftp://me:secret@nas/b", "sftp://-oProxyCommand=x/b", "sftp://nas", "s3:https://key:secret@h/b", "gs:bucket",
        "rest:http://h/", "b2:bucket", "../b", "a/../b", "~other/b", "-b", "s3:h/b/../c", "",
    ],
)  # fmt: skip
def test_another_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"backup\.to|backup"):
        make_config(f"backup: {{to: '{text}'}}")


@pytest.mark.parametrize("text", ["/x", "-x", "a\\b", "[a]", "a//b", "!x", "$HOME", "../x"])
def test_a_pattern_that_restic_reads_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"backup\.exclude"):
        make_config(f"backup: {{to: ./b, exclude: ['{text}']}}")


@pytest.mark.parametrize(
    ("code", "said", "trouble"),
    [
        (1, "Fatal: wrong password or no key found", Trouble.PASSWORD),
        (12, "", Trouble.PASSWORD),
        (1, "Fatal: unable to open config file: stat /repository/config: no such file or directory", Trouble.ABSENT),
        (10, "", Trouble.ABSENT),
        (1, "unable to create lock in backend: repository is already locked exclusively by PID 7", Trouble.LOCKED),
        (1, "Load(<config/0>) returned error, retrying after 1s: dial tcp 127.0.0.1:9: connection refused",
         Trouble.NETWORK),
        (1, "subprocess ssh: Host key verification failed.\nFatal: unable to start the sftp session", Trouble.DENIED),
        (1, "unable to start the sftp session, error: read |0: file already closed", Trouble.SESSION),
        (1, "subprocess ssh: connect to host nas port 22: Connection refused\nunable to start the sftp session",
         Trouble.NETWORK),
        (1, "subprocess ssh: me@nas: Permission denied (publickey).", Trouble.DENIED),
        (1, "Fatal: unable to open config file: Stat: The Access Key Id does not exist: InvalidAccessKeyId",
         Trouble.DENIED),
        (1, "Save(<data/1>) returned error: write: no space left on device", Trouble.SPACE),
        (1, "Fatal: no snapshot found", Trouble.SNAPSHOT),
        (1, "Fatal: config cannot be loaded: unsupported repository version", Trouble.VERSION),
        (1, "ciphertext verification failed", Trouble.DAMAGED),
        (1, "something else", Trouble.OTHER),
    ],
)  # fmt: skip
def test_what_restic_says_is_understood(code: int, said: str, trouble: Trouble) -> None:
    assert understand("backup", code, said) is trouble


def test_a_manifest_that_cannot_be_read_is_no_matter_of_restic() -> None:
    assert understand("manifest", 1, "no snapshot") is Trouble.MANIFEST


def test_the_line_that_says_most_is_told() -> None:
    assert first_fatal("open repository\nFatal: wrong password\nmore") == "wrong password"
    assert first_fatal("subprocess ssh: warning\nFatal: error: EOF\nsubprocess ssh: nas: refused") == "nas: refused"
    assert first_fatal("\n") == "it said nothing"


def test_snapshots_are_listed_the_newest_last() -> None:
    told = [
        {"id": "b", "time": "2026-02-01T00:00:00Z", "hostname": "my-app", "paths": ["/source/manifest.gz"]},
        {"id": "a", "time": "2026-01-01T00:00:00Z", "hostname": "x", "paths": ["/source/home", "/source/manifest.gz"]},
    ]
    assert [(item.id, item.name, item.volumes) for item in read_snapshots(told)] == [
        ("a", "x", ("home",)),
        ("b", "my-app", ()),
    ]
