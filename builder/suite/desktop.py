"""Group `desktop`: a person can use it. What is on the screen, by the image's own probe and by a picture over VNC.

What needs a keyboard is in `hands_on`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.suite import browser, hands_on
from builder.suite.cases import Case, Lane, case
from builder.suite.results import CheckFailure
from builder.suite.subject import exec_hint
from builder.suite.throwaway import PROBE

if TYPE_CHECKING:
    from builder.adapters.rfb import Picture
    from builder.model import Resolved
    from builder.suite.subject import Subject

# Phase of the probe -> what a person would say. Those of the doors are tried from outside instead.
PHASES: Final = {
    "x": ("x-server", "the X server answers"),
    "bus": ("session-bus", "the session bus answers"),
    "settings": ("settings", "the settings service is on the bus"),
    "wm": ("window-manager", "a window manager runs"),
    "panel": ("panel", "the panel is on the screen"),
    "desktop": ("background", "the desktop is behind everything"),
    "theme": ("theme", "the settings manager tells programs of the theme"),
    "frame": ("painted", "panel and screen are painted in more than one colour"),
}
FEWEST_COLOURS: Final = 24  # a grey screen has two or three; the bare panel alone has dozens
# A smooth cursor on a black screen has dozens, too, but a ten-thousandth of its pixels; the panel is a hundredth.
LEAST_PAINTED: Final = 0.003


def make_cases(resolved: Resolved) -> Iterator[Case]:
    if any(tool.name == "desktop" for tool in resolved.tools):
        yield from (_phase_case(phase) for phase in PHASES)
        yield first_frame
        yield from hands_on.CASES
        if any(tool.name == "browser" for tool in resolved.tools):
            yield from browser.CASES
        if "DEVBOX_KEYBOARD" in resolved.runtime.environment:
            yield keyboard


def _phase_case(phase: str) -> Case:
    name, title = PHASES[phase]

    def run(subject: Subject) -> None:
        look = subject.look()
        hint = exec_hint("sudo", PROBE, "check")
        if phase not in look.phases:
            raise CheckFailure(f"the probe to look at `{phase}`", "no service of the image declares it", hint)
        if phase in look.red:
            raise CheckFailure(title, look.red[phase], f"{hint}; devbox logs {look.red[phase].partition(':')[0]}")

    return Case(id=f"desktop.{name}", title=title, check=run, lane=Lane.SCREEN, door="vnc")


@case("desktop.picture", "the picture over VNC shows a desktop, not one colour", lane=Lane.SCREEN, door="vnc")
def first_frame(subject: Subject) -> str:
    with subject.login() as client:
        picture = client.picture(10.0)
    colours = picture.colours(4096)
    if colours < FEWEST_COLOURS:
        raise CheckFailure(f"at least {FEWEST_COLOURS} colours", f"{colours}", "devbox screenshot picture.png")
    if (painted := _share_painted(picture)) < LEAST_PAINTED:
        told = f"{painted:.3%} of it"
        raise CheckFailure("more than a cursor on the screen", told, "devbox screenshot picture.png")
    return f"{picture.width}x{picture.height}, {colours if colours < 4096 else 'thousands of'} colours"


@case("desktop.keyboard", "the keyboard layout is the one that was asked for")
def keyboard(subject: Subject) -> str:
    wanted = subject.resolved.runtime.environment.get("DEVBOX_KEYBOARD", "us")
    lines = subject.output("setxkbmap", "-query").splitlines()
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    variant = f"({told['variant']})" if told.get("variant") else ""
    if (found := told.get("layout", "none") + variant) != wanted:
        raise CheckFailure(wanted, found, exec_hint("setxkbmap", "-query"))
    return wanted


def _share_painted(picture: Picture) -> float:
    """The share of the screen that is not of one colour: that of a corner, whichever has more of it."""
    corners = (picture.pixel(0, 0), picture.pixel(picture.width - 1, picture.height - 1))
    plain = (replace(picture, rgb=bytes(colour) * (picture.width * picture.height)) for colour in corners)
    return min(picture.difference(one) for one in plain)
