"""What apt is asked, and how its answer is read: the packages that are installed after each step of a build."""

from __future__ import annotations

import pytest

from builder.core.aptquestion import read_answer, render_files
from builder.core.lock import AptPackage, AptStep
from builder.errors import LockError

APT, HTOP = AptStep(name="apt", packages=("git", "g++")), AptStep(name="apt:htop", packages=("htop",))
INSTALLED = "libc6 amd64 2.36-9+deb12u9\nold all 1\ntzdata all 2024a-0+deb12u1\nlocal amd64 7\n"
FIRST = """\
- old
+ libc6 2.36-9+deb12u10
+ tzdata 2025b-0+deb12u1
+ git 1:2.39.5-0+deb12u2
+ libgcc-s1:i386 12.2.0-14
"""
SECOND = FIRST + "+ htop 3.2.2-2\n"
KNOWN = """\
Package: htop
Architecture: amd64
Version: 3.2.2-2
Filename: pool/main/h/htop/htop_3.2.2-2_amd64.deb
SHA256: aaaa

Package: local
Architecture: amd64
Version: 7

Package: tzdata
Architecture: all
Version: 2025b-0+deb12u1
Filename: ./tzdata_2025b-0+deb12u1_all.deb
SHA256: bbbb
"""
FILES = {"installed": INSTALLED, "step-1": FIRST, "step-2": SECOND, "known": KNOWN, "native": "amd64\n"}


def test_what_is_installed_in_the_end_is_told_by_the_step_that_brings_it() -> None:
    found = [
        (item.name, item.architecture, item.version, item.step) for item in read_answer(FILES, (APT, HTOP))
    ]  # fmt: skip
    assert found == [
        ("git", "amd64", "1:2.39.5-0+deb12u2", "apt"),
        ("htop", "amd64", "3.2.2-2", "apt:htop"),
        ("libc6", "amd64", "2.36-9+deb12u10", "apt"),
        ("libgcc-s1", "i386", "12.2.0-14", "apt"),
        ("local", "amd64", "7", "apt"),
        ("tzdata", "all", "2025b-0+deb12u1", "apt"),
    ]


def test_sums_and_paths_come_from_the_lists_and_what_no_mirror_has_has_none() -> None:
    found = {item.name: (item.sha256, item.path) for item in read_answer(FILES, (APT, HTOP))}
    assert found["htop"] == ("aaaa", "pool/main/h/htop/htop_3.2.2-2_amd64.deb")
    assert found["tzdata"] == ("bbbb", "tzdata_2025b-0+deb12u1_all.deb")
    assert found["local"] == ("", "")


def test_a_step_that_stands_on_known_ones_adds_to_them() -> None:
    kept = AptPackage(name="git", version="1", architecture="amd64", step="apt", sha256="cc", path="p")
    files = {**FILES, "installed": "git amd64 1\n", "step-1": "+ htop 3.2.2-2\n"}
    assert read_answer(files, (HTOP,), (kept,)) == (
        kept,
        AptPackage(
            name="htop", version="3.2.2-2", architecture="amd64", step="apt:htop", sha256="aaaa",
            path="pool/main/h/htop/htop_3.2.2-2_amd64.deb",
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("- git", "apt:htop takes away git, which apt brings"),
        ("+ libc6 3", "apt:htop needs libc6 3, and apt brings 2.36-9"),
    ],
)
def test_steps_that_exclude_each_other_are_told(line: str, words: str) -> None:
    with pytest.raises(LockError, match=words) as caught:
        read_answer({**FILES, "step-2": f"{SECOND}{line}\n"}, (APT, HTOP))
    assert caught.value.hint is not None


def test_apt_is_asked_for_the_names_of_each_step_and_told_which_versions_are_to_stay() -> None:
    keep = AptPackage(name="git", version="1:2", architecture="amd64", step="apt")
    files = {path: file.data.decode() for path, file in render_files((APT, HTOP), (keep,)).items()}
    assert files["question/steps"] == "git g++\nhtop\n"
    assert files["question/keep"] == "Package: git\nPin: version 1:2\nPin-Priority: 1001\n"
