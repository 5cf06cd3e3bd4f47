"""The pictures of the docs, taken through VNC from a real workstation: `make pictures`.

Owns what is on them. The page in the browser is one that the workstation itself serves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from PIL import Image

from bench.stand import Stand, Workstation, open_stand
from builder.adapters.rfb import VncClient, connect

LARGEST = 300_000  # bytes of a picture
TRIES, MOVED = 5, 0.05  # the share of the pixels that a window changes when it goes to a side
SETTINGS: Final = {"base": "debian-12", "timezone": "UTC", "tools": ["browser"], "desktop": {"geometry": "1280x800"}}
PAGE: Final = """<!DOCTYPE html><title>hello</title><style>
body { font: 20px/1.6 sans-serif; color: #e6e1dc; background: #1b2335; margin: 12% 14% } b { color: #eca07a }
</style><h1>hello</h1><p>This page comes from <b>~/projects/hello</b>, by a server that runs
in the workstation,<br>and is looked at with the browser of the workstation."""
PROJECT: Final = r"""mkdir -p ~/projects/hello/src && cd ~/projects/hello && cat >index.html && git init -q -b main
printf 'def greet(name: str) -> str:\n    return f"Hello, {name}!"\n\n\nprint(greet("world"))\n' >src/hello.py
printf '# hello\n' >README.md
cat >versions <<'END'
#!/bin/zsh
for it in zsh python3 node git claude; do
    print -P "%F{green}\$%f $it --version"
    $it --version
done
print -P "%F{green}\$%f jq .seconds /run/devbox/ready.json"
jq .seconds /run/devbox/ready.json
END
chmod +x versions
setsid python3 -m http.server 3000 >/dev/null 2>&1 </dev/null &"""
TYPED: Final = "cd projects/hello && clear && ./versions\n"
ENDED: Final = "timeout 30 sh -c 'while pgrep -x versions >/dev/null; do sleep 0.1; done'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is opened, one after the other, on a screen of this size; a window moves to the side that is named."""

    file: str
    size: tuple[int, int]
    programs: tuple[tuple[str, str], ...]


SCENES: Final = (
    Scene(file="desktop", size=(1280, 800), programs=(("xfce4-terminal --geometry=94x22+300+250", ""),)),
    Scene(
        file="desktop-1920",
        size=(1920, 1080),
        programs=(("mousepad projects/hello/src/hello.py", "Right"), ("xfce4-terminal --geometry=94x22+90+480", "")),
    ),
    Scene(
        file="desktop-2560",
        size=(2560, 1440),
        programs=(
            ("firefox-esr --width 1240 --height 800 http://127.0.0.1:3000/", "Right"),
            ("thunar projects/hello", ""),
            ("xfce4-terminal --geometry=110x28+140+820", ""),
        ),
    ),
)


def main() -> None:
    folder = Path(sys.argv[1])
    with open_stand({}) as stand:
        workstation = make_workstation(stand)
        for scene in SCENES:
            with set_up(workstation, scene) as client:
                picture = client.settle(3.0, 60, tolerance=0.002)
            image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
            path = folder / f"{scene.file}.png"
            image.save(path, optimize=True)
            if path.stat().st_size > LARGEST:
                sys.exit(f"{path} has {path.stat().st_size} bytes; at most {LARGEST} are for a picture")


def make_workstation(stand: Stand) -> Workstation:
    workstation = Workstation(folder=stand.folder / "hello", environment=stand.environment)
    workstation.folder.mkdir()
    workstation.write(**SETTINGS)
    stand.made.append(workstation)
    workstation.devbox("up")
    workstation.run_inside(PROJECT, stdin=PAGE)
    return workstation


@contextmanager
def set_up(workstation: Workstation, scene: Scene) -> Iterator[VncClient]:
    """The programs of a scene, and what is typed in the terminal, which is the last of them."""
    endpoints = cast("dict[str, str]", workstation.status()["endpoints"])
    port = int(endpoints["vnc"].rpartition(":")[2])
    with connect("127.0.0.1", port).login(workstation.devbox("password").stdout.strip()) as client:
        if client.size != scene.size:
            client.resize(*scene.size)
        client.hands.move(scene.size[0] // 2, scene.size[1] - 2)
        for program, side in scene.programs:
            open_window(workstation, client, program)
            if side:
                move_to(client, side)
        client.settle(1.0, 60, tolerance=0.002)
        client.hands.type_text(TYPED)
        client.settle(1.0, 60, tolerance=0.002)
        workstation.run_inside(ENDED)
        yield client
        workstation.run_inside("pkill -x 'xfce4-terminal|thunar|Thunar|mousepad|firefox-esr' || true")


def open_window(workstation: Workstation, client: VncClient, program: str) -> None:
    before = client.settle(1.0, 60, tolerance=0.002)
    workstation.run_inside(f"setsid {program} >/dev/null 2>&1 </dev/null &")
    client.wait_picture(lambda now: now.difference(before) > 0.01, 60, what=program)


def move_to(client: VncClient, side: str) -> None:
    """The window that was just opened, to that half of the screen. It may be painted before it has the keyboard: a key
    that nothing came of is pressed again."""
    before = client.settle(1.0, 60, tolerance=0.002)
    for _ in range(TRIES):
        client.hands.press(f"super+{side}")
        if client.settle(1.0, 60, tolerance=0.002).difference(before) > MOVED:
            return
    sys.exit(f"super+{side} moved no window")


if __name__ == "__main__":
    main()
