"""A hook of MkDocs: the documents as they lie in the repository become pages of a site.

Documents outside of docs/ get a page, the notes on decisions an entry in the navigation each, and links are set right:
a page links to a page, and what is no page (a source file) is named without a link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = "docs"
DECISIONS: Final = "decisions/index.md"
# Documents of the repository that lie elsewhere, and the pages that they are in the site.
PAGES: Final = {
    "README.md": "index.md",
    "SECURITY.md": "SECURITY.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "images/frameworks/coditect/README.md": "coditect.md",
    "images/frameworks/coditect/docs/knowledge.md": "coditect-knowledge.md",
    "images/frameworks/coditect/docs/steps.md": "coditect-steps.md",
}
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_BLOCK: Final = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every decision is in the navigation, without a line for each in mkdocs.yml."""
    pages = sorted(f"decisions/{path.name}" for path in (ROOT / DOCS / "decisions").glob("*.md"))
    for section in config.nav or ():
        if "Decisions" in section:
            section["Decisions"] = [DECISIONS, *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    from mkdocs.structure.files import File  # here: the tests read PAGES without MkDocs

    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    files.append(File.generated(config, DECISIONS, content=_list_decisions()))
    return files


def _list_decisions() -> str:
    pages = sorted((ROOT / DOCS / "decisions").glob("*.md"))
    lines = (f"- [{page.read_text().partition(chr(10))[0].lstrip('# ')}]({page.name})" for page in pages)
    return "\n".join(["# Decisions\n", "Why it is so: context, decision, measured, rejected.\n", *lines])


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    uri = page.file.src_uri
    source = next((source for source, name in PAGES.items() if name == uri), f"{DOCS}/{uri}")
    known = {file.src_uri for file in files}
    parts = _BLOCK.split(markdown)
    return "".join(part if _BLOCK.fullmatch(part) else set_links(part, source, uri, known) for part in parts)


def set_links(text: str, source: str, uri: str, known: set[str]) -> str:
    """Links of `source`, a path in the repository, as the page `uri` has to write them."""

    def turn(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        path, mark, anchor = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return match[0]
        found = find_page(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if found not in known:
            return match[0] if not (ROOT / posixpath.dirname(source) / path).exists() else words
        return f"{picture}[{words}]({posixpath.relpath(found, posixpath.dirname(uri) or '.')}{mark}{anchor})"

    return _LINK.sub(turn, text)


def find_page(path: str) -> str:
    """The place in the site of a path of the repository; a path of its own where it has none."""
    if path == f"{DOCS}/decisions":
        return DECISIONS
    return PAGES.get(path) or path.removeprefix(f"{DOCS}/")
