"""`devbox tools`, `tool show`, `schema`, and a catalogue of one's own: what is shown, laid over, and refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.adapters.installation import data_root
from builder.cli import app, run
from builder.shortcut import take_fingerprint

OWN = (
    "summary: my own\napt: [hello]\nports: {web2: 7000}\nrootfs: [mine]\nchecks: [{run: [hello, -v]}, {service: me}]\n"
)


class Devbox:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        code = run(lambda: app(["-C", str(self.folder), *argv], prog_name="devbox", standalone_mode=False))
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def devbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Devbox:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    folder = tmp_path / "my-app"
    folder.mkdir()
    return Devbox(folder, capsys)


def test_tools_lists_every_tool_of_the_catalogue(devbox: Devbox) -> None:
    names = sorted(path.stem for path in (data_root() / "images/tools").glob("*.yaml"))
    code, text, _ = devbox("tools")
    assert (code, [line.split()[0] for line in text.splitlines()]) == (0, names)
    assert [tool["name"] for tool in json.loads(devbox("tools", "--json")[1])] == names


def test_a_tool_is_shown_with_what_it_brings_and_where_its_file_lies(devbox: Devbox) -> None:
    found = json.loads(devbox("tool", "show", "sshd", "--json")[1])
    assert (found["services"], found["ports"]) == (["sshd"], {"ssh": 2222})
    assert (data_root() / found["file"]).is_file()
    lines = devbox("tool", "show", "node")[1].splitlines()
    assert lines[0].startswith("node: ")
    assert any(line.split()[0] == "versions" and "(default)" in line for line in lines)
    assert any(line.split()[0] == "profiles" and "headless, workstation" in line for line in lines)


def test_an_unknown_tool_is_refused_with_the_one_that_was_meant(devbox: Devbox) -> None:
    code, out, err = devbox("tool", "show", "nodd")
    assert (code, out) == (2, "")
    assert "there is no tool `nodd`\nhint: did you mean `node`?" in err


def test_a_tool_of_ones_own_is_one_of_the_catalogue(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "catalogue: ./own\ntools: [mine]\n")
    devbox.write("own/tools/mine.yaml", OWN)
    devbox.write("own/rootfs/mine/usr/lib/devbox/services/me/run", "#!/bin/sh\n")

    found = json.loads(devbox("tool", "show", "mine", "--json")[1])
    assert (found["file"], found["services"]) == ("./own/tools/mine.yaml", ["me"])
    assert found["checks"] == ["hello -v", "service me"]
    plan = json.loads(devbox("plan", "--assume", "--json")[1])
    (step,) = [step for step in plan["steps"] if "hello" in json.dumps(step)]
    assert step["origin"] == "./own/tools/mine.yaml"  # what a failed build is told by
    assert devbox("render", "--assume")[0] == 0
    copied = list((devbox.folder / ".workstation").rglob("services/me/run"))
    assert [path.read_text() for path in copied] == ["#!/bin/sh\n"]


def test_a_file_of_ones_own_takes_the_place_of_ours_and_the_last_folder_wins(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "catalogue: [one, two]\n")
    for folder in ("one", "two"):
        devbox.write(f"{folder}/tools/git.yaml", f"summary: Git of {folder}\napt: [git]\n")
    assert json.loads(devbox("tool", "show", "git", "--json")[1])["summary"] == "Git of two"


def test_a_mistake_in_a_catalogue_of_ones_own_is_told_with_its_place(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "catalogue: [own]\n")
    devbox.write("own/tools/mine.yaml", "summary: x\nrequires: [nodd]\n")
    devbox.write("own/bases/odd.yaml", "nope: 1\n")
    code, _, err = devbox("plan", "--assume")
    assert code == 2
    assert "own/bases/odd.yaml:1:1: nope: unknown key `nope`" in err
    devbox.write("own/bases/odd.yaml", (data_root() / "images/bases/debian-12.yaml").read_text())
    assert "own/tools/mine.yaml:2:12: requires[0]: unknown tool `nodd`" in devbox("plan", "--assume")[2]


def test_a_catalogue_that_is_not_there_is_told_by_the_verbs_that_need_it_alone(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "name: x\ncatalogue: [./gone]\n")
    code, _, err = devbox("plan", "--assume")
    assert code == 2
    assert "devbox.yaml:2:13: catalogue[0]: there is no folder `./gone`" in err
    assert devbox("config", "--json")[0] == 2
    assert devbox("password", "ssh")[2].startswith("error: ssh has no password")


def test_up_notices_a_change_in_a_catalogue_of_ones_own(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "catalogue: [own]\n")
    seen = [take_fingerprint(devbox.folder, os.environ)]
    for text in (OWN, OWN + "# more\n"):
        devbox.write("own/tools/mine.yaml", text)
        seen.append(take_fingerprint(devbox.folder, os.environ))
    assert len(set(seen)) == 3


def test_up_notices_a_change_behind_a_link_and_none_in_what_is_not_read(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "catalogue: .\n")
    for place, target in (("tools/mine.yaml", "shared.yaml"), ("rootfs/mine/etc/x", "shared.txt")):
        devbox.write(target, OWN)
        (devbox.folder / place).parent.mkdir(parents=True)
        (devbox.folder / place).symlink_to(devbox.folder / target)
    seen = [take_fingerprint(devbox.folder, os.environ)]
    for name in ("shared.yaml", "shared.txt"):
        devbox.write(name, OWN + "# more\n")
        seen.append(take_fingerprint(devbox.folder, os.environ))
    assert len(set(seen)) == 3
    for name in (".git/index", ".workstation/state.json", "README.md", "tools/.mine.yaml.swp", "tools/.odd.yaml"):
        devbox.write(name, "new")
    assert take_fingerprint(devbox.folder, os.environ) == seen[-1]


@pytest.fixture
def odd(devbox: Devbox) -> Iterator[Callable[[str], None]]:
    """Puts one thing wrong into a catalogue of one's own."""
    devbox.write("devbox.yaml", "name: x\ncatalogue: [./own]\n")
    devbox.write("own/tools/mine.yaml", "summary: mine\napt: [hello]\n")
    own = devbox.folder / "own"

    def make(kind: str) -> None:
        match kind:
            case "no text":
                (own / "tools/odd.yaml").write_bytes(b"summary: \xff\n")
            case "a pipe":
                os.mkfifo(own / "tools/odd.yaml")
            case "a link to nothing":
                (own / "tools/odd.yaml").symlink_to("gone.yaml")
            case "a link in a circle":
                devbox.write("own/rootfs/mine/x", "")
                (own / "rootfs/mine/odd").symlink_to("odd")
            case "no permission":
                (own / "tools").chmod(0)
            case "a file for a folder":
                devbox.write("own/rootfs", "")

    yield make
    (own / "tools").chmod(0o755)


