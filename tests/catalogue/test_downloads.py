"""Everything that an image is made from is checked: by a sum in the catalogue, or by the key of a signed repository.

What is not pinned here is said in docs/security-input.md, and asserted below so that it stays true.
"""

from __future__ import annotations

import re
from pathlib import Path

import dockerfile
import pytest

from tests.golden.rendering import assets, catalog, render

ROOT = Path(__file__).parents[2]
TOOLS = catalog().tools
SHA256, SHA512 = re.compile(r"[0-9a-f]{64}"), re.compile(r"sha512-[A-Za-z0-9+/]{86}==")


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.archive))
def test_an_archive_has_a_sum_and_comes_by_https(name: str) -> None:
    archive = TOOLS[name].archive
    assert archive is not None
    assert SHA256.fullmatch(archive.sha256)
    assert archive.url.startswith("https://")


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.wheel))
def test_a_wheel_has_a_sum_for_each_version_and_machine(name: str) -> None:
    tool = TOOLS[name]
    assert tool.wheel is not None
    of_versions = [choice.sha256 or tool.wheel.sha256 for choice in tool.versions.choices.values()]
    for sums in of_versions or [tool.wheel.sha256]:
        assert sums, "a version without a sum; one that has none for a machine is refused there"
        assert all(SHA256.fullmatch(value) for value in sums.values())


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.npm))
def test_an_npm_package_has_an_integrity_for_each_version(name: str) -> None:
    tool = TOOLS[name]
    assert tool.npm is not None
    found = [choice.integrity or tool.npm.integrity for choice in tool.versions.choices.values()]
    for integrity in found or [tool.npm.integrity]:
        assert integrity is not None
        assert SHA512.fullmatch(integrity)


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.python))
def test_a_project_of_ours_pins_all_that_it_runs_and_is_built_with_by_hash(name: str) -> None:
    python = TOOLS[name].python
    assert python is not None
    for pins in ("constraints.txt", "constraints-build.txt"):
        text = (ROOT / python.project / pins).read_text(encoding="utf-8")
        logical = re.sub(r"\\\n\s*", "", text).splitlines()
        lines = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
        assert all(re.match(r"[A-Za-z0-9._-]+==\S+", line) and "--hash=sha256:" in line for line in lines), pins


def test_what_devbox_itself_runs_on_is_pinned_by_hash() -> None:
    text = re.sub(r"\\\n\s*", "", (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 30
    assert [line[:60] for line in lines if "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("name", sorted(catalog().bases))
def test_a_base_names_the_keyring_that_its_packages_are_signed_with(name: str) -> None:
    base = catalog().bases[name]
    assert base.keyring == f"{base.distribution}-archive-keyring.gpg"


OURS = {f"/usr/lib/devbox/{name}" for name in ("apt-install", "npm-install", "python-install", "configure", "settle")}


def programs(text: str) -> set[str]:
    """The programs that the RUN lines of a Dockerfile start."""
    lines = [part for item in dockerfile.parse_string(text) if item.cmd.upper() == "RUN" for part in item.value]
    commands = [command.split() for line in lines for command in line.split("&&")]
    return {next(word for word in words if "=" not in word) for words in commands}


def test_a_build_downloads_by_apt_npm_and_pip_alone() -> None:
    """ADD of an address and programs that fetch would be past every check."""
    text = render("base: debian-12\nnpm: [typescript@5.4.5]\nframework: {path: ./x}\n").dockerfile
    assert "ADD" not in {item.cmd.upper() for item in dockerfile.parse_string(text)}
    assert programs(text) == {"rm", "mkdir", "ln", *OURS}
    scripts = {
        path: file.data.decode(errors="replace")
        for path, file in assets().rootfs.items()
        if "/configure" in path or path.endswith(("-install", "/configure"))
    }
    assert len(scripts) > 8
    fetching = re.compile(r"\b(?:curl|wget|git clone|urlopen|urlretrieve)\b")
    assert [path for path, script in scripts.items() if fetching.search(script)] == []


def test_packages_of_npm_that_a_person_adds_have_a_version_and_no_sum() -> None:
    """npm itself checks them against what the registry says; a sum of ours is the work of a lock file."""
    rendered = render("base: debian-12\nnpm: [typescript@5.4.5]\n")
    (tool,) = [tool for tool in rendered.resolved.tools if tool.name == "npm:typescript"]
    assert tool.npm is not None
    assert (tool.npm.version, tool.npm.integrity) == ("5.4.5", None)
