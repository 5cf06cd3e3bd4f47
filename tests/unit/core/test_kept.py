"""Which files a build without a network needs, and by which lines they are asked for."""

from __future__ import annotations

import pytest

from builder.core.kept import describe_files, fits, list_files
from builder.core.lock import AptPackage, AptStep, Lock, LockedBase, Recipe, Wanted
from builder.core.lock_npm import NpmPackage
from builder.core.lock_python import PythonPackage
from builder.model import Retrieval

ONE, TWO = "1" * 64, "2" * 64
SHA512 = "sha512-" + "A" * 86 + "=="


def deb(name: str, sha256: str) -> AptPackage:
    return AptPackage(name=name, version="1:2-3", architecture="amd64", step="apt", sha256=sha256)


def npm(name: str, **needs: object) -> NpmPackage:
    return NpmPackage(name=name, version="1.0.0", integrity=SHA512, path=f"node_modules/{name}", needs=needs)


def make_lock(*closure: NpmPackage) -> Lock:
    return Lock(
        devbox="1",
        wanted=Wanted(profile="p", arch="amd64", base="b", image="i", apt=(AptStep(name="apt", packages=("git",)),)),
        base=LockedBase(name="b", image="i", identity="x", how=Retrieval.PULL),
        recipe=Recipe(templates="", rootfs=""),
        apt=(deb("git", ONE), deb("of-the-base", "")),
        npm={"tool": closure, "other": closure},
        python={"mine": (PythonPackage(name="pyyaml", version="6.0", sha256=(ONE, TWO)),)},
    )


def test_every_file_is_named_once_by_its_sums_and_what_no_mirror_has_is_left_to_the_base() -> None:
    files = list_files(make_lock(npm("@scope/a")))
    assert [(file.kind, file.name, file.line) for file in files] == [
        ("apt", "git 1:2-3", f"git amd64 1:2-3 {ONE}"),
        ("npm", "@scope/a 1.0.0", f"{SHA512} @scope/a@1.0.0"),
        ("pip", "pyyaml 6.0", f"pyyaml==6.0 --hash=sha256:{ONE} --hash=sha256:{TWO}"),
    ]
    assert [file.sums for file in files] == [
        (f"sha256-{ONE}",),
        ("sha512-" + "0" * 128,),
        (f"sha256-{ONE}", f"sha256-{TWO}"),
    ]


@pytest.mark.parametrize(
    ("needs", "here"),
    [
        ({}, True),
        ({"os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]}, True),
        ({"os": ["darwin", "linux"]}, True),
        ({"os": "linux"}, True),
        ({"os": ["any"]}, True),
        ({"os": ["!win32"]}, True),
        ({"os": ["!linux"]}, False),
        ({"os": ["win32"]}, False),
        ({"cpu": ["arm64"]}, False),
        ({"libc": ["musl"]}, False),
    ],
)
def test_of_npm_only_what_fits_this_kind_of_machine_is_needed(needs: dict[str, object], here: bool) -> None:
    package = npm("a", **needs)
    assert fits(package, "amd64") is here
    assert [file.name for file in list_files(make_lock(package)) if file.kind == "npm"] == ["a 1.0.0"] * here


def test_the_first_few_are_named_and_the_rest_is_counted() -> None:
    assert describe_files(["a 1"]) == "a 1"
    assert describe_files([f"{letter} 1" for letter in "abcdefg"]) == "a 1, b 1, c 1, d 1, e 1 and 2 more"
