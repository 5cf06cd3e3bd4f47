"""The labelled sample: its size, how good the rules are on it, and that the documentation says just that."""

from __future__ import annotations

from pathlib import Path

import pytest
from knowledge_stores import SAMPLE

from coditect import cli
from coditect.errors import UsageError
from coditect.knowledge.items import KINDS
from coditect.knowledge.score import Half, as_markdown, score_sample

DOCUMENT = Path(__file__).parents[1] / "docs" / "knowledge.md"


@pytest.fixture(scope="module")
def halves() -> dict[str, Half]:
    return {half.name: half for half in score_sample(SAMPLE)}


def test_the_sample_is_large_enough_to_say_something(halves: dict[str, Half]) -> None:
    assert sum(half.messages for half in halves.values()) >= 250
    assert sum(half.scores[-1].labelled for half in halves.values()) >= 120
    assert all(score.labelled >= 9 for half in halves.values() for score in half.scores)


@pytest.mark.parametrize(("kind", "precision", "recall"), [("all", 0.83, 0.66)])
def test_sessions_that_the_rules_were_not_made_for(
    halves: dict[str, Half], kind: str, precision: float, recall: float
) -> None:
    (score,) = [score for score in halves["held-out"].scores if score.kind == kind]
    assert score.precision >= precision
    assert score.recall >= recall


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_is_mostly_noise(halves: dict[str, Half], kind: str) -> None:
    (score,) = [score for score in halves["held-out"].scores if score.kind == kind]
    assert score.precision >= 0.75
    assert score.recall >= 0.6


def test_the_documentation_carries_the_measured_numbers(halves: dict[str, Half]) -> None:
    assert as_markdown(list(halves.values())) in DOCUMENT.read_text("utf-8")


def test_a_label_with_a_slip_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"uuid": "1", "role": "user", "content": "Let\'s use SQLite for this."}\n')
    labels = tmp_path / "a.labels.yaml"
    labels.write_text('- {kind: decision, at: "1", says: use Postgres}\n')
    with pytest.raises(UsageError, match="no such words"):
        score_sample(tmp_path)
    labels.write_text('- {kind: decision, at: "1", says: use SQLite}\n')
    assert score_sample(tmp_path)[0].scores[0].right == 1


def test_score_prints_what_was_wrong_and_what_was_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"uuid": "1", "role": "user", "content": "Let\'s use SQLite. Blue is nice."}\n')
    (tmp_path / "a.labels.yaml").write_text('- {kind: pattern, at: "1", says: Blue is nice}\n')
    assert cli.call(["knowledge", "score", str(tmp_path), "--mistakes"]) == 0
    out = capsys.readouterr().out
    assert "wrong   decision 1: Let's use SQLite." in out
    assert "missed  pattern  1: Blue is nice" in out
    assert cli.call(["knowledge", "score", str(tmp_path / "none")]) == 2
