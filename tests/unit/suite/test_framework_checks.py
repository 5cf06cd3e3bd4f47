"""The group `framework` without an engine: which checks there are, and what each says of a framework that fails it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.model import Check, NpmSource, ProjectKind, PythonSource, ResolvedTool
from builder.suite import framework
from builder.suite.results import Verdict
from builder.suite.subject import Look, Subject
from tests.unit.suite.fakes import FakeEngine, make_subject, result_of

SOURCE = PythonSource(kind=ProjectKind.OURS, location="images/frameworks/coditect", prefix="/opt/coditect")
BUNDLED = ResolvedTool(name="coditect", summary="x", version=None, from_profile=True, python=SOURCE)
OTHER = replace(BUNDLED, name="framework:git", python=replace(SOURCE, kind=ProjectKind.GIT, prefix="/opt/framework"))
OF_NPM = replace(
    BUNDLED,
    name="framework:npm",
    python=None,
    npm=NpmSource(package="x", version="1.0.0", prefix="/opt/framework", links={}, prune=(), integrity=None),
)
ANSWERS = (
    ("dedup", "2 unified_messages.jsonl\n1 quarantine.jsonl\n", "2 kept, 1 set aside"),
    ("dedup", "3 unified_messages.jsonl\n0 quarantine.jsonl\n", "3 kept, 0 set aside"),
    ("search", "[]", "[]"),
    ("search", "no JSON", "no JSON"),
    ("search", '[{"snippet": "a pencil"}, {"snippet": "an elephant"}]', "pencil"),
    ("checkpoint", "other\n", "other"),
    ("steps", 'two\none\n{"ok": true}', "two"),
    ("steps", 'one\ntwo\n{"ok": false}', "one"),
)


def with_framework(tool: ResolvedTool | None, engine: FakeEngine | None = None) -> Subject:
    subject = make_subject(engine)
    tools = (*subject.resolved.tools, *([tool] if tool else []))
    return replace(subject, resolved=replace(subject.resolved, tools=tools))


def ids(subject: Subject) -> list[str]:
    return [case.id for case in framework.make_cases(subject)]


def test_without_a_framework_there_is_nothing_to_check() -> None:
    assert ids(with_framework(None)) == []


def test_the_bundled_one_is_used_and_another_one_is_looked_at() -> None:
    assert len(ids(with_framework(BUNDLED))) > 5
    assert ids(with_framework(OTHER)) == ids(with_framework(OF_NPM)) == ["framework.commands"]
    own = replace(with_framework(OTHER), framework=(("works", Check(run=("tools", "--version"))),))
    assert ids(own) == ["framework.commands", "framework.check.works"]


@pytest.mark.parametrize(("name", "output", "found"), ANSWERS)
def test_a_wrong_answer_is_told(name: str, output: str, found: str) -> None:
    result = result_of(getattr(framework, name), with_framework(BUNDLED, FakeEngine(answers={"CODITECT": (0, output)})))
    assert result.verdict is Verdict.FAILED
    assert found in result.found


@pytest.mark.parametrize("name", sorted({name for name, _, _ in ANSWERS}))
def test_a_command_that_fails_is_told_with_its_words(name: str) -> None:
    subject = with_framework(BUNDLED, FakeEngine(answers={"CODITECT": (3, "error: it is broken")}))
    result = result_of(getattr(framework, name), subject)
    assert result.verdict is Verdict.FAILED
    assert "exit code 3: error: it is broken" in result.found


@pytest.mark.parametrize(
    ("tool", "listed", "verdict"),
    [
        (BUNDLED, "coditect /opt/coditect/bin/coditect\n", Verdict.PASSED),
        (OF_NPM, "tools /opt/framework/lib/node_modules/x/cli.js\n", Verdict.PASSED),
        (BUNDLED, "coditect /opt/coditect/bin/coditect\ncxq \n", Verdict.FAILED),
        (BUNDLED, "coditect /usr/bin/coditect\n", Verdict.FAILED),
        (OTHER, "", Verdict.FAILED),
    ],
)
def test_commands_have_to_lead_into_the_framework(tool: ResolvedTool, listed: str, verdict: Verdict) -> None:
    subject = with_framework(tool, FakeEngine(answers={"readlink": (0, listed)}))
    (case,) = (case for case in framework.make_cases(subject) if case.id == "framework.commands")
    assert result_of(case, subject).verdict is verdict


@pytest.mark.parametrize(("fresh", "verdict"), [(True, Verdict.FAILED), (False, Verdict.WARNING)])
def test_a_home_without_the_slash_command_is_a_failure_only_where_it_is_new(*, fresh: bool, verdict: Verdict) -> None:
    engine = FakeEngine(answers={"claude install": (1, "command /cxq: missing")})
    result = result_of(framework.claude, replace(with_framework(BUNDLED, engine), fresh=fresh))
    assert result.verdict is verdict
    assert result.found == "command /cxq: missing"


def looking(subject: Subject, look: Look) -> Subject:
    subject.memo.get("look", lambda: look)
    return subject


def test_the_service_has_to_be_up_unless_it_is_switched_off() -> None:
    up = Look(red={}, phases=frozenset({"ingest"}))
    down = Look(red={"ingest": "ingest: nobody holds it"}, phases=frozenset({"ingest"}))
    assert result_of(framework.ingest, looking(with_framework(BUNDLED), up)).verdict is Verdict.PASSED
    assert result_of(framework.ingest, looking(with_framework(BUNDLED), down)).verdict is Verdict.FAILED
    none = Look(red={}, phases=frozenset())
    assert result_of(framework.ingest, looking(with_framework(BUNDLED), none)).verdict is Verdict.FAILED


@pytest.mark.parametrize(("code", "verdict"), [(1, Verdict.PASSED), (0, Verdict.FAILED)])
def test_a_service_that_is_switched_off_must_not_run(code: int, verdict: Verdict) -> None:
    subject = with_framework(BUNDLED, FakeEngine(answers={"pgrep": (code, "")}))
    runtime = replace(subject.resolved.runtime, environment={"DEVBOX_OFF": "ingest"})
    off = replace(subject, resolved=replace(subject.resolved, runtime=runtime))
    assert result_of(framework.ingest, off).verdict is verdict
