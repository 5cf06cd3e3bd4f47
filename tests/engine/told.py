"""What programs are told while the desktop starts is what they are told later: else they paint a second time."""

from __future__ import annotations

from typing import Final

from tests.engine.conftest import Workstation

HANDED_OVER: Final = "pgrep -x xfsettingsd >/dev/null && ! pgrep -x xsettingsd >/dev/null && dump_xsettings"
STAND_IN: Final = "cat /run/devbox/xsettingsd.conf 2>/dev/null || cat /etc/devbox/xsettingsd.conf"


def assert_told_once(workstation: Workstation, *, dpi: int) -> None:
    """The stand-in of the start said the same, word for word, as xfsettingsd."""
    later = workstation.wait_inside("xfsettingsd to tell settings", HANDED_OVER)
    assert set(later.splitlines()) == set(workstation.inside("sh", "-c", STAND_IN).splitlines())
    assert f"Xft/DPI {dpi * 1024}" in later  # the unit of XSETTINGS
