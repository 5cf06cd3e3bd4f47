"""The framework in a real image: from a folder, a repository, a wheel and npm, and the bundled one at work."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation

pytestmark = pytest.mark.engine_26

CONFIG = "profile: headless\nbase: debian-12\nports: {dev: false}\n"
# Its one dependency has a command of its own, which is not the framework's.
PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "greeter"
version = "1.2.3"
dependencies = ["tabulate"]
[project.scripts]
greet = "greeter:main"
"""
CHECKS = "checks: [{name: greets, run: [greet]}]"
STORE = "/home/dev/.local/share/coditect"


def write_project(folder: Path, words: str) -> None:
    (folder / "greeter").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "greeter/__init__.py").write_text(
        f"def main():\n    import tabulate\n    print({words!r}, tabulate.tabulate([[1]], tablefmt='plain'))\n"
    )


def commit(folder: Path, tag: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=x"], ["tag", tag]):
        subprocess.run(["git", *identity, *words], cwd=folder, env=environment, check=True)


def write_wheel(path: Path, words: str) -> None:
    """As any build back end would."""
    info = "greeter-1.2.3.dist-info"
    files = {
        "greeter.py": f"def main():\n    print({words!r})\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeter\nVersion: 1.2.3\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ngreet = greeter:main\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))


def assert_verified(workstation: Workstation, *names: str) -> None:
    """Every check of the group passes, those of `names` among them."""
    results = json.loads(workstation.ok("verify", "--only", "framework", "--json"))["results"]
    assert {item["id"] for item in results} >= {f"framework.{name}" for name in names}
    assert [item for item in results if item["verdict"] != "passed"] == []


# ------------------------------------------------------------------------------------------------ other sources


def test_a_folder_is_installed_and_a_change_in_it_is_seen(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("of-folder", f"{CONFIG}framework: {{path: ./greeter, {CHECKS}}}\n")
    write_project(workstation.folder / "greeter", "hello from a folder")

    workstation.up()

    assert workstation.inside("greet") == "hello from a folder 1\n"
    assert workstation.run("exec", "--", "tabulate", "--help").returncode != 0
    assert workstation.run("exec", "--", "/opt/framework/bin/python", "-m", "pip", "--version").returncode != 0
    assert workstation.run("exec", "--", "coditect", "--version").returncode != 0
    assert_verified(workstation, "commands", "check.greets")
    assert "nothing to do" in workstation.ok("up")

    write_project(workstation.folder / "greeter", "hello again")
    again = workstation.up()

    assert "framework:path: its source changed" in again.stderr
    assert workstation.inside("greet") == "hello again 1\n"


def test_a_revision_of_a_repository_is_installed(new_workstation: NewWorkstation, tmp_path: Path) -> None:
    write_project(tmp_path / "greeter", "hello from a tag")
    commit(tmp_path / "greeter", "v1")
    write_project(tmp_path / "greeter", "not this one")
    framework = f"framework: {{git: 'file://{tmp_path}/greeter', rev: v1, {CHECKS}}}\n"
    workstation = new_workstation("of-git", CONFIG + framework)

    workstation.up()

    assert workstation.inside("greet") == "hello from a tag 1\n"
    assert_verified(workstation, "commands", "check.greets")


def test_a_wheel_is_installed(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation(
        "of-wheel", f"{CONFIG}framework: {{wheel: ./greeter-1.2.3-py3-none-any.whl, {CHECKS}}}\n"
    )
    write_wheel(workstation.folder / "greeter-1.2.3-py3-none-any.whl", "hello from a wheel")

    workstation.up()

    assert workstation.inside("greet") == "hello from a wheel\n"
    assert_verified(workstation, "commands", "check.greets")


def test_a_package_of_npm_is_installed(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("of-npm", f'{CONFIG}framework: {{npm: "semver@7.6.0"}}\n')

    workstation.up()

    assert workstation.inside("semver", "1.2.3", "-i", "minor") == "1.3.0\n"
    assert_verified(workstation, "commands")

    # A registry that gives out something else than the lock says: here the lock says something else.
    file = workstation.folder / "devbox-lock.json"
    lock = json.loads(file.read_text())
    (needed,) = [item for item in lock["npm"]["framework:npm"] if item["name"] == "lru-cache"]
    needed["integrity"] = f"sha512-{'A' * 86}=="
    file.write_text(json.dumps(lock))
    refused = workstation.run("build")

    assert refused.returncode == 5
    assert f"npm offers another lru-cache {needed['version']} than the lock has" in refused.stderr


# --------------------------------------------------------------------------------------------------- the bundled


@pytest.fixture(scope="module")
def memory(session_workstations: NewWorkstation) -> Iterator[Workstation]:
    workstation = session_workstations("memory", CONFIG)
    workstation.up()
    yield workstation
    workstation.take_away()


def say(workstation: Workstation, session: str, text: str) -> None:
    """What Claude Code does when somebody says something: another line in the transcript of the session."""
    message = {
        "type": "user", "uuid": text, "sessionId": session, "timestamp": "2026-01-01T00:00:00Z",
        "message": {"role": "user", "content": text},
    }  # fmt: skip
    script = f'mkdir -p ~/.claude/projects/-test && echo "$1" >>~/.claude/projects/-test/{session}.jsonl'
    workstation.inside("sh", "-c", script, "sh", json.dumps(message))


def await_read(workstation: Workstation, text: str) -> None:
    messages = f"{STORE}/context-storage/unified_messages.jsonl"
    workstation.wait_inside(f"{text!r} in the store", f"grep -q '{text}' {messages}", deadline_s=30)


def test_what_is_said_is_read_in_the_background(memory: Workstation) -> None:
    say(memory, "one", "a turquoise elephant")
    await_read(memory, "a turquoise elephant")
    say(memory, "one", "and a second line")
    await_read(memory, "and a second line")

    found = json.loads(memory.inside("cxq", "--json", "turquoise"))

    assert [hit["snippet"] for hit in found] == ["a turquoise elephant"]


def test_the_watch_is_taken_up_again_after_its_folder_went(memory: Workstation) -> None:
    memory.inside("rm", "-r", "/home/dev/.claude/projects")
    memory.wait_inside("the folder of the sessions", "[ -d ~/.claude/projects ]")
    say(memory, "two", "said after that")
    await_read(memory, "said after that")


def test_it_passes_its_own_checks(memory: Workstation) -> None:
    assert_verified(memory, "commands", "dedup", "search", "checkpoint", "steps", "claude", "ingest")


def test_a_switched_off_service_needs_no_other_image_and_the_memory_outlives_every_container(
    memory: Workstation, engine: Engine
) -> None:
    say(memory, "three", "keep this in mind")
    await_read(memory, "keep this in mind")
    before = memory.container(engine)

    memory.write(f"{CONFIG}framework: {{ingest: false}}\n")
    memory.up()
    off = memory.container(engine)
    assert off.image_id == before.image_id
    assert off.id != before.id
    assert memory.run("exec", "--", "pgrep", "inotifywait").returncode == 1
    assert_verified(memory, "ingest")
    say(memory, "four", "said while nobody watched")

    memory.write(f"{CONFIG}apt: [hello]\n")
    memory.up()
    assert memory.container(engine).image_id != before.image_id
    assert "keep this in mind" in memory.inside("cxq", "mind")
    await_read(memory, "said while nobody watched")


def test_a_home_that_is_there_is_not_written_over(memory: Workstation) -> None:
    memory.inside("sh", "-c", "rm ~/.claude/commands/cxq.md; echo '{}' >~/.claude/settings.json")

    memory.up("--recreate")

    assert memory.inside("sh", "-c", "cat ~/.claude/settings.json; ls ~/.claude/commands") == "{}\n"
