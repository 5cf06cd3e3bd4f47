"""`devbox-lock.json`: what is written is read again, what was not written by us is refused with its line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builder.core.lock import (
    AptPackage,
    AptStep,
    Download,
    Lock,
    LockedBase,
    Recipe,
    Wanted,
    answer_by,
    explain_stale,
    make_wanted,
)
from builder.core.lock_file import dump_lock, parse_lock
from builder.core.lock_npm import NpmPackage
from builder.core.lock_python import PythonPackage
from builder.errors import LockError
from builder.model import Retrieval, Substitution
from tests.unit.core.builders import make_resolved

HEX = "ab" * 32
WANTED = Wanted(
    profile="workstation",
    arch="amd64",
    base="ubuntu-22.04",
    image="ubuntu:22.04",
    substitute="debian-12",
    apt=(AptStep(name="apt", packages=("git",)), AptStep(name="apt:g++", packages=("g++",))),
    npm={"claude-code": "@anthropic-ai/claude-code@2.0.76"},
    python={"framework:path": HEX},
    repositories={"framework:git": HEX},
    downloads={"node": Download(version="18.20", sha256=HEX), "oh-my-zsh": Download(version="", sha256=HEX)},
)
LOCK = Lock(
    devbox="0.1.0",
    wanted=WANTED,
    base=LockedBase(name="debian-12", image="devbox/base:debian-12-0123", identity=HEX, how=Retrieval.BOOTSTRAP),
    recipe=Recipe(templates=HEX, rootfs=HEX),
    substitutions=(
        Substitution(what="base", wanted="ubuntu-22.04", got="debian-12"),
        Substitution(what="oh-my-zsh", wanted="oh-my-zsh", got="plain “zsh”"),
    ),
    commits={"framework:git": "c" * 40},
    apt=(
        AptPackage(name="g++", version="4:12.2.0-3", architecture="amd64", step="apt:g++", sha256=HEX, path="pool/g"),
        AptPackage(
            name="git", version="1:2.39.5-0+deb12u2", architecture="amd64", step="apt", sha256=HEX, path="p/g+~"
        ),
        AptPackage(name="of-the-base", version="1~rc1", architecture="all", step="apt"),
    ),
    npm={
        "claude-code": (
            NpmPackage(name="@scope/x", version="1.0.0-b.1", integrity="sha512-Aa+/==", path="node_modules/@scope/x"),
        )
    },
    python={"framework:path": (PythonPackage(name="x.y", version="1!2.0+local", sha256=(HEX,)),)},
)


def test_a_lock_that_was_written_is_read_as_it_was() -> None:
    assert parse_lock(dump_lock(LOCK)) == LOCK


def test_equal_locks_are_equal_files_whatever_order_they_came_in() -> None:
    other = replace(LOCK, apt=LOCK.apt[::-1], commits=dict(reversed(list(LOCK.commits.items()))))
    assert dump_lock(other) == dump_lock(LOCK)
    text = dump_lock(LOCK).decode()
    assert text.startswith('{\n  "apt": [')
    assert text.endswith("}\n")
    assert "“zsh”" in text
    assert '"reason"' not in text


def test_a_file_of_before_that_says_why_something_could_not_be_had_is_read() -> None:
    assert parse_lock(changed(("substitutions", 0, "reason"), "no route")).substitutions[0].reason == "no route"


def test_what_comes_inside_another_package_of_npm_needs_no_integrity() -> None:
    outer = replace(LOCK.npm["claude-code"][0], needs={"bundleDependencies": ["ms"], "engines": {"node": ">=18"}})
    inner = NpmPackage(
        name="ms", version="1", integrity="", path=f"{outer.path}/node_modules/ms", needs={"inBundle": True}
    )
    lock = replace(LOCK, npm={"claude-code": (outer, inner)})
    assert parse_lock(dump_lock(lock)) == lock
    with pytest.raises(LockError, match="there is none of ms"):
        parse_lock(dump_lock(replace(LOCK, npm={"claude-code": (outer, replace(inner, path="node_modules/ms"))})))


# --------------------------------------------------------------------------------------------- what is refused


def changed(path: tuple[str | int, ...], value: object) -> bytes:
    told: Any = json.loads(dump_lock(LOCK))
    place = told
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return json.dumps(told, indent=2, sort_keys=True).encode()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("lock",), 0, "`lock` is not 1"),
        (("lock",), True, "`lock` is not 1"),
        (("lock",), "1", "`lock` is not 1"),
        (("apt",), {}, "apt: Input should be a valid"),
        (("apt", 0), "git", "apt[0]: "),
        (("apt", 0, "version"), 1, "apt[0].version: Input should be a valid string"),
        (("apt", 1, "version"), "1 2", "apt[1].version: `1 2` is none"),
        (("apt", 1, "version"), "$(id)", "apt[1].version: `$(id)` is none"),
        (("apt", 1, "name"), "-o=x", "apt[1].name: `-o=x` is none"),
        (("apt", 1, "name"), "a\nb", "the character U+000A is not allowed"),
        (("apt", 1, "architecture"), "amd64;", "apt[1].architecture: `amd64;` is none"),
        (("apt", 1, "sha256"), "0" * 63, "apt[1].sha256: "),
        (("apt", 1, "sha256"), "sha256", "apt[1].sha256: `sha256` is none"),
        (("apt", 1, "path"), "../x", "apt[1].path: `../x` is none"),
        (("apt", 1, "path"), "/x", "apt[1].path: `/x` is none"),
        (("apt", 1, "step"), "apt:other", "apt[1].step: no such step is wanted"),
        (("apt", 1, "more"), "x", "apt[1].more: no such key is known"),
        (("apt", 0, "name"), "git", "git is there twice"),
        (("base", "image"), "x y", "base.image: `x y` is none"),
        (("base", "identity"), "", "base.identity: `` is none"),
        (("base", "how"), "magic", "base.how: "),
        (("commits", "framework:git"), "main", "commits.`framework:git`: `main` is none"),
        (("more",), 1, "more: no such key is known"),
        (("wanted", "apt", 0, "packages"), ["--yes"], "wanted.apt[0].packages[0]: `--yes` is none"),
        (("wanted", "profile"), "x\u202ey", "the character U+202E is not allowed"),
        (("wanted", "downloads", "node"), None, "wanted.downloads.node: "),
        (("npm", "claude-code", 0, "integrity"), "md5-x", "integrity: `md5-x` is none"),
        (("npm", "claude-code", 0, "integrity"), "", "integrity: there is none of @scope/x"),
        (("npm", "claude-code", 0, "needs"), {"resolved": "https://x/x.tgz"}, "needs.resolved: is nothing that"),
        (("npm", "claude-code", 0, "needs"), {"integrity": "sha512-x"}, "needs.integrity: is nothing that"),
        (("npm",), {"needs": [{"path": "../x"}]}, "npm.needs[0].path: `../x` is none"),
        (("npm", "other"), [], "npm.other: no such tool is wanted"),
        (("python", "framework:other"), [], "python.`framework:other`: no such tool is wanted"),
        (("apt",), [], "apt: no package is of the step apt"),
        (("substitutions", 0, "got"), "x" * 5000, "is longer than 4096 characters"),
    ],
)
def test_what_devbox_would_not_have_written_is_refused_with_its_line(
    path: tuple[str | int, ...], value: object, words: str
) -> None:
    with pytest.raises(LockError) as caught:
        parse_lock(changed(path, value))
    assert words in caught.value.message
    assert caught.value.exit_code == 3
    assert caught.value.hint is not None
    assert path == ("lock",) or str(caught.value.where).startswith("devbox-lock.json:")


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        (b"", "devbox-lock.json:1:1", "not JSON"),
        (b'{"lock": 1,\n', "devbox-lock.json:2:1", "not JSON"),
        (b"[]", "devbox-lock.json", "not an object"),
        (b"\xff\xfe{}", "devbox-lock.json", "byte 0 is not UTF-8"),
        (b'{"lock": 1, "lock": 1}', "devbox-lock.json", "the key `lock` is there twice"),
        (b'{"lock": 2}', "devbox-lock.json", "was written by a newer devbox"),
        (b'{"lock": 1}', "devbox-lock.json:1:1", "devbox: Field required"),
        (b"[" * 100_000, "devbox-lock.json", "nested too deep"),
        (b'{\n<<<<<<< HEAD\n"lock": 1\n=======\n', "devbox-lock.json:2", "holds both sides of a merge"),
    ],
)
def test_a_file_that_is_no_lock_is_told_where_it_goes_wrong(data: bytes, where: str, words: str) -> None:
    with pytest.raises(LockError) as caught:
        parse_lock(data)
    assert (caught.value.where, words in caught.value.message) == (where, True)
    assert caught.value.hint is not None


def test_any_half_of_a_lock_is_a_lock_error_and_nothing_else() -> None:
    """As a disk that was full, or a checkout that was killed, leaves it."""
    data = dump_lock(LOCK)
    for end in range(0, len(data) - 2, 41):
        with pytest.raises(LockError):
            parse_lock(data[:end])


# ------------------------------------------------------------------------------------------------ what it answers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ()),
        ({"profile": "headless"}, ("the profile is headless, and was workstation",)),
        ({"arch": "arm64"}, ("the architecture is arm64, and was amd64",)),
        ({"base": "debian-13"}, ("the base is debian-13, and was ubuntu-22.04",)),
        ({"substitute": ""}, ("what may stand in for the base is none, and was debian-12",)),
        ({"snapshot": "20261125"}, ("the snapshot of apt is 20261125, and was none",)),
        ({"apt": WANTED.apt[:1]}, ("the package g++ is not wanted any more",)),
        ({"apt": (*WANTED.apt, AptStep(name="apt:jq", packages=("jq",)))}, ("the package jq is new",)),
        ({"apt": WANTED.apt[::-1]}, ("the packages are installed in other steps",)),
        ({"npm": {"claude-code": "x@2"}}, ("the npm package of claude-code is another one",)),
        ({"npm": {}}, ("the npm package of claude-code is not wanted any more",)),
        ({"repositories": {**WANTED.repositories, "y": HEX}}, ("the repository of y is new",)),
    ],
)
def test_what_the_lock_does_not_answer_is_told_in_words(change: dict[str, Any], words: tuple[str, ...]) -> None:
    assert explain_stale(LOCK, replace(WANTED, **change)) == words


def test_the_plan_is_told_of_each_step_all_that_is_there_after_it() -> None:
    answers = answer_by(LOCK)
    assert answers.absent == ("oh-my-zsh",)
    assert answers.base.reference == "devbox/base:debian-12-0123"
    assert answers.packages == {
        "apt": (f"git amd64 1:2.39.5-0+deb12u2 {HEX}", "of-the-base all 1~rc1 -"),
        "apt:g++": (f"g++ amd64 4:12.2.0-3 {HEX}", f"git amd64 1:2.39.5-0+deb12u2 {HEX}", "of-the-base all 1~rc1 -"),
    }


def test_what_is_no_question_to_the_world_makes_no_lock_stale() -> None:
    before = make_resolved("base: debian-12")
    for text in ("ports: {vnc: 6901}", "environment: {A: b}", "resources: {memory: 1g}", "user: {name: me}"):
        after = make_resolved(f"base: debian-12\n{text}")
        assert make_wanted(after, after) == make_wanted(before, before)
