"""What a picture of a desktop must show, whatever the base, the server or the way it was taken."""

from __future__ import annotations

from collections.abc import Iterator

from builder.adapters.rfb import Picture

PANEL = 28  # rows at the top that belong to the panel at any DPI of these tests


def rows(picture: Picture, first: int, last: int) -> Picture:
    """The part of `picture` from row `first` up to, but not including, `last`."""
    line = 3 * picture.width
    return Picture(width=picture.width, height=last - first, rgb=picture.rgb[first * line : last * line])


def find_faults(picture: Picture) -> Iterator[str]:
    """What is missing of a panel at the top with things in it, and a background below that is something else."""
    panel, below = rows(picture, 0, PANEL), rows(picture, PANEL * 2, picture.height)
    if picture.is_one_colour():
        yield "it is all one colour"
    if panel.colours(200) <= 20:
        yield "nothing is drawn in the panel"
    if below.colours(200) <= 20:
        yield "no wallpaper and no icons"
    middle = picture.width * 2 // 3  # between the task list and the clock the panel is bare
    if panel.pixel(middle, PANEL // 2) == below.pixel(middle, 0):
        yield "the panel looks like the background"


def assert_desktop(picture: Picture) -> None:
    assert list(find_faults(picture)) == []
