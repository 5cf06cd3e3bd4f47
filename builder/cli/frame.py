"""What every verb shares: the options before it, a Context for its length, printing, and the exit.

The only place that makes exit codes; no verb catches a DevboxError.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, Optional

import typer

from builder.adapters.remote.address import HERE, parse_address
from builder.cli.completion import complete_log
from builder.cli.habits import Verbs, hoist, narrow
from builder.errors import ConfigError, DevboxError, HostError, Interrupted
from builder.redaction import redact

if TYPE_CHECKING:
    from builder.console import Reporter
    from builder.core.config import Config
    from builder.model import Keys
    from builder.tasks.demand import Demand
    from builder.tasks.interfaces import Context

app = typer.Typer(
    name="devbox",
    cls=Verbs,
    help="Containerised developer workstations: from an empty folder to a usable Linux desktop in one command.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LEAVE_S: Final = 9.0  # a Ctrl-C ends within ten seconds

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Again = Annotated[
    bool, typer.Option("--again", help="Ask again what can be had here (bases, archives), instead of remembering it.")
]
Frozen = Annotated[
    bool, typer.Option("--frozen", help="Take what devbox-lock.json says; it is an error if that does not fit.")
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use no network: only the lock, and what `devbox fetch` keeps here.")
]
BuildHere = Annotated[
    bool, typer.Option("--build-here", help="Build by this machine's engine, and send what the other machine has not.")
]
Names = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Argument(metavar="NAME", help="With --update: only these tools and packages.", show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, and go on.")]


@dataclass
class Options:
    """What the options before the verb said."""

    directory: Path
    log: str
    host: str | None


@app.callback()
def main_options(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Option("--directory", "-C", help="The workspace folder.", show_default="the current one")
    ] = Path(),
    log: Annotated[
        str,
        typer.Option(
            "--log",
            help="How progress is told on stderr: auto, live, plain, json or quiet.",
            autocompletion=complete_log,
        ),
    ] = "auto",
    host: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="The machine to work on: ssh://user@host, or local. Also behind a verb.",
            show_default=False,
        ),
    ] = None,
) -> None:
    if log not in ("auto", "live", "plain", "json", "quiet"):
        raise ConfigError(f"--log {log} is unknown", hint="it is auto, live, plain, json or quiet")
    if host not in (None, HERE):
        parse_address(host, where="--host")
    context.obj = Options(directory=_find_folder(directory), log=log, host=host)


def _find_folder(directory: Path) -> Path:
    try:
        if directory.is_dir():
            return directory.resolve()
    except OSError as error:  # too long a name, a folder of somebody else, a current folder that is gone
        reason = error.strerror or str(error)
        raise ConfigError(
            f"this folder cannot be used: {reason}", where=str(directory), hint="-C takes an existing folder of yours"
        ) from error
    raise ConfigError("there is no such folder", where=str(directory), hint="-C takes an existing folder")


# ------------------------------------------------------------------------------------------------ in a verb


@contextmanager
def session(context: typer.Context, *, build_here: bool = False) -> Iterator[Context]:
    """A Context whose reports reach stderr and the log of the run, and a terminal that is restored whatever happens."""
    from builder.wiring import make_context

    with recorded(context) as report:
        asked = options(context)
        yield make_context(asked.directory, report, os.environ, host=asked.host, ask=ask_person, build_here=build_here)


def ask_person(text: str, secret: bool) -> str | None:
    """A question of a login, on the terminal; None where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return str(typer.prompt(text, prompt_suffix="", hide_input=secret, default="", show_default=False, err=True))


def environment_of(context: typer.Context) -> Mapping[str, str]:
    """As the fastest answers need it: with the engine that --host or devbox.yaml names."""
    from builder.shortcut import find_environment

    asked = options(context)
    return find_environment(asked.directory, os.environ, host=asked.host)


