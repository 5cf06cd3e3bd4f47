"""What the documents say exists: verbs, targets, options, keys, files. And what must stand in no file we track."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from builder import cli, errors
from builder.core.schema import make_schema
from builder.core.schema_words import KEYS
from docsite import keys, verbs
from docsite.codes import find_codes
from docsite.links import PAGES
from docsite.outputs import OUTPUTS, shapes_without_words
from docsite.pages import FOLDER, render_pages
from docsite.verbs import find_verbs

ROOT = Path(__file__).resolve().parents[2]
# Notes on decisions speak of what was planned, too, and some faults are verbs that do not exist: there only whole
# blocks are commands.
DECISIONS = ROOT / "docs/decisions"
FAULTS = ROOT / "docs/reliability.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMAND: Any = typer.main.get_command(cli.app)
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(text: str, *, prose: bool) -> Iterator[list[str]]:
    """The words of every line of a shell block, and of every piece of code in `prose`, that calls devbox or make."""
    lines = [
        line for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for line in [*lines, *(re.findall(r"`([^`\n]+)`", rest) if prose else ())]:
        line = re.sub(r"\[.*?\]", "", line.removeprefix("$ "))
        if re.match(r"(devbox|make) [a-z-]", line):
            yield shlex.split(line)


def command_cases() -> list[Any]:
    found = [
        (path, words)
        for path in DOCUMENTS
        for words in commands_in(path.read_text(), prose=DECISIONS not in path.parents and path != FAULTS)
    ]
    return [pytest.param(words, id=f"{name_of(path)}: {' '.join(words)}") for path, words in found]


@pytest.mark.parametrize("words", command_cases())
def test_a_command_in_the_documents_exists(words: list[str]) -> None:
    if words[0] == "make":
        assert words[1] in TARGETS
        return
    if words[1] == "help":
        return  # no verb of its own: tests/unit/test_habits.py
    command: Any = COMMAND
    options = option_names(command)
    for word in words[1:]:
        if word.startswith("-"):
            assert word in options, f"{word} is no option of {command.name}"
        elif command is COMMAND:
            assert word in COMMAND.commands, f"devbox has no verb {word}"
            command = COMMAND.commands[word]
            options = option_names(command)
        elif command.name == "exec":
            return  # what follows is somebody else's command line


def option_names(command: Any) -> set[str]:
    return {"-h", "--help", "--host"} | {name for parameter in command.params for name in parameter.opts}


def test_the_reference_is_what_the_code_says() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.md")}
    assert written == render_pages(), "`make docs-reference` writes it anew"


def test_the_reference_has_every_key_of_devbox_yaml_and_of_its_sections() -> None:
    written = set(re.findall(r"^\| `([a-z_.]+)` \|", render_pages()["config.md"], re.MULTILINE))
    assert set(make_schema()["properties"]) == {key.partition(".")[0] for key in written}
    assert set(KEYS) == written


def test_the_reference_has_the_exit_code_of_every_family() -> None:
    families = [
        item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.DevboxError)
    ]
    assert {kind.exit_code for kind in families} == {code for code, _ in find_codes()}


def test_the_reference_says_what_every_verb_prints_as_json() -> None:
    told = {" ".join(words) for words, verb in find_verbs() if "--json" in option_names(verb)}
    assert told == set(OUTPUTS), "name its dataclass in docsite/outputs.py"
    assert list(shapes_without_words()) == [], "say in a comment behind the field what it is"


def test_every_document_is_in_the_navigation_of_the_site() -> None:
    named = set(re.findall(r"^ +- .*: ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    docs = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    decisions = {f"decisions/{page.name}" for page in DECISIONS.glob("*.md")}  # docsite/links.py puts these in
    assert docs - decisions - named == set(), "name it in the `nav` of mkdocs.yml"
    assert {name for name in named if name not in docs} <= set(PAGES.values())


def test_the_reference_is_linked_to_the_guides_of_verbs_and_keys_that_there_are() -> None:
    assert set(verbs.GUIDES) <= {" ".join(words) for words, _ in find_verbs()}
    assert set(keys.GUIDES) <= set(KEYS)


def link_cases() -> list[Any]:
    found = [
        (path, target)
        for path in DOCUMENTS
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL))
        if not target.startswith(("http://", "https://"))
    ]
    return [pytest.param(path, target, id=f"{name_of(path)}: {target}") for path, target in found]


@pytest.mark.parametrize(("path", "target"), link_cases())
def test_a_link_between_documents_leads_somewhere(path: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    found = (path.parent / file).resolve() if file else path
    assert found.exists()
    if anchor:
        assert anchor in {anchor_of(title) for title in re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_test_that_a_document_names_exists(path: Path) -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", path.read_text()))
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def anchor_of(title: str) -> str:
    """As GitHub makes them: small letters, no punctuation, blanks as dashes."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


# ----------------------------------------------------------------------------------- what must stand in no file


def tracked_files() -> list[Path]:
    """What git has, and what it would take; all files where this is no checkout."""
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(listing, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [path for path in ROOT.rglob("*") if path.is_file() and not {".venv", ".cache"} & set(path.parts)]
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def registry_hosts() -> set[str]:
    """The package registries of this machine, from its own settings, so that none is written here."""
    from pip._internal.models.index import PyPI  # type: ignore[import-untyped,unused-ignore]

    texts = [PyPI.url, f"https://{PyPI.file_storage_domain}/"]
    apt = Path("/etc/apt")
    for file in [*apt.glob("sources.list"), *apt.glob("sources.list.d/*")]:
        texts += [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found = re.findall(r"https?://(?:[^/\s@]*@)?([^/\s:'\"]+)", "\n".join([*texts, done.stdout]))
    return {host for host in found if "." in host and not host.startswith("127.")}


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_package_registry() -> None:
    hosts = registry_hosts()
    assert hosts
    # The names of packages in the hashes' file may contain anything; addresses would be options of pip.
    found = {(name_of(path), host) for path in tracked_files() for host in hosts if host in text_of(path)}
    assert found == set()


def test_no_file_names_a_path_of_this_machine() -> None:
    here = f"{ROOT.parent}/"
    if len(ROOT.parent.parts) < 2:
        pytest.skip("the checkout lies in the root folder")
    assert {name_of(path) for path in tracked_files() if here in text_of(path)} == set()


def test_pictures_are_small() -> None:
    assert [name_of(path) for path in ROOT.glob("docs/images/*") if path.stat().st_size > 300_000] == []
