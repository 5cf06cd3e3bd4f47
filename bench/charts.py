"""Two pictures of a run as SVG: how a desktop starts, and what takes room in an image. Owns the drawing only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.figures import Results, Share, Timeline

WIDTH: Final = 860
LEFT: Final = 190  # where the bars begin
RIGHT: Final = 90  # room for an amount behind the longest bar
ROW: Final = 26
BAR: Final = 16
TOP: Final = 48
COLOURS: Final = ("#b8c4d6", "#7f97b8", "#4a6fa5", "#1d3f72")
OURS: Final = "#1d5fa5"
NAIVE: Final = "#c9b28a"
STYLE: Final = (
    "text{font:13px sans-serif;fill:#222}.title{font-weight:bold;font-size:15px}.small{font-size:11px;fill:#555}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}}"
)


def write_pictures(results: Results, folder: Path) -> tuple[Path, ...]:
    """Those for which this run has something to show."""
    drawings = {
        "bench-start.svg": draw_timelines(results.timelines) if results.timelines else "",
        "bench-size.svg": draw_shares(results.shares) if results.shares else "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name, text in drawings.items() if text]
    for path in written:
        path.write_text(drawings[path.name], encoding="utf-8")
    return tuple(written)


def draw_timelines(timelines: Sequence[Timeline]) -> str:
    """A row for each kind of start; a bar goes from phase to phase."""
    scale = (WIDTH - LEFT - RIGHT) / max(max(item.phases.values()) for item in timelines)
    parts = [_title("From the create of the container to the painted desktop, seconds (medians)")]
    for number, item in enumerate(timelines):
        y = TOP + number * ROW
        parts.append(_text(LEFT - 10, y + 13, item.name, anchor="end"))
        begun = 0.0
        for colour, (phase, at) in zip(COLOURS, item.phases.items(), strict=False):
            parts.append(_bar(LEFT + begun * scale, y, (at - begun) * scale, colour, f"{phase}: {at:.2f} s"))
            begun = at
        parts.append(_text(LEFT + begun * scale + 6, y + 13, f"{begun:.2f} s"))
    foot = TOP + len(timelines) * ROW + 8
    parts += _legend(
        foot, [(colour, f"until: {name}") for colour, name in zip(COLOURS, timelines[0].phases, strict=False)]
    )
    return _svg(foot + 34, parts)


def draw_shares(shares: Sequence[Share]) -> str:
    """Two bars for each part, ours above."""
    scale = (WIDTH - LEFT - RIGHT) / max(max(item.ours, item.naive) for item in shares)
    total_ours, total_naive = sum(item.ours for item in shares), sum(item.naive for item in shares)
    parts = [_title(f"Size by part, MB unpacked: devbox {total_ours:.0f}, naive {total_naive:.0f}")]
    for number, item in enumerate(shares):
        y = TOP + number * ROW * 1.3
        parts.append(_text(LEFT - 10, y + 18, item.part, anchor="end"))
        for offset, amount, colour in ((0, item.ours, OURS), (12, item.naive, NAIVE)):
            parts.append(_bar(LEFT, y + offset, amount * scale, colour, f"{item.part}: {amount:.1f} MB", 11))
            parts.append(_text(LEFT + amount * scale + 5, y + offset + 9, f"{amount:.0f}", small=True))
    foot = TOP + len(shares) * ROW * 1.3 + 6
    parts += _legend(foot, [(OURS, "devbox"), (NAIVE, "naive")])
    return _svg(foot + 34, parts)


def _svg(height: float, parts: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<style>{STYLE}</style>\n{body}\n</svg>\n'


def _title(text: str) -> str:
    return f'<text x="12" y="26" class="title">{escape(text)}</text>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", small: bool = False) -> str:
    kind = ' class="small"' if small else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'


def _bar(x: float, y: float, width: float, colour: str, words: str, height: float = BAR) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:g}"'
    return f'<rect {place} fill="{colour}"><title>{escape(words)}</title></rect>'


def _legend(y: float, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    for number, (colour, words) in enumerate(entries):
        x = LEFT + number * 165
        yield _bar(x, y + 4, 12, colour, words, 12)
        yield _text(x + 18, y + 14, words, small=True)
