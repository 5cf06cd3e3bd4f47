"""What a build is given: the rendered files, what was fetched and what this machine adds by design, and nothing else.

The folder of a workspace lies full of what must not travel: the tar that the engine would get is byte for byte that of
an empty folder, and the files of a framework's folder are the wanted ones alone.
"""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.adapters.buildcontext import read_context
from builder.adapters.projects import read_project
from builder.adapters.workspace import Workspace
from builder.errors import HostError
from builder.model import RenderedTree, ResolvedTool
from builder.tasks.interfaces import Progress
from builder.tasks.up import bring_up
from tests.unit.tasks.fakes import FakeSources, World

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"
SECRET = b"planted-and-must-not-travel"
FILES = (
    ".env", ".env.local", "id_ed25519", "server.key", ".npmrc", ".pypirc", ".netrc", ".git/config", ".ssh/id_rsa",
    ".aws/credentials", "Dockerfile", "Dockerfile.dockerignore", ".dockerignore", "host/pip.conf", "rootfs/etc/shadow",
    "artifacts/node/planted", "projects/planted", "compose.override.yaml", "image.tar", "secrets/vnc-password",
)  # fmt: skip


@dataclass
class SourcesOnDisk(FakeSources):
    """Fetched trees that are there, so that the context can be read."""

    cache: Path = Path("/")

    def fetch_tree(self, tool: ResolvedTool, arch: str, on_progress: Progress) -> Path:
        folder = self.cache / tool.name
        (folder / "opt").mkdir(parents=True, exist_ok=True)
        (folder / "opt" / tool.name).write_bytes(b"fetched")
        return folder


def plant(folder: Path) -> None:
    for name in FILES:
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(KEY + SECRET)
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "folder-out").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    (folder / "host").chmod(0o700)


@dataclass(frozen=True)
class Sent:
    context: bytes  # the tar of the build
    tree: RenderedTree  # that was rendered for it
    artifacts: dict[str, bytes]  # the tars of the images that it copies from


def sent_from(folder: Path, cache: Path) -> Sent:
    """What goes to the engine for a build in `folder`."""
    workspace = Workspace(folder)
    world = World(sources=SourcesOnDisk(cache=cache))
    world.workspace = workspace  # type: ignore[assignment]  # the real one in place of the fake
    bring_up(world.context(), fingerprint="f")
    (tree,) = world.engine.built.values()
    artifacts = {
        image.partition(":")[2].rpartition("-")[0]: b"".join(read_context({}, {prefix: tree}))
        for image, (tree, prefix) in world.engine.imported.items()
    }
    return Sent(context=b"".join(read_context(tree, world.engine.folders)), tree=tree, artifacts=artifacts)


@pytest.fixture
def empty(tmp_path: Path) -> Sent:
    (tmp_path / "empty").mkdir()
    return sent_from(tmp_path / "empty", tmp_path / "cache")


def files_of(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [member for member in archive if not member.isdir()]
    assert all(member.isreg() for member in members)
    return {member.name for member in members}


def test_a_build_gets_what_was_rendered_and_nothing_else(empty: Sent) -> None:
    assert files_of(empty.context) == empty.tree.keys()
    assert {name.partition("/")[0] for name in empty.tree} == {"Dockerfile", "rootfs", "locked"}


def test_what_was_fetched_goes_to_the_engine_as_images_that_it_copies_from(empty: Sent) -> None:
    told = {name: files_of(data) for name, data in empty.artifacts.items()}
    assert told == {name: {f"artifacts/{name}/opt/{name}"} for name in ("node", "oh-my-zsh")}


@pytest.mark.parametrize("where", [".", ".workstation"])
def test_nothing_that_lies_in_the_folder_travels(tmp_path: Path, empty: Sent, where: str) -> None:
    folder = tmp_path / "full"
    (folder / where).mkdir(parents=True)
    plant(folder / where)
    sent = sent_from(folder, tmp_path / "cache")
    assert SECRET not in sent.context
    assert sent == empty
    assert (folder / where / ".env").read_bytes() == KEY + SECRET


def test_of_a_framework_that_is_the_workspace_itself_only_its_files_travel(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    for name in ("out", "folder-out", "loop"):
        (tmp_path / name).unlink()
    for name in FILES:
        if not any(part.startswith(".") for part in name.split("/")):
            (tmp_path / name).write_bytes(b"no key")
    found = read_project(tmp_path)
    assert SECRET not in b"".join(file.data for file in found.values())
    assert not any(part.startswith(".") for name in found for part in name.split("/"))
    assert "pipe" not in found


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc", "../outside"])
def test_a_framework_with_a_link_out_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("x")
    folder = tmp_path / "framework"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    (folder / "link").symlink_to(target)
    with pytest.raises(HostError, match="leads out of the project"):
        read_project(folder)


@pytest.mark.parametrize("head", [KEY, b"\n-----BEGIN RSA PRIVATE KEY-----\n", b"PuTTY-User-Key-File-3: ssh-ed25519\n"])
def test_a_framework_with_a_private_key_is_refused_by_its_content(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notes.txt").write_bytes(head)
    with pytest.raises(HostError, match="is a private key") as caught:
        read_project(tmp_path)
    assert caught.value.where == str(tmp_path / "notes.txt")
