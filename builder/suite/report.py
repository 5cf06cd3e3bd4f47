"""The HTML report: one file with everything in it (results, picture, time line, packages), and the data beside it.

`render_html` is pure; `write_report` gathers what it shows. No script, no font, no address of another place.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.files import write_atomic
from builder.adapters.rfb import VncError
from builder.core.canonical import make_plain
from builder.suite.results import Report, Result, Verdict
from builder.suite.table import MARKS, summary

if TYPE_CHECKING:
    from builder.suite.subject import Subject

STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2733;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}img{max-width:100%;border:1px solid #ccd5de}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e4e9ee;
vertical-align:top}td.n{text-align:right;white-space:nowrap}code{font-size:.9em}
.passed{color:#176b3a}.failed{color:#b3261e;font-weight:600}.warning{color:#8a5a00}.skipped{color:#5b6b7b}
.found{color:#44525f}svg text{font:12px system-ui,sans-serif;fill:#1c2733}details{margin:.5rem 0}
@media(prefers-color-scheme:dark){body{background:#151b21;color:#dfe6ee}td,th{border-color:#2c3742}
svg text{fill:#dfe6ee}.found{color:#a9b6c3}.passed{color:#6fce94}.failed{color:#ff8a80}.warning{color:#f0c060}}
"""
BAR_WIDTH: Final = 620
ROW: Final = 22


def write_report(report: Report, subject: Subject, folder: Path) -> Path:
    """Write index.html, picture.png and report.json into `folder`; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = take_picture(subject)
    page = render_html(report, picture, list_packages(subject))
    if picture is not None:
        write_atomic(folder / "picture.png", picture, mode=0o644)
    plain = json.dumps(make_plain(report), indent=2, ensure_ascii=False) + "\n"
    write_atomic(folder / "report.json", plain.encode(), mode=0o644)
    write_atomic(folder / "index.html", page.encode(), mode=0o644)
    return folder / "index.html"


def take_picture(subject: Subject) -> bytes | None:
    """A PNG of the screen; None where there is no desktop or it does not let us look: the results say why."""
    from PIL import Image

    if not subject.has("vnc"):
        return None
    try:
        with subject.login() as client:
            picture = client.settle(0.5, 10.0, tolerance=0.002)
    except VncError:
        return None
    buffer = io.BytesIO()
    Image.frombytes("RGB", (picture.width, picture.height), picture.rgb).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def list_packages(subject: Subject) -> tuple[tuple[str, str], ...]:
    """Every Debian package inside, with its version."""
    done = subject.run("dpkg-query", "-W", "-f", "${Package}\\t${Version}\\n")
    rows = (line.partition("\t") for line in done.stdout.decode(errors="replace").splitlines())
    return tuple((name, version) for name, _, version in rows)


def render_html(report: Report, picture: bytes | None, packages: Sequence[tuple[str, str]]) -> str:
    title = escape(f"devbox verify: {report.subject}")
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f"<h1>{title}</h1><p>{escape(summary(report))}</p>",
        _facts(report),
        _failures(report.failures),
        _picture(picture),
        _timeline(report),
        _results(report.results),
        _packages(packages),
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _facts(report: Report) -> str:
    rows = {"image": report.image, "profile": report.profile, "base": report.base, "asked for": report.requested_base}
    rows |= {
        f"instead of {item.wanted}": f"{item.got}: {item.reason}" if item.reason else item.got
        for item in report.substitutions
    }
    cells = (f"<tr><th>{escape(key)}<td>{escape(value)}" for key, value in rows.items() if value)
    return f"<table>{''.join(cells)}</table>"


def _failures(failures: Sequence[Result]) -> str:
    if not failures:
        return ""
    blocks = "".join(
        f'<p><b class="failed">{escape(item.id)}</b> {escape(item.title)}<br>expected {escape(item.expected)}<br>'
        f"found {escape(item.found)}<br>look: <code>{escape(item.look)}</code></p>"
        for item in failures
    )
    return f"<h2>What fails</h2>{blocks}"


def _picture(picture: bytes | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture).decode()
    return f'<h2>What it looks like</h2><img alt="The desktop, over VNC" src="data:image/png;base64,{data}">'


def _timeline(report: Report) -> str:
    """The phases of the start as bars: of the subject, or of every throw-away start where these were timed."""
    starts = report.starts or ((report.phases,) if report.phases else ())
    if not starts:
        return ""
    heading = (
        f"The start, phase by phase ({len(report.starts)} throw-away starts)" if report.starts else "Its last start"
    )
    return f"<h2>{heading}</h2>{render_timeline(starts)}"


def render_timeline(starts: Sequence[Mapping[str, float]]) -> str:
    """Inline SVG: a bar to the median of each phase, a tick for every start."""
    phases: dict[str, list[float]] = {}
    for start in starts:
        for name, seconds in start.items():
            phases.setdefault(name, []).append(seconds)
    middle = {name: sorted(values)[len(values) // 2] for name, values in phases.items()}
    scale = BAR_WIDTH / max([value for values in phases.values() for value in values] or [1.0])
    rows = []
    for row, name in enumerate(sorted(middle, key=lambda item: (middle[item], item))):
        top = row * ROW
        ticks = "".join(
            f'<path d="M{110 + value * scale:.1f} {top + 3}v14" stroke="#0b3d2e" stroke-width="1.5"/>'
            for value in phases[name]
        )
        rows.append(
            f'<text x="0" y="{top + 15}">{escape(name)}</text>'
            f'<rect x="110" y="{top + 4}" width="{middle[name] * scale:.1f}" height="12" fill="#4c9f70"/>{ticks}'
            f'<text x="{118 + max(phases[name]) * scale:.1f}" y="{top + 15}">{middle[name]:.2f} s</text>'
        )
    height = len(middle) * ROW + 4
    label = "Seconds from the container's start to each phase"
    return f'<svg role="img" aria-label="{label}" width="{BAR_WIDTH + 190}" height="{height}">{"".join(rows)}</svg>'


def _results(results: Sequence[Result]) -> str:
    parts = ["<h2>All checks</h2><table>"]
    for name, items in groupby(results, key=lambda item: item.group):
        parts.append(f'<tr><th colspan="4">{escape(name)}')
        parts += [_row(item) for item in items]
    return "".join([*parts, "</table>"])


def _row(item: Result) -> str:
    told = item.note
    if item.verdict in (Verdict.FAILED, Verdict.WARNING):
        told = f"expected {item.expected}, found {item.found}"
    kind = item.verdict.value
    return (
        f'<tr><td class="{kind}">{MARKS[item.verdict]} {kind}<td>{escape(item.title)}<br>'
        f'<code>{escape(item.id)}</code><td class="found">{escape(told)}<td class="n">{item.seconds:.2f} s'
    )


def _packages(packages: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}<td>{escape(version)}" for name, version in packages)
    return (
        f"<h2>Packages</h2><details><summary>{len(packages)} Debian packages</summary><table>{rows}</table></details>"
    )