@contextmanager
def recorded(context: typer.Context) -> Iterator[Reporter]:
    """A reporter for one run of a verb, whose events and end are kept for `devbox diagnose`."""
    from builder.console import RecordingReporter
    from builder.wiring import open_run_log

    shown = open_reporter(context)
    log = open_run_log(options(context).directory, context.info_name or "", shown)
    reporter = RecordingReporter(shown, log.write)
    ended = 1, "unexpected"
    try:
        yield reporter
        ended = 0, ""
    except (KeyboardInterrupt, typer.Abort) as signalled:  # the latter from a question
        ended = Interrupted.exit_code, "interrupted"
        raise Interrupted("interrupted") from signalled  # typer would end without a word
    except DevboxError as error:
        ended = error.exit_code, str(error)
        raise
    finally:
        reporter.close()
        log.end(*ended)


def open_reporter(context: typer.Context) -> Reporter:
    from builder.console import choose_mode, make_reporter

    mode = options(context).log
    if mode == "auto":
        mode = choose_mode(os.environ, terminal=sys.stderr.isatty())
    return make_reporter(mode, sys.stderr, colour="NO_COLOR" not in os.environ)


def options(context: typer.Context) -> Options:
    found = context.find_object(Options)
    if found is None:
        raise ConfigError("no options")
    return found


def make_demand(
    *,
    frozen: bool,
    offline: bool = False,
    again: bool = False,
    update: bool = False,
    names: list[str] | None = None,
    verb: str = "up",
) -> Demand:
    """What the options of `verb` say of the lock. Raises ConfigError for those that exclude each other."""
    from builder.tasks.demand import Demand

    if names and not update:
        raise ConfigError(f"`{names[0]}` needs --update", hint=f"`devbox {verb} --update {' '.join(names)}`")
    if frozen and (again or update):
        raise ConfigError("--frozen and asking anew exclude each other", hint="leave one of them out")
    if offline and (again or update):
        raise ConfigError("--offline and asking anew exclude each other", hint="leave one of them out")
    return Demand(frozen=frozen, offline=offline, again=again, update=tuple(names or ()) if update else None)


def load_config(context: Context) -> Config:
    from builder.core.config import parse_config

    return parse_config(context.config_text, file=context.config_file, defaults=context.facts)


def project_of(context: Context) -> str:
    return load_config(context).name


def keys_of(context: Context, settings: Config) -> Keys:
    from builder.tasks.owner import follow

    follow(context, settings.name)
    return context.keys.ensure(settings.name, context.workspace.root, settings.ssh.authorized_keys or ())


def say(text: str = "") -> None:
    """Everything that a verb prints of its own, without the credentials that an address may carry."""
    _write(redact(text))


def _write(text: str) -> None:
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise  # a reader that went away: see `run`
    except OSError as error:
        raise HostError(
            f"standard output cannot be written: {error.strerror}", hint="free some space where it leads to"
        ) from error


def print_json(value: object) -> None:
    from builder.core.canonical import make_plain

    _write(json.dumps(_clean(make_plain(value)), indent=2, ensure_ascii=False))


def _clean(value: object) -> object:
    """Text by text, before it is JSON: a mask over its quotes would end in no JSON at all."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
    return value


# ------------------------------------------------------------------------------------------------------- exit


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(words: Sequence[str]) -> int:
    """Run the command line; every foreseeable failure ends as a message and the exit code of its family."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # the second one where a terminal is closed
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores it, and so do we then
            signal.signal(number, _interrupt)
    words = hoist(words) or ["--help"]
    code = run(lambda: narrow(app, words)(words, standalone_mode=False))
    if code == Interrupted.exit_code:
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End without the threads that do not end soon: they tidy up, or wait for a network that nobody waits for any more.

    What one of them leaves behind is found by its free lock (see `adapters.scratch`).
    """
    deadline = time.monotonic() + LEAVE_S
    ours = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in ours:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in ours):
        os._exit(code)


def run(command: Callable[[], object]) -> int:
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except Interrupted as error:
        _tell(str(error))
        return error.exit_code
    except DevboxError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _tell("interrupted")
        return Interrupted.exit_code
    except typer.TyperException as error:  # a wrong option, verb or argument
        _tell(f"error: {error.format_message()}\nhint: `devbox --help` and `devbox VERB --help` show what there is")
        return ConfigError.exit_code
    except SystemExit as end:
        # What typer makes of a reader that went away (`devbox logs | head`): not a failure of ours.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return 0


def _tell(text: str) -> None:
    """On stderr. Where that cannot be written, the exit code has to say it."""
    with suppress(OSError):
        typer.echo(text, err=True)
