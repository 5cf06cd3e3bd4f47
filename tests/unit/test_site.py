"""The documentation as a site: it is whole, it loads nothing from elsewhere, and a dead link ends its build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from builder.core.schema_words import KEYS
from docsite.codes import find_codes
from docsite.verbs import find_verbs

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("mkdocs", reason="`make docs` installs it")


def build(config: Path, target: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(target)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)


@dataclass
class Seen(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") != "canonical":
            self.assets.append(found["href"])
        elif "src" in found:
            self.assets.append(found["src"])


def read(page: Path) -> Seen:
    seen = Seen()
    seen.feed(page.read_text())
    return seen


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", target)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Seen]:
    found = {page.resolve(): read(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert len(found) > 60
    return found


def test_the_site_has_every_verb_key_and_exit_code(site: Path) -> None:
    verbs, config, codes = ((site / f"reference/{name}.html").read_text() for name in ("verbs", "config", "exit-codes"))
    assert [words for words, _ in find_verbs() if f'id="{"-".join(words)}"' not in verbs] == []
    assert [key for key in KEYS if f"<code>{key}</code>" not in config] == []
    assert [code for code, _ in find_codes() if f"<td>{code}</td>" not in codes] == []


def test_every_link_of_the_site_leads_to_a_page_and_a_place_in_it(site: Path, pages: dict[Path, Seen]) -> None:
    assert list(dead_links(pages)) == []


def dead_links(pages: dict[Path, Seen]) -> Iterator[str]:
    for page, seen in pages.items():
        for link in seen.links:
            path, _, anchor = unquote(link).partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                yield f"{page.name}: {link}"


def test_the_site_loads_nothing_from_elsewhere(site: Path, pages: dict[Path, Seen]) -> None:
    loaded = {(page, asset) for page, seen in pages.items() for asset in seen.assets if not asset.startswith("data:")}
    assert {asset for _, asset in loaded if re.match(r"[a-z]+:|//", asset)} == set()
    assert {asset for page, asset in loaded if not (page.parent / asset.partition("?")[0]).exists()} == set()
    sheets = "".join(sheet.read_text() for sheet in site.rglob("*.css"))
    assert set(re.findall(r"url\((?!data:)[\"']?(?:https?:)?//[^)]*|@import[^;]*", sheets)) == set()


def test_a_dead_link_and_a_forgotten_page_end_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# One\n\n[a page](nowhere.md), [a place](#nowhere-else)\n")
    (docs / "forgotten.md").write_text("# Two\n")
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: docs\nhooks: []\nnav: [index.md]\n")
    done = build(config, tmp_path / "site")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith(("WARNING", "  - "))]
    assert all(any(words in line for line in told) for words in ("nowhere.md", "#nowhere-else", "forgotten.md"))
