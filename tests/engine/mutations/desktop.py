"""A broken desktop: nothing or too little on the screen, keys, clipboard and size."""

from __future__ import annotations

from typing import Final

from tests.engine.mutations.ways import (
    ALL_GREEN,
    BLACK_WINDOW,
    PANEL,
    XVNC,
    Edit,
    Mutation,
    down,
    impatient,
    keep_running,
    until_told,
    xvnc,
)

DESKTOP: Final = (
    Mutation(
        id="xvnc dies at each start",
        groups=("tooling", "ports", "desktop"),
        caught=(
            "tooling.tigervnc.xvnc",
            "ports.listening",
            "desktop.x-server",
            "desktop.window-manager",
            "desktop.panel",
            "desktop.background",
            "desktop.theme",
            "desktop.painted",
            "desktop.picture",
        ),
        because="nothing of the desktop is there without X",
        edits=(Edit(file=f"{XVNC}/run", old="-noreset", new="-nonsense"), impatient(XVNC, "10")),
    ),
    Mutation(
        id="no window manager",
        groups=("tooling", "desktop"),
        caught=(
            "tooling.desktop.xfwm4",
            "desktop.window-manager",
            "desktop.panel",
            "desktop.background",
            "desktop.painted",
        ),
        because="it keeps the list of windows, in which the others are looked up",
        inside=down("xfwm4"),
    ),
    Mutation(
        id="the panel never comes",
        groups=("desktop",),
        caught=("desktop.panel", "desktop.painted"),
        because="without the panel the screen is not what a person waits for",
        edits=(Edit(file=f"{PANEL}/run", old="xfce4-panel --", new="sleep 600 --"), impatient(PANEL, "20")),
    ),
    Mutation(
        id="nothing behind the windows",
        groups=("desktop",),
        caught=("desktop.background", "desktop.painted"),
        because="the rest of the screen is black then",
        inside=f"{down('xfdesktop')} && {until_told('all one colour')}",
    ),
    Mutation(
        id="a black screen",
        groups=("desktop",),
        caught=("desktop.painted", "desktop.picture"),
        because="one looks inside, the other from outside",
        inside=keep_running(BLACK_WINDOW),
    ),
    Mutation(
        id="nobody serves the settings", groups=("desktop",), caught=("desktop.settings",), inside=down("xfconfd")
    ),
    Mutation(
        id="nobody tells of the theme", groups=("desktop",), caught=("desktop.theme",), inside=down("xfsettingsd")
    ),
    Mutation(
        id="the session bus hangs",
        groups=("desktop",),
        caught=("desktop.session-bus", "desktop.settings"),
        because="the settings are asked over the bus",
        inside=f"{ALL_GREEN}; s6-svc -p /run/service/bus",
    ),
    Mutation(
        id="no terminal",
        groups=("desktop",),
        caught=("desktop.terminal",),
        inside="rm /usr/bin/xfce4-terminal",
        hands=("desktop.terminal", "desktop.resize"),
    ),
    Mutation(
        id="a letter is another",
        groups=("desktop",),
        caught=("desktop.typing-ascii",),
        edits=xvnc("-RemapKeys '0x68->0x67'"),
        hands=("desktop.typing-ascii", "desktop.typing-unicode", "desktop.typing-layout"),
    ),
    Mutation(
        id="a fraction is another",
        groups=("desktop",),
        caught=("desktop.typing-unicode",),
        edits=xvnc("-RemapKeys '0xbd->0xbc'"),
        hands=("desktop.typing-ascii", "desktop.typing-unicode", "desktop.typing-layout"),
    ),
    Mutation(
        id="AltGr is a letter",
        groups=("desktop",),
        caught=("desktop.typing-layout",),
        edits=xvnc("-RemapKeys '0xfe03->0x78'"),
        hands=("desktop.typing-ascii", "desktop.typing-unicode", "desktop.typing-layout"),
    ),
    Mutation(
        id="the clipboard does not come in",
        groups=("desktop",),
        caught=("desktop.clipboard-in",),
        edits=xvnc("-AcceptCutText=0"),
        hands=("desktop.clipboard-in", "desktop.clipboard-out"),
    ),
    Mutation(
        id="the clipboard does not go out",
        groups=("desktop",),
        caught=("desktop.clipboard-out",),
        edits=xvnc("-SendCutText=0"),
        hands=("desktop.clipboard-in", "desktop.clipboard-out"),
    ),
    Mutation(
        id="the screen keeps its size",
        groups=("desktop",),
        caught=("desktop.resize",),
        edits=xvnc("-AcceptSetDesktopSize=0"),
        hands=("desktop.terminal", "desktop.resize"),
    ),
)
