"""What a run is told as: the table, JUnit XML, the HTML page, and the error at the end."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema

from builder.errors import VerifyError
from builder.suite.junit import render_junit, write_junit
from builder.suite.report import render_html, render_timeline
from builder.suite.results import Report, Result, Verdict
from builder.suite.table import render_table
from builder.suite.verify import refuse_failures


def result(id: str, verdict: Verdict = Verdict.PASSED, **told: str) -> Result:
    return Result(
        id=id, group=id.partition(".")[0], title=f"{id} <holds> & more", verdict=verdict, seconds=0.25, **told
    )


FAILURE = result("doors.b", Verdict.FAILED, expected="a \x00 door", found="line one\nline <two>", look="devbox logs")
RESULTS = (
    result("tooling.a", note="2.39"),
    FAILURE,
    result("doors.c", Verdict.SKIPPED, note="no key"),
    result("degraded.base", Verdict.WARNING, expected="ubuntu", found="debian"),
)


def make_report(*results: Result) -> Report:
    return Report(
        subject="app-workstation-1", image="devbox/workstation:1", profile="workstation", base="debian-12",
        requested_base="ubuntu-22.04", substitutions=(), results=results, seconds=1.5, phases={"x": 0.2, "frame": 0.9},
    )  # fmt: skip


def test_junit_fits_its_schema(tmp_path: Path) -> None:
    schema = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))
    write_junit(make_report(*RESULTS), tmp_path / "new/junit.xml")
    write_junit(make_report(), tmp_path / "new/empty.xml")

    schema.validate(str(tmp_path / "new/junit.xml"))
    schema.validate(str(tmp_path / "new/empty.xml"))


def test_junit_has_a_suite_per_group_and_counts_every_verdict() -> None:
    root = Xml.fromstring(render_junit(make_report(*RESULTS)))  # noqa: S314  # ours

    assert [suite.get("name") for suite in root] == ["tooling", "doors", "degraded"]
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "1", "1")
    assert [case.tag for case in root.iter() if case.tag in ("failure", "skipped")] == ["failure", "skipped"]
    failure = next(root.iter("failure"))
    assert "line <two>" in (failure.text or "")
    assert "devbox logs" in (failure.text or "")


def test_table_has_a_line_per_check_and_a_sum() -> None:
    lines = render_table(make_report(*RESULTS)).splitlines()

    assert lines[0].startswith("✓ tooling.a")
    assert lines[0].endswith("(2.39)")
    assert lines[1].startswith("✗ doors.b")
    assert lines[1].endswith("found line one ...")
    assert "skipped, no key" in lines[2]
    assert lines[3].startswith("! degraded.base")
    assert lines[-1] == "app-workstation-1: 1 passed, 1 failed, 1 warning, 1 skipped in 1.5 s"


def test_failures_end_as_one_error_that_says_how_to_look() -> None:
    with pytest.raises(VerifyError) as caught:
        refuse_failures(make_report(*RESULTS))

    assert caught.value.exit_code == 7
    assert caught.value.message == "1 of 3 checks failed"
    assert "look      devbox logs" in str(caught.value)


def test_the_hint_for_one_that_was_gone_back_to_is_not_to_start_what_stays_the_same() -> None:
    with pytest.raises(VerifyError) as caught:
        refuse_failures(make_report(*RESULTS), held=True)
    assert "`devbox rollback` went back" in (caught.value.hint or "")
    assert "--recreate" not in (caught.value.hint or "")


def test_no_failure_is_no_error() -> None:
    refuse_failures(make_report(RESULTS[0], RESULTS[3]))


class Page(HTMLParser):
    """The addresses that a page loads, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_html_holds_everything_and_loads_nothing() -> None:
    text = render_html(make_report(*RESULTS), b"\x89PNG", [("git", "1:2.39"), ("zsh", "5.9")])
    page = Page(text)

    assert page.sources == ["data:image/png;base64,iVBORw=="]
    assert "url(" not in text
    assert all(item.id in page.words for item in RESULTS)
    assert "line <two>" in page.words  # escaped in the source
    assert "2 Debian packages" in page.words
    assert text.count("<svg") == 1


def test_html_without_a_picture_says_nothing_of_it() -> None:
    assert "<img" not in render_html(make_report(*RESULTS), None, [])


def test_time_line_has_a_bar_per_phase_and_a_tick_per_start() -> None:
    picture = render_timeline([{"x": 0.2, "frame": 1.0}, {"x": 0.3, "frame": 0.8}, {"x": 0.25, "frame": 0.9}])

    assert picture.count("<rect") == 2
    assert picture.count("<path") == 6
    assert picture.index(">x<") < picture.index(">frame<")
    assert "0.90 s" in picture
