"""Python projects of this machine: which files are read, what a revision is, what is refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from builder.adapters.projects import (
    fetch_commit,
    find_commit,
    find_wheel_digest,
    keep_wheel,
    read_project,
    stamp_project,
)
from builder.adapters.urls import Unreachable
from builder.errors import HostError

IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    argv = ["git", *IDENTITY, "-C", str(folder), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    for name in (
        "pyproject.toml",
        "tools/__init__.py",
        "tools/__pycache__/x.pyc",
        "tests/test_x.py",
        ".venv/x",
        "build/x",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    return folder


@pytest.fixture
def repository(project: Path) -> Path:
    git(project, "init", "--quiet")
    git(project, "add", "pyproject.toml", "tools", "tests")
    git(project, "commit", "--quiet", "--message=one")
    git(project, "tag", "--annotate", "v1", "--message=one")
    (project / "tools/__init__.py").write_text("two")
    git(project, "commit", "--quiet", "--all", "--message=two")
    return project


def test_a_project_is_read_without_what_is_made_from_it(project: Path) -> None:
    found = read_project(project)
    assert list(found) == ["pyproject.toml", "run", "tools/__init__.py"]
    assert [file.executable for file in found.values()] == [False, True, False]


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"neither pyproject\.toml nor setup\.py"):
        read_project(tmp_path)


def test_a_link_out_of_the_project_is_refused(project: Path) -> None:
    (project / "tools/secrets").symlink_to("/etc/passwd")
    with pytest.raises(HostError, match="leads out of the project"):
        read_project(project)


def test_a_link_inside_is_the_file_it_leads_to(project: Path) -> None:
    (project / "tools/again.py").symlink_to("__init__.py")
    assert read_project(project)["tools/again.py"].data == b"tools/__init__.py"


def test_a_folder_that_is_too_large_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.adapters.intake.MAX_FILES", 2)
    with pytest.raises(HostError, match="holds more than 64 MB or 2 files"):
        read_project(project)


def test_a_stamp_changes_with_a_file_that_is_wanted_and_with_no_other(project: Path) -> None:
    before = stamp_project(project)
    (project / "build/x").write_text("other")
    assert stamp_project(project) == before
    (project / "pyproject.toml").write_text("other")
    assert stamp_project(project) != before
    assert stamp_project(project / "nowhere") == []


def test_a_stamp_takes_in_a_file_that_goes_meanwhile(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [project / "pyproject.toml", project / "gone"]
    monkeypatch.setattr("builder.adapters.projects._wanted_files", lambda folder, root: iter(found))
    assert stamp_project(project)[1] == f"{project / 'gone'} gone"


def test_a_stamp_ends_where_a_project_is_too_large(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.adapters.projects.MAX_FILES", 1)
    assert len(stamp_project(project)) == 2


def test_a_wheel_is_kept_by_its_name_too_and_made_good_when_it_rotted(tmp_path: Path) -> None:
    wheel, other = tmp_path / "tools-1.0-py3-none-any.whl", tmp_path / "tools-1.1-py3-none-any.whl"
    wheel.write_bytes(b"one")
    other.write_bytes(b"one")
    digest = find_wheel_digest(wheel)
    folder = keep_wheel(wheel, digest, tmp_path / "cache")
    assert [path.name for path in keep_wheel(other, digest, tmp_path / "cache").iterdir()] == [other.name]
    (folder / wheel.name).write_bytes(b"rotten")
    assert keep_wheel(wheel, digest, tmp_path / "cache") == folder
    assert (folder / wheel.name).read_bytes() == b"one"


def test_a_wheel_is_kept_as_it_was_when_it_was_looked_at(tmp_path: Path) -> None:
    wheel = tmp_path / "tools-1.0-py3-none-any.whl"
    wheel.write_bytes(b"one")
    digest = find_wheel_digest(wheel)
    assert digest == hashlib.sha256(b"one").hexdigest()
    folder = keep_wheel(wheel, digest, tmp_path / "cache")
    assert [path.name for path in folder.iterdir()] == [wheel.name]
    wheel.write_bytes(b"two")
    assert keep_wheel(wheel, digest, tmp_path / "cache") == folder
    with pytest.raises(HostError, match="changed while it was read"):
        keep_wheel(wheel, hashlib.sha256(b"three").hexdigest(), tmp_path / "cache")
    with pytest.raises(HostError, match="no such file"):
        find_wheel_digest(tmp_path / "other.whl")


# ---------------------------------------------------------------------------------------------------------- git


def test_a_tag_and_a_branch_stand_for_a_commit(repository: Path) -> None:
    url = f"file://{repository}"
    assert find_commit(url, "v1") == git(repository, "rev-parse", "v1^{commit}")
    assert find_commit(url, "main") == find_commit(url, "HEAD") == git(repository, "rev-parse", "HEAD")


def test_a_whole_commit_id_is_not_asked_for() -> None:
    assert find_commit("https://nowhere.invalid/x", "a" * 40) == "a" * 40


def test_a_revision_that_is_not_there_is_refused_with_those_that_are(repository: Path) -> None:
    with pytest.raises(HostError, match="has no revision v2") as caught:
        find_commit(f"file://{repository}", "v2")
    assert caught.value.hint is not None
    assert "main" in caught.value.hint


def test_a_repository_that_is_not_there_is_told_in_gits_words(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="git cannot read this") as caught:
        find_commit(f"file://{tmp_path}/nowhere", "main")
    assert "does not" in (caught.value.detail or "")


def test_the_files_of_a_commit_come_without_a_history(repository: Path, tmp_path: Path) -> None:
    url = f"file://{repository}"
    commit = find_commit(url, "v1")
    tree = fetch_commit(url, commit, tmp_path / "cache")
    assert (tree / "tools/__init__.py").read_text() == "tools/__init__.py"
    assert sorted(path.name for path in tree.iterdir()) == ["pyproject.toml", "tests", "tools"]
    repository.rename(tmp_path / "gone")
    assert fetch_commit(url, commit, tmp_path / "cache") == tree


def test_a_way_of_transport_that_runs_a_program_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        find_commit(f"ext::touch {tmp_path}/ran", "main")
    assert not (tmp_path / "ran").exists()
    assert "not allowed" in (caught.value.detail or "")
