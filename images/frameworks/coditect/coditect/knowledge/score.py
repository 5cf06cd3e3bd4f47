"""How good the rules are: precision and recall on sessions that a person has labelled.

A sample is a folder of halves; a half is NAME.jsonl (messages with a `uuid`) and NAME.labels.yaml:

    - {kind: decision, at: s01-07, says: words of the message}
    - {kind: fix, at: [s01-09, s01-14], says: the error, fix: words that the fix must name}
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from coditect.errors import UsageError
from coditect.knowledge.collect import Collection
from coditect.knowledge.items import KINDS, Item
from coditect.records import canonical_json, message_id, parse_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ALL: Final = "all"


@dataclass(frozen=True)
class Label:
    kind: str
    at: tuple[str, ...]
    says: str
    fix: str = ""


@dataclass(frozen=True)
class Found:
    """An item with the names of the messages it came from."""

    item: Item
    at: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    half: str
    kind: str
    right: int
    extracted: int
    labelled: int

    @property
    def precision(self) -> float:
        return self.right / self.extracted if self.extracted else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.labelled if self.labelled else 1.0


@dataclass(frozen=True)
class Half:
    """A half of the sample, extracted and compared."""

    name: str
    messages: int
    scores: tuple[Score, ...]
    wrong: tuple[Found, ...]
    missed: tuple[Label, ...]


def score_sample(folder: Path) -> list[Half]:
    """Raises UsageError for a sample that cannot be used."""
    halves = sorted(folder.glob("*.jsonl"))
    if not halves:
        raise UsageError("no *.jsonl with labels", where=str(folder), hint="name the folder of a labelled sample")
    return [_score_half(path) for path in halves]


def _score_half(path: Path) -> Half:
    labels = list(_read_labels(path.with_name(f"{path.stem}.labels.yaml")))
    lines = [canonical_json(parse_record(line)) for line in path.read_bytes().splitlines()]
    names = {message_id(line).hex(): str(json.loads(line).get("uuid", "")) for line in lines}
    _check_labels(path, labels, lines)
    found = [
        Found(item, tuple(names.get(source, "") for source in (item.cause, item.source))) for item in _extract(lines)
    ]
    wrong, missed = _compare(found, labels)
    scores = tuple(_score(path.stem, kind, found, labels, wrong) for kind in (*KINDS, ALL))
    return Half(path.stem, len(lines), scores, tuple(wrong), tuple(missed))


def _extract(lines: Sequence[bytes]) -> list[Item]:
    with closing(Collection(":memory:")) as collection:
        for line in lines:
            collection.add_line(line)
        return list(collection.items())


def _read_labels(path: Path) -> Iterator[Label]:
    try:
        entries: Any = yaml.safe_load(path.read_text("utf-8"))
        for entry in entries:
            at = entry["at"] if isinstance(entry["at"], list) else [entry["at"]]
            yield Label(entry["kind"], tuple(at), entry["says"], entry.get("fix", ""))
    except FileNotFoundError as error:
        raise UsageError("the labels are missing", where=str(path)) from error
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise UsageError(f"no list of labels: {error}", where=str(path), hint="each needs kind, at and says") from error


def _check_labels(path: Path, labels: Sequence[Label], lines: Sequence[bytes]) -> None:
    """A label with a slip in it would count as an item that was missed."""
    texts = {
        str(record.get("uuid", "")): _plain(json.dumps(record, ensure_ascii=False))
        for record in map(parse_record, lines)
    }
    for label in labels:
        if label.kind not in KINDS or not any(_plain(label.says) in texts.get(name, "") for name in label.at):
            raise UsageError(f"no such words in {', '.join(label.at)}: {label.says}", where=str(path))


def _compare(found: Sequence[Found], labels: Sequence[Label]) -> tuple[list[Found], list[Label]]:
    """Each label takes one item and each item one label; what is left over on either side."""
    missed, wrong = list(labels), []
    for entry in found:
        match = next((label for label in missed if _fits(entry, label)), None)
        if match:
            missed.remove(match)
        else:
            wrong.append(entry)
    return wrong, missed


def _fits(found: Found, label: Label) -> bool:
    said, words = _plain(found.item.statement), _plain(label.says)
    if found.item.kind != label.kind or not set(found.at) & set(label.at):
        return False
    return (words in said or (len(said) > 12 and said in words)) and _plain(label.fix) in said


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _score(half: str, kind: str, found: Sequence[Found], labels: Sequence[Label], wrong: Sequence[Found]) -> Score:
    extracted = sum(kind in (entry.item.kind, ALL) for entry in found)
    mistaken = sum(kind in (entry.item.kind, ALL) for entry in wrong)
    return Score(half, kind, extracted - mistaken, extracted, sum(kind in (label.kind, ALL) for label in labels))


def as_markdown(halves: Sequence[Half]) -> str:
    """The table of the documentation."""
    lines = [
        "| half | messages | kind | labelled | extracted | right | precision | recall |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for half in halves:
        for score in half.scores:
            cells = (half.name, half.messages, score.kind, score.labelled, score.extracted, score.right)
            lines.append(f"| {' | '.join(map(str, cells))} | {score.precision:.2f} | {score.recall:.2f} |")
    return "\n".join(lines) + "\n"
