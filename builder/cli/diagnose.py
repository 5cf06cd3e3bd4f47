"""`diagnose`: looks at everything, whatever is broken, and packs it for somebody else to read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn, TypeVar

import typer

from builder.cli.frame import app, open_reporter, options, say
from builder.errors import DevboxError

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine
    from builder.core.scrubbing import Scrub
    from builder.tasks.diagnose import Part, Scene

T = TypeVar("T")
LOOK_S: Final = 120  # an engine that hangs is asked no more after that
MAX_PART: Final = 1 << 20
ABOUT: Final = """\
What `devbox diagnose` found, to attach to an issue. Nothing of it was sent anywhere.

Taken out: passwords, tokens, keys and logins, as far as devbox knows them or they look like some (***); your home
folder (~), your user name (<user>) and the name of your machine (<host>).

Look before you send it at:
  config/devbox.yaml, config/explained.json   what you wrote: names of projects, addresses inside your network
  workspace/compose.yaml                      values under `environment`, paths of mounted folders
  logs/, inside/processes.txt                 what your programs wrote, and their command lines
  engine/workstations.json                    names of your other workstations on this engine

"""


@app.command()
def diagnose(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the archive goes.")] = Path("devbox-diagnosis.tar.gz"),
) -> None:
    """Pack what is needed to look into a failure, without secrets, to attach to an issue. Sends nothing.

    It works without an engine, without a workstation and with a broken devbox.yaml.
    """
    from builder.adapters.traces import write_archive
    from builder.cli.look import check_output
    from builder.model import TaskStarted

    check_output(file)  # before the look, which may take minutes
    reporter = open_reporter(context)
    try:
        reporter(TaskStarted(name="diagnose", text="look at everything"))
        files, missing = _look(
            _open_scene(options(context).directory, options(context).host), _make_scrubber(options(context).directory)
        )
    finally:
        reporter.close()
    list_of_all = "".join([*(f"{name}\n" for name in files), *(f"{name}: {why}\n" for name, why in missing.items())])
    write_archive(file, {"README.txt": f"{ABOUT}{list_of_all}".encode(), **files})
    _say_contents(file, files, missing)


def _say_contents(file: Path, files: dict[str, bytes], missing: dict[str, str]) -> None:
    say(ABOUT)
    for name, data in files.items():
        say(f"  {name:<40}  {len(data):>8}")
    for why in dict.fromkeys(missing.values()):
        say(f"  not there: {', '.join(name for name in missing if missing[name] == why)}\n    {why}")
    say(f"\n{file} written; look into it before you send it to somebody")


def _look(scene: Scene, scrub: Scrub) -> tuple[dict[str, bytes], dict[str, str]]:
    """The parts, redacted; and of those that could not be had why not, in a line each."""
    from builder.tasks.diagnose import list_parts

    files: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    until = time.monotonic() + LOOK_S
    for part in list_parts(scene):
        if time.monotonic() > until:
            missing[part.name] = f"left out: the look took more than {LOOK_S} s"
            continue
        try:
            files[part.name] = _render(part, scrub)
        except Exception as error:  # noqa: BLE001  # a diagnosis is for what is broken, devbox included
            missing[part.name] = scrub(_tell(error))
    return files, missing


def _tell(error: Exception) -> str:
    """In one line."""
    if isinstance(error, DevboxError):
        text = f"{error.where}: {error.message}" if error.where else error.message
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _render(part: Part, scrub: Scrub) -> bytes:
    from builder.core.canonical import make_plain
    from builder.core.scrubbing import scrub_plain

    value = part.make()
    if not isinstance(value, str):
        return json.dumps(scrub_plain(make_plain(value), scrub), indent=1, ensure_ascii=False).encode() + b"\n"
    return scrub(value).encode("utf-8", "replace")[-MAX_PART:]


def _open_scene(folder: Path, host: str | None) -> Scene:
    from builder.adapters.hostinfo import find_folder
    from builder.adapters.traces import Traces
    from builder.tasks.diagnose import Scene
    from builder.wiring import look_at_host, make_context

    return Scene(
        folder=folder,
        files=Traces(folder, find_folder("XDG_STATE_HOME", ".local/state"), os.environ),
        context=_once(lambda: make_context(folder, lambda event: None, os.environ, host=host)),
        engine=_once(lambda: _connect(folder, host)),
        host=look_at_host,
    )


def _connect(folder: Path, host: str | None) -> Engine:
    from builder.adapters.remote.client import Talk
    from builder.shortcut import find_environment
    from builder.wiring import connect, nobody

    return connect(find_environment(folder, os.environ, host=host), Talk(tell=lambda _: None, ask=nobody))


def _make_scrubber(folder: Path) -> Scrub:
    from builder.adapters.hostinfo import find_folder, find_home
    from builder.adapters.known_secrets import find_names, find_secrets
    from builder.core.scrubbing import make_scrubber

    home = find_home()
    secrets = find_secrets(find_folder("XDG_STATE_HOME", ".local/state"), home, folder, os.environ)
    return make_scrubber(secrets, find_names(home))


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """`make`, asked once: an engine that does not answer is not waited for by each part."""
    outcome: list[Callable[[], T]] = []

    def get() -> T:
        if not outcome:
            outcome.append(_try(make))
        return outcome[0]()

    return get


def _try(make: Callable[[], T]) -> Callable[[], T]:
    try:
        value = make()
    except Exception as error:  # noqa: BLE001  # it is raised for each who asks
        failure = error

        def fail() -> NoReturn:
            raise failure

        return fail
    return lambda: value
