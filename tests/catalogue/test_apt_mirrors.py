"""apt, as an image and the question for its packages run it, where a mirror does not answer: on lists of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APT_UPDATE = ROOT / "images/rootfs/init/usr/lib/devbox/apt-update"

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt here")


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    """A folder with all that apt needs, and no mirror yet: what is signed needs more than a test has."""
    for name in ("lists", "cache", "parts"):
        (tmp_path / name).mkdir()
    (tmp_path / "status").write_text("")
    (tmp_path / "sources").write_text("")
    (tmp_path / "apt.conf").write_text(
        f"""Dir::State::lists "{tmp_path}/lists"; Dir::State::status "{tmp_path}/status"; Dir::Cache "{tmp_path}/cache";
Dir::Etc::SourceList "{tmp_path}/sources"; Dir::Etc::SourceParts "{tmp_path}/parts"; Dir::Etc::Parts "{tmp_path}/parts";
Dir::Etc::Main "{tmp_path}/none"; Acquire::Retries "0"; APT::Sandbox::User ""; APT::Architecture "amd64";
Acquire::http::Proxy "DIRECT";
"""
    )
    return tmp_path


@pytest.fixture
def closed() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def add_dead_mirror(apt: Path, port: int) -> None:
    with (apt / "sources").open("a") as file:
        file.write(f"deb http://127.0.0.1:{port}/ ./\n")


def run(apt: Path, line: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf"), "LC_ALL": "C.UTF-8", "TMPDIR": str(apt)}
    environment |= {"DEVBOX_APT_CACHE": str(apt / "cache"), "DEVBOX_APT_PARTS": str(apt / "parts")}
    return subprocess.run(["sh", "-euc", line], env=environment, capture_output=True, text=True, check=False)


def update(apt: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(apt, shlex.join([str(APT_UPDATE), *options]))


def test_the_question_of_an_update_wants_an_answer_of_every_mirror(apt: Path, closed: int) -> None:
    text = (ROOT / "templates/question.j2").read_text()
    strict = re.search(r'"( --option \S+)" if strict', text)
    assert strict is not None
    assert update(apt, *strict[1].split()).returncode == 0
    add_dead_mirror(apt, closed)
    assert update(apt, *strict[1].split()).returncode == 100


def test_an_install_says_that_a_mirror_did_not_answer_and_goes_on(apt: Path, closed: int) -> None:
    done = update(apt)
    assert (done.returncode, "devbox: " in done.stderr) == (0, False)
    add_dead_mirror(apt, closed)
    done = update(apt)
    assert (done.returncode, "\ndevbox: not every package mirror answered" in done.stderr) == (0, True)
    assert "Failed to fetch" in done.stderr


def test_an_install_fails_where_apt_itself_does(apt: Path) -> None:
    (apt / "sources").write_text("deb nonsense\n")
    done = update(apt)
    assert (done.returncode, "E: " in done.stderr) == (100, True)


def test_apt_is_made_ready_without_asking_a_mirror(apt: Path, closed: int) -> None:
    (apt / "parts/tools.list").write_text("")
    add_dead_mirror(apt, closed)
    done = update(apt, "--prepare")
    assert (done.returncode, done.stderr) == (0, "")
    assert (apt / "cache/devbox-sources.d/tools.list").is_file()


def test_where_apt_cannot_ask_no_mirror_is_said_to_lack_something(apt: Path) -> None:
    text = (APT_UPDATE.parent / "apt-install").read_text()
    download = re.search(r"^download\(\) \{.*?^\}", text, re.MULTILINE | re.DOTALL)
    assert download is not None
    (apt / "sources").write_text("deb nonsense\n")
    steps = download[0].replace("/usr/lib/devbox/apt-update", shlex.quote(str(APT_UPDATE)))
    done = run(apt, f"work={apt}; fetch() {{ return 100; }}\n{steps}\ndownload bash=1 || echo no mirror has bash")
    assert (done.returncode, "no mirror has" in done.stdout, "E: " in done.stderr) == (100, False, True)