@pytest.mark.parametrize(
    ("kind", "code", "part"),
    [
        ("no text", 2, "own/tools/odd.yaml"),
        ("a pipe", 8, "own/tools/odd.yaml: is no plain file"),
        ("a link to nothing", 8, "own/tools/odd.yaml: is no plain file"),
        ("a link in a circle", 8, "own/rootfs/mine/odd: is no plain file"),
        ("a file for a folder", 8, "own/rootfs: cannot read this: Not a directory"),
        pytest.param(
            "no permission", 8, "own/tools: cannot read this: Permission denied",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read all"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_by_the_verbs_that_need_the_catalogue_alone(
    kind: str, code: int, part: str, devbox: Devbox, odd: Callable[[str], None]
) -> None:
    odd(kind)
    found, _, err = devbox("plan", "--assume")
    assert (found, part in err) == (code, True)
    assert take_fingerprint(devbox.folder, os.environ)
    assert devbox("password", "ssh")[2].startswith("error: ssh has no password")
    assert devbox("init", "--force", "--yes")[0] == 0
    assert devbox("plan", "--assume")[0] == 0


def test_the_lock_of_an_editor_is_no_file_of_a_catalogue(devbox: Devbox, odd: Callable[[str], None]) -> None:
    (devbox.folder / "own/rootfs/mine").mkdir(parents=True)
    for place in ("tools/.#mine.yaml", "rootfs/mine/.#run"):
        (devbox.folder / "own" / place).symlink_to("me@host.123:456")
    assert devbox("plan", "--assume")[0] == 0


def test_init_proposes_from_our_catalogue_not_from_that_of_the_file_it_replaces(devbox: Devbox) -> None:
    devbox.write("devbox.yaml", "catalogue: [./own]\n")
    devbox.write("own/tools/mine.yaml", (data_root() / "images/tools/node.yaml").read_text())
    devbox.write(".tool-versions", "mine 20\n")
    assert devbox("init", "--force", "--yes")[0] == 0
    assert "devbox has no tool of that name" in " ".join((devbox.folder / "devbox.yaml").read_text().split("#"))
    assert devbox("plan", "--assume")[0] == 0


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("a link", "own/rootfs/mine/etc/k: this link leads out of the catalogue"),
        ("a folder", "own/rootfs: this link leads out of the catalogue"),
        ("a key", "own/rootfs/mine/etc/k: is a private key"),
        ("too much", "own/rootfs: holds more than 64 MB or 1 files"),
    ],
)
def test_a_catalogue_brings_nothing_from_elsewhere_no_key_and_not_too_much(
    kind: str, part: str, devbox: Devbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    devbox.write("devbox.yaml", "catalogue: [./own]\n")
    devbox.write("elsewhere/etc/k", "mine")
    devbox.write("own/rootfs/mine/etc/more", "")
    place = devbox.folder / "own/rootfs/mine/etc/k"
    match kind:
        case "a link":
            place.symlink_to(devbox.folder / "elsewhere/etc/k")
        case "a folder":
            (devbox.folder / "own/rootfs").rename(devbox.folder / "elsewhere/rootfs")
            (devbox.folder / "own/rootfs").symlink_to("../elsewhere/rootfs")
        case "a key":
            place.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        case _:
            place.write_text("")
            monkeypatch.setattr("builder.adapters.intake.MAX_FILES", 1)
    code, _, err = devbox("plan", "--assume")
    assert (code, part in err) == (8, True)


@pytest.mark.parametrize("kind", ["config", "tool", "base", "profile"])
def test_a_schema_is_json_on_stdout_or_in_a_file(devbox: Devbox, kind: str) -> None:
    code, text, _ = devbox("schema", kind)
    assert code == 0
    file = devbox.folder / "schema.json"
    assert devbox("schema", kind, "--output", str(file))[1] == f"{file} written\n"
    assert json.loads(text) == json.loads(file.read_text())


def test_an_unknown_schema_is_refused_with_the_known_ones(devbox: Devbox) -> None:
    assert devbox("schema", "compose")[::2] == (
        2, "error: there is no schema of compose\nhint: it is config, tool, base, profile, sidecar\n"
    )  # fmt: skip


def test_init_names_a_schema_that_is_there(devbox: Devbox) -> None:
    assert devbox("init", "--yes")[0] == 0
    first = (devbox.folder / "devbox.yaml").read_text().splitlines()[0]
    place = first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads((devbox.folder / place).read_text()) == json.loads(devbox("schema")[1])
    assert (devbox.folder / ".workstation/.gitignore").read_text() == "*\n"
    assert devbox("render", "--assume")[0] == 0
    assert (devbox.folder / place).is_file()  # what is rendered leaves it alone
