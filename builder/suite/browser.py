"""The part of the group `desktop` that is about the tool `browser`: a page is shown, and what shows it is shut in.

A browser that cannot have its whole sandbox goes on without a word to the person. So the filters of system calls are
counted, in the processes that read pages (docs/decisions/browser.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.clock import wait_for
from builder.adapters.rfb import VncTimeoutError
from builder.errors import NotReadyError
from builder.suite.cases import Lane, case
from builder.suite.results import CheckFailure, Skipped

if TYPE_CHECKING:
    from builder.adapters.rfb import Picture
    from builder.suite.subject import Subject

FIRST: Final = (11, 125, 50)
THEN: Final = (125, 50, 11)
LEAST_SHOWN: Final = 0.1  # of the screen; a first window fills a fifth of the largest
WINDOW_S: Final = 30.0
CHANGE_S: Final = 10.0
# What each process of the browser is for (the last word of its command), and how many filters of system calls it is
# behind. Linux counts them since 5.9.
FILTERS: Final = """
for pid in "$1" $(pgrep -g "$1" -f -- -contentproc); do
    kind=browser
    [ "$pid" = "$1" ] || kind=$(tr '\\0' ' ' <"/proc/$pid/cmdline" | sed 's/ *$//; s/.* //')
    echo "$kind" $(sed -n 's/^Seccomp_filters://p' "/proc/$pid/status")
done 2>/dev/null
"""


@contextmanager
def _open_page(subject: Subject) -> Iterator[str]:
    """The browser with a page of ours, in a profile of its own; its process id."""
    folder = subject.output("mktemp", "-d", "/tmp/devbox-verify.XXXXXX").strip()  # noqa: S108  # inside, by mktemp
    program = Path(__file__).with_name("browser_page.py").read_bytes()
    try:
        subject.run("sh", "-c", 'cat > "$1/page.py"', "sh", folder, stdin=program)
        script = 'd=$1; shift; setsid python3 "$d/page.py" "$d" "$@" >"$d/log" 2>&1 </dev/null &'
        subject.run("sh", "-c", script, "sh", folder, _css(FIRST), _css(THEN))
        pids = wait_for(
            "the page's server",
            lambda: subject.run("cat", f"{folder}/pids").stdout.decode().split() or None,
            deadline_s=WINDOW_S,
            interval_s=0.1,
        )
        yield pids[1]
    except (NotReadyError, VncTimeoutError) as error:
        said = subject.run("cat", f"{folder}/log").stdout.decode(errors="replace").strip()
        raise CheckFailure(error.message, said[-300:] or "nothing", "devbox screenshot picture.png") from error
    finally:
        script = 'read -r pid _ 2>/dev/null <"$1/pids" && kill "$pid" && while [ -d "/proc/$pid" ]; do sleep 0.1; done'
        subject.run("sh", "-c", script + '; rm -rf "$1"', "sh", folder, patience_s=20)


def _css(colour: tuple[int, int, int]) -> str:
    return "#" + bytes(colour).hex()


def _share(picture: Picture, colour: tuple[int, int, int]) -> float:
    pixels = memoryview(picture.rgb)
    step = 3 * 97  # every 97th pixel is enough, and a prime to no width of a screen
    seen = range(0, len(pixels) - 2, step)
    return sum(tuple(pixels[at : at + 3]) == colour for at in seen) / len(seen)


@case("desktop.browser", "the browser shows a page, which a key reaches", lane=Lane.SCREEN, deadline_s=90, door="vnc")
def shows_a_page(subject: Subject) -> None:
    with _open_page(subject), subject.login() as client:
        client.wait_picture(lambda now: _share(now, FIRST) > LEAST_SHOWN, WINDOW_S, what="the page")
        client.hands.press("a")
        client.wait_picture(lambda now: _share(now, THEN) > LEAST_SHOWN, CHANGE_S, what="the page's other colour")


@case("desktop.browser-sandbox", "what reads the browser's pages is shut in", lane=Lane.SCREEN, deadline_s=90)
def is_shut_in(subject: Subject) -> str:
    with _open_page(subject) as browser:

        def look() -> str | None:
            """A process shuts itself in after its start."""
            around, inside = _filters(subject, browser)
            return f"{len(inside)} of its processes" if inside and min(inside) > around else None

        try:
            return wait_for("a page that is shut in", look, deadline_s=WINDOW_S, interval_s=0.2)
        except NotReadyError as error:
            around, inside = _filters(subject, browser)
            told = f"{inside}, and {around} around the browser itself"
            wanted = "a filter of system calls of its own around each page"
            raise CheckFailure(wanted, told, "about:support in the browser") from error


def _filters(subject: Subject, browser: str) -> tuple[int, list[int]]:
    """How many filters there are around the browser, and around each process that reads pages."""
    lines = subject.output("sh", "-c", FILTERS, "sh", browser).splitlines()
    found = [(kind, int(count)) for kind, _, count in (line.rpartition(" ") for line in lines) if kind]
    around = [count for kind, count in found if kind == "browser"]
    if not around:
        raise Skipped("this kernel does not tell how many filters a process is behind: Linux does since 5.9")
    return around[0], [count for kind, count in found if kind == "tab"]


CASES = (shows_a_page, is_shut_in)
