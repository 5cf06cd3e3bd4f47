"""How many of the messages that are meant stand among the first ten, by class of query."""

from __future__ import annotations

from pathlib import Path

from search_corpus import CLASSES, make_queries
from search_stores import ask, make_corpus

from coditect.search.build import update

LEAST = 0.95


def test_recall_at_ten_of_every_class(tmp_path: Path) -> None:
    store, messages = make_corpus(tmp_path, 6000, seed=20260)
    update(store)
    queries = make_queries(messages, 60, seed=20261)
    recall = {
        name: sum(query.label in {hit.id for hit in ask(store, query.text).hits} for query in asked) / len(asked)
        for name, asked in queries.items()
    }
    assert {name: share for name, share in recall.items() if share < LEAST} == {}
    assert len(recall) == len(CLASSES)
