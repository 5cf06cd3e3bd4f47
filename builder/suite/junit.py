"""The results as JUnit XML, in the subset that CI systems agree on: testsuites / testsuite / testcase.

One suite per group, so that a CI page shows the groups. A warning passes and tells its finding in `system-out`.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

from builder.adapters.files import write_atomic
from builder.suite.results import Report, Result, Verdict

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(report: Report, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, render_junit(report), mode=0o644)


def render_junit(report: Report) -> bytes:
    root = Xml.Element("testsuites", _counts("devbox verify", report.results, report.seconds))
    for name, items in groupby(report.results, key=lambda item: item.group):
        results = tuple(items)
        suite = Xml.SubElement(root, "testsuite", _counts(name, results, sum(item.seconds for item in results)))
        properties = Xml.SubElement(suite, "properties")
        for key, value in (("subject", report.subject), ("image", report.image), ("base", report.base)):
            Xml.SubElement(properties, "property", {"name": key, "value": _clean(value)})
        for item in results:
            _add_case(suite, item)
    Xml.indent(root)
    text: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _counts(name: str, results: tuple[Result, ...], seconds: float) -> dict[str, str]:
    def count(verdict: Verdict) -> str:
        return str(sum(item.verdict is verdict for item in results))

    return {
        "name": name,
        "tests": str(len(results)),
        "failures": count(Verdict.FAILED),
        "errors": "0",
        "skipped": count(Verdict.SKIPPED),
        "time": f"{seconds:.3f}",
    }


def _add_case(suite: Xml.Element, item: Result) -> None:
    names = {"name": _clean(f"{item.id}: {item.title}"), "classname": f"devbox.{item.group}"}
    case = Xml.SubElement(suite, "testcase", {**names, "time": f"{item.seconds:.3f}"})
    told = _clean(f"expected: {item.expected}\nfound:    {item.found}\nlook:     {item.look}")
    match item.verdict:
        case Verdict.FAILED:
            Xml.SubElement(
                case, "failure", {"message": _clean(f"found {item.found}"), "type": "CheckFailure"}
            ).text = told
        case Verdict.SKIPPED:
            Xml.SubElement(case, "skipped", {"message": _clean(item.note)})
        case Verdict.WARNING:
            Xml.SubElement(case, "system-out").text = f"warning\n{told}"
        case Verdict.PASSED if item.note:
            Xml.SubElement(case, "system-out").text = _clean(item.note)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
