"""What every verb shares: the options before it, a Context for its length, printing, and the exit.

The only place that exits; no verb catches a DevboxError.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from builder.errors import ConfigError, DevboxError, Interrupted
from builder.redaction import redact

if TYPE_CHECKING:
    from builder.console import Reporter
    from builder.core.config import Config
    from builder.model import Keys
    from builder.tasks.interfaces import Context

app = typer.Typer(
    name="devbox",
    help="Containerised developer workstations: from an empty folder to a usable Linux desktop in one command.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Again = Annotated[
    bool, typer.Option("--again", help="Ask again what can be had here (bases, archives), instead of remembering it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with its default.")]


@dataclass
class Options:
    """What the options before the verb said."""

    directory: Path
    log: str


@app.callback()
def main_options(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Option("--directory", "-C", help="The workspace folder.", show_default="the current one")
    ] = Path(),
    log: Annotated[
        str, typer.Option("--log", help="How progress is told on stderr: auto, live, plain, json or quiet.")
    ] = "auto",
) -> None:
    if log not in ("auto", "live", "plain", "json", "quiet"):
        raise ConfigError(f"--log {log} is unknown", hint="it is auto, live, plain, json or quiet")
    context.obj = Options(directory=_find_folder(directory), log=log)


def _find_folder(directory: Path) -> Path:
    try:
        if directory.is_dir():
            return directory.resolve()
    except OSError as error:  # too long a name, a folder of somebody else, a current folder that is gone
        reason = error.strerror or str(error)
        raise ConfigError(f"this folder cannot be used: {reason}", where=str(directory)) from error
    raise ConfigError("there is no such folder", where=str(directory), hint="-C takes an existing folder")


# ------------------------------------------------------------------------------------------------ in a verb


@contextmanager
def session(context: typer.Context) -> Iterator[Context]:
    """A Context whose reports reach stderr, and a terminal that is restored whatever happens."""
    from builder.wiring import make_context

    reporter = open_reporter(context)
    try:
        yield make_context(options(context).directory, reporter, os.environ)
    except KeyboardInterrupt as signalled:
        raise Interrupted("interrupted") from signalled  # typer would end without a word
    finally:
        reporter.close()


def open_reporter(context: typer.Context) -> Reporter:
    from builder.console import make_reporter

    mode = options(context).log
    if mode == "auto":
        mode = "live" if sys.stderr.isatty() and not os.environ.get("CI") else "plain"
    return make_reporter(mode, sys.stderr, colour="NO_COLOR" not in os.environ)


def options(context: typer.Context) -> Options:
    found = context.find_object(Options)
    if found is None:
        raise ConfigError("no options")
    return found


def load_config(context: Context) -> Config:
    from builder.core.config import parse_config

    return parse_config(context.config_text, file=context.config_file, defaults=context.facts)


def project_of(context: Context) -> str:
    return load_config(context).name


def keys_of(context: Context, settings: Config) -> Keys:
    return context.keys.ensure(settings.name, context.workspace.root, settings.ssh.authorized_keys or ())


def say(text: str = "") -> None:
    """Everything that a verb prints of its own, without the credentials that an address may carry."""
    typer.echo(redact(text))


def print_json(value: object) -> None:
    from builder.core.canonical import make_plain

    typer.echo(json.dumps(_clean(make_plain(value)), indent=2, ensure_ascii=False))


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


def main() -> NoReturn:
    """Run the command line; every foreseeable failure ends as a message and the exit code of its family."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(lambda: app(sys.argv[1:] or ["--help"], standalone_mode=False)))


def run(command: Callable[[], object]) -> int:
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except Interrupted as error:
        typer.echo(str(error), err=True)
        return error.exit_code
    except DevboxError as error:
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        return Interrupted.exit_code
    except typer.TyperException as error:  # a wrong option, verb or argument
        typer.echo(
            f"error: {error.format_message()}\nhint: `devbox --help` and `devbox VERB --help` show what there is",
            err=True,
        )
        return ConfigError.exit_code
    except SystemExit as end:
        # What typer makes of a reader that went away (`devbox logs | head`): not a failure of ours.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
