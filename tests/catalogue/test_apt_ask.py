"""What apt-get says it would do, as apt-ask tells it: on words of apt 2.2 to 3.0, said by a stand-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

APT_ASK = Path(__file__).parents[2] / "images/rootfs/init/usr/lib/devbox/apt-ask"
SAID = """\
Reading package lists...
Calculating upgrade...
The following packages were automatically installed and are no longer required:
   libfoo1 (1.0)
The following packages will be REMOVED:
   old (1.0-1)
   mail-agent* (2.0)
The following NEW packages will be installed:
   git (1:2.39.5-0+deb12u3)
   libgcc-s1:i386 (12.2.0-14)
Suggested packages:
   git-doc (1:2.39.5-0+deb12u3)
The following packages have been kept back:
   held (1 => 2)
The following packages will be upgraded:
   tzdata (2024a-0 => 2026f-0+deb12u1)
The following packages will be DOWNGRADED:
   curl (7.88.1-10+deb12u15 => 7.88.1-10+deb12u14)
1 upgraded, 2 newly installed, 1 downgraded, 2 to remove and 1 not upgraded.
Need to get 0 B/159 MB of archives.
After this operation, 648 MB of additional disk space will be used.
'file:/there/git.deb' git_1%3a2.39.5-0+deb12u3_amd64.deb 7264380 SHA256:ab
"""
TOLD = """\
- old
- mail-agent
+ git 1:2.39.5-0+deb12u3
+ libgcc-s1:i386 12.2.0-14
+ tzdata 2026f-0+deb12u1
+ curl 7.88.1-10+deb12u14
"""


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """A folder with a question, and in `bin` the programs that answer it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "said").write_text(SAID)
    (tmp_path / "steps").write_text("git\n")
    for name, line in {
        "apt-get": f'printf "%s " "$@" >{tmp_path}/words; cat {tmp_path}/said',
        "apt-cache": f'shift; printf "%s\\n" "$@" >{tmp_path}/shown; printf "Package: git\\nTag: x\\n\\n"',
        "dpkg-query": 'printf "installed tzdata all 2024a-0\\ndeinstall gone amd64 1\\ninstalled dpkg amd64 1.21\\n"',
        "dpkg": "echo amd64",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return tmp_path


def ask(question: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{question}/bin:{os.environ['PATH']}", "DEVBOX_QUESTION": str(question)}
    words = ["sh", str(APT_ASK), str(question / "answer")]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_what_comes_and_goes_is_told_a_line_each_and_nothing_else(question: Path) -> None:
    assert ask(question).returncode == 0
    answer = {path.name: path.read_text() for path in (question / "answer").iterdir()}
    assert answer["step-1"] == TOLD
    assert answer["installed"] == "tzdata all 2024a-0\ndpkg amd64 1.21\n"
    assert answer["known"] == "Package: git\n\n"
    assert answer["native"] == "amd64\n"
    assert set(answer) == {"step-1", "installed", "known", "native"}


def test_sums_are_asked_of_all_that_may_be_there_in_the_end(question: Path) -> None:
    ask(question)
    shown = (question / "shown").read_text().split()
    assert {"git=1:2.39.5-0+deb12u3", "tzdata=2026f-0+deb12u1", "dpkg:amd64=1.21", "tzdata=2024a-0"} < set(shown)


def test_apt_plans_and_installs_nothing(question: Path) -> None:
    ask(question)
    assert "--print-uris" in (question / "words").read_text().split()


@pytest.mark.parametrize("is_held", [False, True])
def test_what_is_there_comes_up_to_date(question: Path, is_held: bool) -> None:
    """By its name, which is quick; where that cannot be, apt finds out what can."""
    if is_held:
        refuses = f'case "$*" in *" install "*) exit 100;; esac; cat {question}/said; echo "$@" >{question}/words'
        (question / "bin/apt-get").write_text(f"#!/bin/sh\n{refuses}\n")
    assert ask(question).returncode == 0
    words = (question / "words").read_text().split()
    last = words[words.index("--allow-downgrades") + 1 :]
    assert last == (["dist-upgrade", "--", "git"] if is_held else ["install", "--", "tzdata", "dpkg:amd64", "git"])
    assert (question / "answer/step-1").read_text() == TOLD


def test_what_apt_warns_of_is_told(question: Path) -> None:
    (question / "bin/apt-get").write_text(f"#!/bin/sh\necho 'W: a pin is odd' >&2; cat {question}/said\n")
    done = ask(question)
    assert (done.returncode, done.stderr) == (0, "W: a pin is odd\n")
    assert {path.name for path in (question / "answer").iterdir()} == {"step-1", "installed", "known", "native"}


def test_a_package_that_nobody_has_is_a_failure(question: Path) -> None:
    (question / "bin/apt-get").write_text("#!/bin/sh\necho 'E: Unable to locate package gti' >&2; exit 100\n")
    failed = ask(question)
    assert (failed.returncode, failed.stderr) == (100, "E: Unable to locate package gti\n")
