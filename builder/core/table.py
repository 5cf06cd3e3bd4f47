"""A table of a few columns, as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence


def align(rows: Sequence[Sequence[str]], *, right: Collection[int]) -> Iterator[str]:
    """The rows as lines, the columns of these numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        texts = (
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(texts).rstrip()


def mega(size: int, digits: int = 0) -> str:
    """Bytes as megabytes of a million, without the unit."""
    return f"{size / 1_000_000:,.{digits}f}"
