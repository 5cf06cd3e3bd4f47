"""The Markdown pages: one per kind and month, brought up to date without touching what a person wrote.

    knowledge/decisions/2026-03.md        items between marks <!-- ID SUM -->, oldest first
    knowledge/decisions/.2026-03.ids      the ids that were ever written there and are still to be found in sessions

SUM is taken from the item's text as it was written: where it no longer fits, a person has changed the item, and it is
theirs. An id in the list that is not on the page was deleted by a person, and is not written again. The page is
written before the list: a run killed in between has forgotten nothing that a person did.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coditect.errors import StoreError
from coditect.knowledge.items import KINDS, Item

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FOLDERS: Final = {kind: f"{kind}s" if kind != "fix" else "fixes" for kind in KINDS}
UNDATED: Final = "undated"
_TITLES: Final = {
    "decision": "Decisions",
    "pattern": "Patterns",
    "question": "Open questions",
    "fix": "Errors and fixes",
}
_NOTE: Final = (
    "<!-- Written by `coditect knowledge extract`. What you change stays changed, what you delete stays away. -->"
)
_MARK: Final = re.compile(r"^.*<!-- (?P<id>[0-9a-f]{12}) (?P<sum>[0-9a-f]{8}) -->\s*$", re.MULTILINE)
_LATEST: Final = (float("inf"), "")

Place = tuple[float, str]


@dataclass(frozen=True)
class _Chunk:
    """A piece of a page: from the mark of an item to the next. `ours`: nobody has changed it."""

    id: str
    text: str
    ours: bool


def write_pages(folder: Path, items: Iterable[Item], since: float | None = None) -> list[Path]:
    """The files that changed. With `since`, items from before are not added; those on the pages stay."""
    pages: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        pages.setdefault((item.kind, item.day[:7] or UNDATED), []).append(item)
    for kind in KINDS:
        for path in sorted((folder / FOLDERS[kind]).glob("*.md")):
            pages.setdefault((kind, path.stem), [])
    try:
        return [
            path
            for (kind, month), found in sorted(pages.items())
            for path in _update(folder, kind, month, found, since)
        ]
    except OSError as error:
        hint = "make the folder writable, or choose another store with --store"
        raise StoreError(
            f"cannot be written: {error.strerror}", where=str(error.filename or folder), hint=hint
        ) from error


def render(item: Item) -> str:
    """An item as it stands on its page."""
    lines = [f"- {item.statement}"]
    facts = [
        item.day,
        f"project `{item.project}`" if item.project else "",
        f"session `{item.session}`" if item.session else "",
    ]
    shows = [f"`cxq --show {source[:12]}`" for source in (item.cause, item.source) if source]
    lines.append("  " + " · ".join([*(fact for fact in facts if fact), " → ".join(shows)]))
    return f"{lines[0]} <!-- {item.id} {_sum(lines)} -->\n{lines[1]}\n"


def _sum(lines: Iterable[str]) -> str:
    """Of the text without its mark and without what editors do to the ends of lines."""
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n")
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _update(folder: Path, kind: str, month: str, items: list[Item], since: float | None) -> list[Path]:
    page = folder / FOLDERS[kind] / f"{month}.md"
    listing = page.with_name(f".{month}.ids")
    if not items and not listing.exists():
        return []  # a page that a person made
    before = _read(page)
    head, chunks = _split(before)
    known = set(_read(listing).split())
    there = {chunk.id for chunk in chunks}
    wanted = {item.id: item for item in items if _is_wanted(item, there, known, since)}
    text = _merge(head or _head(kind, month), chunks, wanted)
    ids = sorted((known & {item.id for item in items}) | set(wanted))
    empty = not wanted and text.strip() in ("", _head(kind, month).strip())
    changed = [page] if _write(page, before, "" if empty else text) else []
    if _write(listing, _read(listing), "".join(f"{id}\n" for id in ids)):
        changed.append(listing)
    return changed


def _is_wanted(item: Item, there: set[str], known: set[str], since: float | None) -> bool:
    if item.id in there:
        return True
    return item.id not in known and (since is None or item.time is None or item.time >= since)


def _head(kind: str, month: str) -> str:
    return f"# {_TITLES[kind]}, {month}\n\n{_NOTE}\n\n"


def _split(text: str) -> tuple[str, list[_Chunk]]:
    """What stands before the first item, and the items with all that follows each."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return text, []
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return text[: marks[0].start()], [_chunk(mark, text[mark.start() : end]) for mark, end in zip(marks, ends)]


def _chunk(mark: re.Match[str], text: str) -> _Chunk:
    lines = text.replace("\r\n", "\n").split("\n")
    lines[0] = lines[0][: lines[0].rindex("<!--")]
    return _Chunk(mark["id"], text, _sum(lines) == mark["sum"])


def _merge(head: str, chunks: list[_Chunk], wanted: dict[str, Item]) -> str:
    """Items in their order; what a person changed stays as it is, behind the item it stood behind if it has no date."""
    placed: list[tuple[Place, str]] = []
    place: Place = (float("-inf"), "")
    done: set[str] = set()
    for chunk in chunks:
        item = wanted.get(chunk.id)
        place = _place(item) if item else place
        if not chunk.ours:
            placed.append((place, chunk.text if chunk.text.endswith("\n") else f"{chunk.text}\n"))
        elif item and chunk.id not in done:
            placed.append((place, render(item)))
        done.add(chunk.id)
    placed += [(_place(item), render(item)) for item in wanted.values() if item.id not in done]
    placed.sort(key=lambda entry: entry[0])
    return head + "".join(text for _, text in placed)


def _place(item: Item) -> Place:
    return (_LATEST[0] if item.time is None else item.time, item.id)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def _write(path: Path, before: str, text: str) -> bool:
    """Whole or not at all; an empty text is no file."""
    if text == before:
        return False
    if not text:
        path.unlink()
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    with scratch.open("wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return True
