"""How a command for root gets to another machine, and where a password goes on the way."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.adapters.remote import orders
from builder.adapters.remote.link import END, LOOK
from builder.adapters.remote.orders import CLOSED, LISTENING, SURVEY, Ordered
from builder.adapters.remote.steps import Question
from builder.core.host_setup import Order, Root
from builder.errors import HostError

START = Order(argv=("service", "docker", "start"), why="x", deadline_s=5)
SECRET = "open the gate"


class Wire:
    """What goes over the connection: each command line with its input, and the exit codes that come back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *codes: int) -> None:
        self.sent: list[tuple[str, str]] = []
        self._codes = list(codes)
        monkeypatch.setattr(orders, "_follow", self.follow)

    def follow(self, link: Any, command: str, given: str, on_line: Callable[[str], None], timeout_s: float) -> int:
        self.sent.append((command, given))
        code = self._codes.pop(0)
        if code == 124:
            raise TimeoutError("no answer")
        return code


def machine(root: Root) -> Ordered:
    link: Any = SimpleNamespace(target=SimpleNamespace(where="me@box:22"))
    return Ordered(link=link, root=root)


@pytest.mark.parametrize(
    ("root", "words"), [(Root.ITSELF, "service docker start"), (Root.FREELY, "sudo -n -- service docker start")]
)
def test_where_no_password_is_needed_nothing_is_sent_but_the_command(
    root: Root, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch, 0)
    found = machine(root)
    found.unlock(lambda _: pytest.fail("asked"))
    assert found.run(START, lambda _: None) == 0
    assert wire.sent == [(words, "")]


def test_a_password_goes_over_the_input_alone_and_is_asked_for_again_when_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = Wire(monkeypatch, 1, 0, 0)
    asked: list[Question] = []
    answers = ["wrong", SECRET]

    def ask(question: Question) -> str:
        asked.append(question)
        return answers.pop(0)

    found = machine(Root.ASKED)
    found.unlock(ask)
    found.run(START, lambda _: None)
    assert [question.secret for question in asked] == [True, True]
    assert [given for _, given in wire.sent] == ["wrong\n", f"{SECRET}\n", f"{SECRET}\n"]
    assert not any(SECRET in command for command, _ in wire.sent)
    assert SECRET not in repr(found)
    assert wire.sent[-1][0].endswith("service docker start")


@pytest.mark.parametrize(("answer", "tries", "words"), [(None, 0, "got none"), ("wrong", 3, "lets nothing be done")])
def test_without_the_right_password_nothing_is_run(
    answer: str | None, tries: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch, 1, 1, 1)
    with pytest.raises(HostError, match=words):
        machine(Root.ASKED).unlock(lambda _: answer)
    assert len(wire.sent) == tries
    assert all("true" in shlex.split(command) for command, _ in wire.sent)


@pytest.mark.parametrize(("code", "words"), [(124, "did not end within 5 s"), (-1, "lost its connection")])
def test_what_may_still_run_there_is_told(code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Wire(monkeypatch, code)
    with pytest.raises(HostError, match=words) as caught:
        machine(Root.ITSELF).run(START, lambda _: None)
    assert "may still run there" in str(caught.value)


def test_a_password_that_sudo_did_not_want_reaches_no_command(tmp_path: Path) -> None:
    (tmp_path / "read").write_text("#!/bin/sh\ncat\necho end\n")
    (tmp_path / "read").chmod(0o755)
    done = subprocess.run([*CLOSED, str(tmp_path / "read")], input=SECRET, capture_output=True, text=True, check=True)
    assert done.stdout == "end\n"


@pytest.mark.parametrize(("said", "halfway"), [("", ""), ("docker.io  engine", "yes")])
def test_an_installation_that_was_cut_off_is_seen(said: str, halfway: str, tmp_path: Path) -> None:
    (tmp_path / "dpkg").write_text(f"#!/bin/sh\necho '{said}'\n")
    (tmp_path / "dpkg").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = f"{LOOK}{LISTENING}{SURVEY}{END}"
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, text=True, check=True)
    assert f"devbox:halfway={halfway}" in done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_sudo_that_reads_its_input_leaves_the_survey_its_own(shell: str, tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text("#!/bin/sh\ncat >/dev/null\n")
    (tmp_path / "sudo").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = f"{LOOK}{LISTENING}{SURVEY}{END}"
    done = subprocess.run([shell], input=script, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["devbox:sudo=FREELY", "devbox:end=yes"]
