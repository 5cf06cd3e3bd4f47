"""Group `own`: the checks that a person wrote, declared in devbox.yaml or as a folder of testinfra files.

The files run under pytest in a process of their own: what they import, print or break is theirs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as Xml

from builder.adapters.process import run_lines
from builder.suite.cases import Case, Lane
from builder.suite.results import CheckFailure, Skipped
from builder.suite.tooling import make_declared

if TYPE_CHECKING:
    from builder.suite.subject import Subject

# Tell `pytest_plugin` which workstation it is.
CONTAINER: Final = "DEVBOX_VERIFY_CONTAINER"
USER: Final = "DEVBOX_VERIFY_USER"
TESTS_S: Final = 600.0
NO_TESTS: Final = 5  # pytest's exit code for an empty collection


def make_cases(subject: Subject) -> Iterator[Case]:
    """The declared ones, then the tests of the folder, one case each: pytest has run them when they are listed."""
    for name, check in subject.own:
        yield make_declared(f"own.{name}", name, check)
    if subject.tests is not None:
        yield from _test_cases(subject, subject.tests)


def _test_cases(subject: Subject, folder: Path) -> Iterator[Case]:
    if not folder.is_dir():
        yield _broken("own.tests", f"the folder {folder} of verify.tests exists", "no such folder")
        return
    code, report, output = run_pytest(subject, folder)
    if report is None or code not in (0, 1, NO_TESTS):
        yield _broken("own.tests", "pytest runs the files of verify.tests", f"exit code {code}: {output[-600:]}")
        return
    found = list(read_tests(report))
    if not found:
        yield _broken("own.tests", "there are tests in the folder of verify.tests", "none in test_*.py")
    yield from found


def _broken(id: str, expected: str, found: str) -> Case:
    def run(_: Subject) -> None:
        raise CheckFailure(expected, found, "run `devbox verify --only own` again")

    return Case(id=id, title=expected, check=run)


def run_pytest(subject: Subject, folder: Path) -> tuple[int, bytes | None, str]:
    """Exit code, JUnit report if there is one, and what pytest wrote."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="devbox-own-") as scratch:
        file = Path(scratch) / "own.xml"
        options = ["-p", "no:cacheprovider", "-p", "no:pytest11.testinfra", "-p", "builder.suite.pytest_plugin", "-q"]
        argv = [sys.executable, "-m", "pytest", *options, "--rootdir", str(folder), f"--junitxml={file}", str(folder)]
        host = subject.engine.host
        environment = {
            **os.environ,
            **({"DOCKER_HOST": host.url} if host.remote else {}),
            CONTAINER: subject.container.name,
            USER: subject.user,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        code = run_lines(argv, on_line=lines.append, env=environment, cwd=folder)
        return code, file.read_bytes() if file.is_file() else None, "\n".join(lines)


def read_tests(report: bytes) -> Iterator[Case]:
    """The cases of a JUnit report that our own pytest wrote."""
    for item in Xml.fromstring(report).iter("testcase"):  # noqa: S314  # written by our own child a moment ago
        where = item.get("classname", "").rpartition(".")[2]
        name = item.get("name", "test")
        yield _told(f"own.{where}.{name}" if where else f"own.{name}", f"{where}: {name}", item)


def _told(id: str, title: str, item: Xml.Element) -> Case:
    failure = next((item.find(kind) for kind in ("failure", "error") if item.find(kind) is not None), None)
    skipped = item.find("skipped")

    def run(_: Subject) -> str | None:
        if failure is not None:
            text = (failure.get("message") or failure.text or "no reason given").strip()
            raise CheckFailure("the test to pass", text[:1200], "the file of the test, and pytest's own words in it")
        if skipped is not None:
            raise Skipped(skipped.get("message") or "skipped")
        return f"{float(item.get('time', '0')):.2f} s"

    return Case(id=id, title=title, check=run, lane=Lane.TOGETHER)
