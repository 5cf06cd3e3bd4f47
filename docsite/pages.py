"""The pages of docs/reference, as the code says them. `python -m docsite` writes them; a test holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docsite.catalogue import render_catalogue
from docsite.codes import render_codes
from docsite.keys import render_keys
from docsite.outputs import render_outputs
from docsite.verbs import render_verbs

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs/reference"
MARK: Final = "<!-- Written by `make docs-reference` from the code: change it there. -->\n\n"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "verbs.md": render_verbs,
    "config.md": render_keys,
    "catalogue.md": render_catalogue,
    "exit-codes.md": render_codes,
    "json.md": render_outputs,
}


def render_pages() -> dict[str, str]:
    return {name: MARK + render().rstrip("\n") + "\n" for name, render in PAGES.items()}


def write_pages() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in render_pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
