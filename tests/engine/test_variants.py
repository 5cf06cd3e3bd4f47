"""Everything a person can choose that makes another image or another container: bases, servers, profiles, versions."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from builder.adapters.assets import load_assets
from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from builder.adapters.fetch import fetch_tree
from builder.adapters.rfb import Picture, ResizeRefusedError, ask_tight, connect
from builder.core.catalog import parse_catalog
from builder.model import ArchiveSource, UnpackRule
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.pictures import assert_desktop
from tests.engine.test_up import PHASES
from tests.engine.told import assert_told_once

pytestmark = pytest.mark.engine_26


WITHOUT_BYTE_CODE = """
import importlib.util, pathlib, sysconfig
modules = pathlib.Path(sysconfig.get_path("stdlib")).rglob("*.py")
print(*(file for file in modules if not pathlib.Path(importlib.util.cache_from_source(str(file))).exists()))
"""


def settled(workstation: Workstation) -> Picture:
    with workstation.login_vnc() as client:
        return client.settle(0.5, 20, tolerance=0.002)


def assert_usable(workstation: Workstation) -> None:
    """All phases reached, a desktop on the screen, a log of every service that says so, and Python as fast as ever."""
    ready = workstation.status()["ready"]
    assert isinstance(ready, Mapping)
    assert ready.keys() >= PHASES
    assert_desktop(settled(workstation))
    assert workstation.ok("logs", "xvnc")
    assert "s6-log: fatal" not in workstation.ok("logs")
    assert workstation.inside("python3", "-Ic", WITHOUT_BYTE_CODE).split() == []


def substitutions(workstation: Workstation) -> dict[str, Mapping[str, str]]:
    found = workstation.status()["substitutions"]
    assert isinstance(found, list)
    return {item["what"]: item for item in found}


def test_tightvnc_shows_the_same_desktop_but_keeps_its_size(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("tight", "base: debian-12\ndesktop: {server: tightvnc, geometry: 1280x800}\n")

    workstation.up()

    assert_usable(workstation)
    assert "Xtightvnc" in workstation.inside("ps", "-e", "-o", "comm")
    with workstation.login_vnc() as client:
        assert client.size == (1280, 800)
        with pytest.raises(ResizeRefusedError, match="cannot resize"):
            client.resize(1024, 768)
        # As viewer.js asks: with more compression, some of it would come as JPEG and stay so.
        asked = ask_tight(quality=6, compression=1)
        with connect("127.0.0.1", workstation.port("vnc")).login(workstation.password(), encodings=asked) as page:
            wait_for(
                "the web page's picture without loss",
                lambda: client.picture().difference(page.picture()) == 0 or None,
                deadline_s=20,
                interval_s=0.2,
            )


def test_plain_debian_12_has_nothing_to_substitute_its_base_with(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("bookworm", "base: debian-12\n")

    done = workstation.up()

    assert_usable(workstation)
    status = workstation.status()
    assert (status["base"], status["requested_base"]) == ("debian-12", "debian-12")
    assert "base" not in substitutions(workstation)
    assert "in place of debian" not in done.stderr
    assert "VERSION_CODENAME=bookworm" in workstation.inside("cat", "/etc/os-release")


def test_debian_11_says_that_its_python_is_older(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("bullseye", "base: debian-11\n")

    done = workstation.up()

    assert_usable(workstation)
    told = substitutions(workstation)["python"]
    assert (told["wanted"], told["got"]) == (">=3.10", "3.9")
    assert re.search(r"! python: 3\.9 in place of >=3\.10", done.stderr), done.stderr
    assert workstation.inside("python3", "--version").startswith("Python 3.9.")
    assert "VERSION_CODENAME=bullseye" in workstation.inside("cat", "/etc/os-release")
    assert workstation.inside("node", "--version").startswith("v18.")
    workstation.ok("verify", "--only", "tooling,framework")  # the oldest Python, pip, git, SQLite and inotify-tools
    assert_told_once(workstation, dpi=96)


def test_debian_13_with_a_newer_node_and_the_claude_code_that_wants_it(new_workstation: NewWorkstation) -> None:
    config = 'base: debian-13\ntools: {node: "22", claude-code: "2.1.330"}\nenvironment: {XFSETTINGSD_DEBUG: all}\n'
    workstation = new_workstation("trixie", config)

    workstation.up()

    assert_usable(workstation)
    assert "python" not in substitutions(workstation)
    assert "VERSION_CODENAME=trixie" in workstation.inside("cat", "/etc/os-release")
    assert workstation.inside("node", "--version").startswith("v22.")
    assert workstation.inside("claude", "--version").startswith("2.1.330")
    assert workstation.inside("npm", "--version").strip()
    icons_mb = int(workstation.inside("du", "-sm", "/usr/share/icons").split()[0])
    assert icons_mb < 60, "a theme that nothing shows, and whose cache takes half a minute of the build"
    workstation.ok("verify", "--only", "tooling,framework")
    assert_told_once(workstation, dpi=96)
    said = wait_for(
        "xfsettingsd to look at the screen",
        lambda: found if "Configuring CRTC" in (found := workstation.ok("logs", "xfsettingsd")) else None,
        deadline_s=10,
        interval_s=0.2,
    )
    assert "Applying desktop dimensions" not in said, "the desktop is painted a second time"


def test_claude_code_that_the_chosen_node_cannot_run_is_refused(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("mismatch", 'tools: {node: "18", claude-code: "2.1.330"}\n')

    refused = workstation.run("up")

    assert refused.returncode == 2
    assert re.search(r"devbox\.yaml:1:\d+", refused.stderr)
    assert "22" in refused.stderr
    assert "hint:" in refused.stderr


@pytest.fixture(scope="module")
def other_user(shared: Workstation, session_workstations: NewWorkstation) -> Iterator[Workstation]:
    workstation = session_workstations("other-user", "user: {uid: 1234}\n")
    workstation.up()
    yield workstation
    workstation.take_away()


def test_another_uid_needs_no_image_of_its_own(other_user: Workstation, shared: Workstation, engine: Engine) -> None:
    assert other_user.container(engine).image_id == shared.container(engine).image_id
    assert other_user.inside("id").startswith("uid=1234(dev) gid=1234(dev)")
    assert_usable(other_user)


def test_another_uid_owns_its_home_and_the_desktop(other_user: Workstation) -> None:
    assert other_user.inside("sh", "-c", "echo mine > ~/here && echo mine > ~/projects/there && echo written") == (
        "written\n"
    )
    assert set(other_user.inside("find", "/home/dev", "-printf", "%u:%g\n").split()) == {"dev:dev"}
    owners = other_user.inside("sh", "-c", "ps -C Xtigervnc,xfwm4,xfce4-panel,xfdesktop -o uid=").split()
    assert (len(owners), set(owners)) == (4, {"1234"})


FRAMEWORK = {
    # What the real oh-my-zsh.sh does, as far as our zshrc relies on it.
    "oh-my-zsh.sh": "source $ZSH/themes/$ZSH_THEME.zsh-theme\nprint -r -- plugins:$plugins cache:$ZSH_CACHE_DIR\n",
    "themes/jonathan.zsh-theme": "PROMPT='jonathan> '\n",
}


def make_framework(path: Path) -> str:
    """Write a small oh-my-zsh as its archive is laid out; the checksum by which devbox would know it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, text in FRAMEWORK.items():
            member = tarfile.TarInfo(f"ohmyzsh-0123456/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    path.write_bytes(gzip.compress(plain.getvalue()))
    return hashlib.sha256(plain.getvalue()).hexdigest()


def test_oh_my_zsh_from_a_local_archive_is_taken_over_by_the_shell(
    new_workstation: NewWorkstation, tmp_path: Path, engine: Engine
) -> None:
    """The pinned checksum admits only the real archive, which cannot be had here: so the steps are taken one by one."""
    workstation = new_workstation("framework")
    digest = make_framework(tmp_path / "oh-my-zsh.tar.gz")
    catalogued = parse_catalog(load_assets().listing).tools["oh-my-zsh"].archive
    assert catalogued is not None
    assert catalogued.target is not None
    source = ArchiveSource(
        location=str(tmp_path / "oh-my-zsh.tar.gz"),
        sha256=digest,
        strip=catalogued.strip,
        unpack=(UnpackRule(source="", target=catalogued.target),),
        fallback=None,
    )
    tree = fetch_tree(source, arch="amd64", cache=tmp_path / "cache")
    workstation.up()
    copied = subprocess.run(["tar", "--create", "--directory", str(tree.root), "."], capture_output=True, check=True)
    container = workstation.container(engine).id
    done = engine.run(container, ["tar", "--extract", "--no-same-owner", "--directory", "/"], stdin=copied.stdout)
    assert done.code == 0, done.stderr

    told = workstation.inside("zsh", "-ic", "print -r -- prompt:$PROMPT")

    assert "prompt:jonathan> " in told
    assert "plugins:git cache:/home/dev/.cache/oh-my-zsh" in told


def test_headless_has_no_desktop_and_ssh_works(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("headless", "profile: headless\nbase: debian-12\n")

    workstation.up()

    status = workstation.status()
    endpoints, ready = status["endpoints"], status["ready"]
    assert isinstance(endpoints, Mapping)
    assert isinstance(ready, Mapping)
    assert endpoints.keys() == {"ssh", "dev"}
    assert ready.keys() == {"ssh"}
    assert workstation.inside("sh", "-c", "ls /usr/bin | grep -c -e vnc -e xfce || true").strip() == "0"
    assert workstation.inside("claude", "--version").startswith("2.0.76")
    unwanted = workstation.run("screenshot", str(workstation.folder / "none.png"))
    assert unwanted.returncode != 0
    assert "vnc" in unwanted.stderr
