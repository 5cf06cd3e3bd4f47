"""`devbox`: parses the command line, wires the adapters, prints, and is the only place that exits.

Every verb imports what it needs inside itself: `devbox --help` must not pay for an engine's SDK.
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
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from builder.errors import ConfigError, DevboxError, HostError, Interrupted
from builder.redaction import redact

if TYPE_CHECKING:
    from builder.console import Reporter
    from builder.core.config import Config
    from builder.model import Keys
    from builder.tasks.interfaces import Context
    from builder.tasks.prepare import Request
    from builder.tasks.status import Status

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
    if not directory.is_dir():
        raise ConfigError("there is no such folder", where=str(directory), hint="-C takes an existing folder")
    context.obj = Options(directory=directory.resolve(), log=log)


# ------------------------------------------------------------------------------------------------ the frame


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


def say(text: str = "") -> None:
    """Everything that a verb prints of its own, without the credentials that an address may carry."""
    typer.echo(redact(text))


def print_json(value: object) -> None:
    from builder.core.canonical import make_plain

    say(json.dumps(make_plain(value), indent=2, ensure_ascii=False))


# ---------------------------------------------------------------------------------------- before the engine


@app.command()
def init(
    context: typer.Context,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    ci: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--ci", help="Write a CI file that verifies the workstation instead: github or gitlab."),
    ] = None,
) -> None:
    """Write a commented devbox.yaml; asks little."""
    from builder.tasks.init import ask_answers, write_ci, write_config

    with session(context) as ours:
        if ci is not None:
            say(f"{write_ci(ours, ci, force=force)} written; it brings the workstation up and verifies it")
            return
        answers = ask_answers(ours, (lambda question, default: default) if yes else _prompt)
        path = write_config(ours, answers, force=force)
    say(f"{path} written; `devbox up` starts the workstation")


def _prompt(question: str, default: str) -> str:
    answer: str = typer.prompt(question, default=default, err=True)
    return answer


@app.command()
def config(
    context: typer.Context,
    as_json: Json = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say where each setting comes from, and what its security level means.")
    ] = False,
) -> None:
    """Show the configuration with every default filled in."""
    import yaml

    from builder.core.config import config_as_dict
    from builder.tasks.prepare import read_request

    with session(context) as ours:
        request = read_request(ours)
    if explain:
        _explain(request, as_json=as_json)
        return
    values = config_as_dict(request.config)
    if as_json:
        print_json(values)
    else:
        say(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


def _explain(request: Request, *, as_json: bool) -> None:
    from builder.core.explain import explain_config
    from builder.suite.cis import list_exceptions

    settings = explain_config(request.config, request.resolved)
    level, exceptions = request.resolved.runtime.level.value, list_exceptions(request.resolved)
    if as_json:
        print_json({"settings": settings, "security": {"level": level, "exceptions": exceptions}})
        return
    width = max(len(setting.key) for setting in settings)
    for setting in settings:
        value = "-" if setting.value is None else json.dumps(setting.value, ensure_ascii=False)
        say(f"{setting.key:<{width}}  {value:<24}  {setting.origin}")
    say()
    say(f"security level {level}, " + ("with these exceptions to CIS:" if exceptions else "without exception to CIS"))
    for item in exceptions:
        say(f"  {item.id:<5}  {item.title}: {item.reason}")


@app.command()
def plan(
    context: typer.Context,
    as_json: Json = False,
    again: Again = False,
    assume: Annotated[bool, typer.Option("--assume", help="Ask nothing: take every source as reachable.")] = False,
) -> None:
    """Show what would be built, step by step."""
    from builder.tasks.prepare import prepare, say_substitutions

    with session(context) as ours:
        prepared = prepare(ours, ask=not assume, again=again)
        say_substitutions(ours, prepared.plan.substitutions)
    if as_json:
        print_json(prepared.plan)
        return
    say(f"image {prepared.plan.image}")
    for step in prepared.plan.steps:
        say(f"  {step.id[:12]}  {step.kind:<9}  {step.name:<16}  {step.summary}")


@app.command()
def render(
    context: typer.Context,
    again: Again = False,
    assume: Annotated[bool, typer.Option("--assume", help="Ask nothing: take every source as reachable.")] = False,
) -> None:
    """Write the Dockerfile and compose.yaml to .workstation/."""
    from builder.tasks.render import render_workspace

    with session(context) as ours:
        names = render_workspace(ours, ask=not assume, again=again)
    for name in names:
        say(f".workstation/{name}")


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at engine, disk, ports and sources, with hints."""
    from builder.tasks.doctor import examine
    from builder.wiring import look_at_host

    with session(context) as ours:
        findings = examine(ours, look_at_host)
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            say(f"{finding.mark} {finding.topic:<14} {finding.text}")
            if finding.hint:
                say(f"  hint: {finding.hint}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(8)


@app.command()
def version(as_json: Json = False) -> None:
    """Show the version of devbox."""
    from builder.adapters.assets import find_version

    if as_json:
        print_json({"devbox": find_version(), "python": sys.version.split()[0]})
    else:
        say(f"devbox {find_version()}")


# ------------------------------------------------------------------------------------------ build and start


@app.command()
def build(context: typer.Context, again: Again = False) -> None:
    """Build the image, and start nothing."""
    from builder.tasks.build import build_image
    from builder.tasks.prepare import prepare, read_request, say_substitutions

    with session(context) as ours:
        read_request(ours)  # a mistake in devbox.yaml ends here, before anything is made
        with ours.workspace.lock("build"):
            prepared = prepare(ours, again=again)
            say_substitutions(ours, prepared.plan.substitutions)
            ours.workspace.write_tree(prepared.image_tree)
            built = build_image(ours, prepared)
    say(f"{prepared.plan.image} {'built' if built else 'is there already: nothing to do'}")


@app.command()
def up(
    context: typer.Context,
    as_json: Json = False,
    again: Again = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Make the container anew; volumes are kept.")] = False,
) -> None:
    """Build, start and wait until the desktop can be used."""
    from builder.shortcut import find_unchanged, take_fingerprint

    directory = options(context).directory
    fingerprint = take_fingerprint(directory, os.environ)
    if not (again or recreate) and (unchanged := find_unchanged(directory, fingerprint, os.environ)):
        _print_up(unchanged, as_json=as_json, changed=False, seconds=None)
        return
    from builder.tasks.status import read_status
    from builder.tasks.up import bring_up

    with session(context) as ours:
        outcome = bring_up(ours, fingerprint=fingerprint, again=again, recreate=recreate)
        status = read_status(ours, outcome.project)
    _print_up(status, as_json=as_json, changed=outcome.changed, seconds=max(outcome.phases.values(), default=None))


def _print_up(status: Status, *, as_json: bool, changed: bool, seconds: float | None) -> None:
    from builder.tasks.status import describe_summary, describe_unchanged

    if as_json:
        print_json(status)
    elif changed:
        say(f"{status.name} is ready" + (f", {seconds:.2f} s after its start" if seconds is not None else ""))
        say(describe_summary(status))
    else:
        say(describe_unchanged(status))


# -------------------------------------------------------------------------------------------------- look


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the workstation of this folder."""
    from builder.tasks.status import describe_state

    found = _find_status(context, inside=as_json)
    if as_json:
        print_json(found)
    else:
        say(describe_state(found))


def _find_status(context: typer.Context, *, inside: bool) -> Status:
    from builder.shortcut import look_at_workstation

    if seen := look_at_workstation(options(context).directory, os.environ, inside=inside):
        return seen
    from builder.tasks.status import read_status

    with session(context) as ours:
        return read_status(ours, project_of(ours))


@app.command("list")
def list_workstations(context: typer.Context, as_json: Json = False) -> None:
    """Show every workstation on the engine."""
    from builder.tasks.status import list_statuses

    with session(context) as ours:
        found = list_statuses(ours)
    if as_json:
        print_json(list(found))
        return
    if not found:
        say("there are no workstations; `devbox up` makes one")
    for item in found:
        say(f"{item.name:<20}  {item.state:<9}  {item.endpoints.get('web', ''):<28}  {item.workspace}")


@app.command()
def logs(
    context: typer.Context,
    service: Annotated[Optional[str], typer.Argument(help="One service, such as xvnc; all of them without.")] = None,  # noqa: UP045  # typer reads it at run time on 3.10
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    tail: Annotated[Optional[int], typer.Option("--tail", "-n", min=0, help="Only the last lines.")] = None,  # noqa: UP045
) -> None:
    """Show what the workstation wrote."""
    from builder.tasks.access import read_logs

    with session(context) as ours:
        for line in read_logs(ours, project_of(ours), service=service, follow=follow, tail=tail):
            sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
            sys.stdout.buffer.flush()


@app.command()
def verify(
    context: typer.Context,
    as_json: Json = False,
    junit: Annotated[Optional[Path], typer.Option("--junit", help="Write the results as JUnit XML.")] = None,  # noqa: UP045
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--report", help="Write a folder with an HTML report: results, picture, time line, packages."),
    ] = None,
    only: Annotated[str, typer.Option("--only", help="Only these groups, with commas between them.")] = "",
    skip: Annotated[str, typer.Option("--skip", help="Not these groups.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Substitutions and other warnings fail.")] = False,
    image: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--image", help="Verify a throw-away of this image; no workstation is touched."),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=100, help="Throw-away starts of the group timing.")] = 5,
    cold: Annotated[bool, typer.Option("--cold", help="Drop this machine's page cache before each of them.")] = False,
) -> None:
    """Prove that the workstation keeps its promises; exit code 7 when it does not."""
    from builder.suite.registry import choose_groups
    from builder.suite.table import render_table
    from builder.suite.verify import refuse_failures
    from builder.suite.verify import verify as verify_subject
    from builder.wiring import open_subject

    groups = choose_groups(_words(only), _words(skip))
    with session(context) as ours, open_subject(ours, image, repeat=repeat, cold=cold) as subject:
        found = verify_subject(subject, groups, ours.report, strict=strict)
        if report is not None:
            from builder.suite.report import write_report

            write_report(found, subject, report)
    if junit is not None:
        from builder.suite.junit import write_junit

        write_junit(found, junit)
    if as_json:
        print_json(found)
    else:
        say(render_table(found))
    refuse_failures(found)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


@app.command()
def screenshot(context: typer.Context, file: Annotated[Path, typer.Argument(help="Where the PNG goes.")]) -> None:
    """Take a real picture of the desktop, through VNC."""
    from builder.tasks.access import find_place
    from builder.wiring import take_picture

    with session(context) as ours:
        settings = load_config(ours)
        place = find_place(ours, settings.name, "vnc")
        size = take_picture(place, _keys(ours, settings).password, file)
    say(f"{file}: {size[0]}x{size[1]}")


@app.command()
def sbom(
    context: typer.Context,
    form: Annotated[str, typer.Option("--format", help="cyclonedx (1.6) or spdx (2.3); both are JSON.")] = "cyclonedx",
    image: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--image", help="An image of the engine.", show_default="the one of this folder"),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Write to this file.", show_default="standard output"),
    ] = None,
) -> None:
    """List what is in the image: packages, licences and all other files."""
    from builder.adapters.sbom import BillFormat, render_bill
    from builder.tasks.sbom import read_bill

    if form not in [known.value for known in BillFormat]:
        raise ConfigError(f"--format {form} is unknown", hint="it is cyclonedx or spdx")
    if output is not None and not output.parent.is_dir():  # before the image is read, which takes seconds
        raise ConfigError("there is no such folder", where=str(output.parent), hint="--output names a file in one")
    with session(context) as ours:
        text = render_bill(read_bill(ours, project_of(ours), image), BillFormat(form))
    if output is None:
        typer.echo(text, nl=False)
        return
    from builder.adapters.files import write_atomic

    write_atomic(output, text.encode())
    say(f"{output} written")


# ------------------------------------------------------------------------------------------------ get inside


@app.command()
def shell(context: typer.Context) -> None:
    """Open a login shell in the workstation."""
    _run(context, [])


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(context: typer.Context, command: Annotated[list[str], typer.Argument(help="What to run.")]) -> None:
    """Run a command in the workstation, as its user."""
    _run(context, command)


def _run(context: typer.Context, command: list[str]) -> NoReturn:
    from builder.tasks.access import run_inside

    with session(context) as ours:
        settings = load_config(ours)
        user = settings.user.name
        terminal = {"TERM": os.environ.get("TERM", "xterm-256color")} if sys.stdin.isatty() else {}
        code = run_inside(ours, settings.name, user, command, workdir=f"/home/{user}", environment=terminal)
    raise typer.Exit(code)


@app.command("ssh", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def login(
    context: typer.Context,
    command: Annotated[Optional[list[str]], typer.Argument(help="What to run; a login shell without.")] = None,  # noqa: UP045
    forward_agent: Annotated[
        bool, typer.Option("--forward-agent", "-A", help="Let this session use the keys of this machine's SSH agent.")
    ] = False,
    as_config: Annotated[bool, typer.Option("--config", help="Only print a section for ~/.ssh/config.")] = False,
) -> None:
    """Log in with this machine's ssh, its host key pinned."""
    from builder.adapters.process import become
    from builder.tasks.access import find_place, render_ssh_config, ssh_command

    with session(context) as ours:
        settings = load_config(ours)
        user, place = settings.user.name, find_place(ours, settings.name, "ssh")
        keys = _keys(ours, settings)
    if as_config:
        say(render_ssh_config(keys, settings.name, user, place))
        return
    if forward_agent and not os.environ.get("SSH_AUTH_SOCK"):
        raise HostError(
            "there is no SSH agent to forward", where="SSH_AUTH_SOCK", hint='eval "$(ssh-agent)" && ssh-add'
        )
    words = ssh_command(keys, user, place, forward_agent=forward_agent, command=command or ())
    become(words, hint="install the OpenSSH client; `devbox shell` needs none")


@app.command("open")
def open_door(
    context: typer.Context,
    door: Annotated[str, typer.Argument(help="web, vnc, ssh or dev.")] = "web",
    only_print: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
) -> None:
    """Open the desktop in the browser or in a VNC viewer."""
    from builder.tasks.access import find_endpoint, find_place, ssh_command

    with session(context) as ours:
        settings = load_config(ours)
        if door == "ssh":
            command = ssh_command(_keys(ours, settings), settings.user.name, find_place(ours, settings.name, "ssh"))
        else:
            address = find_endpoint(ours, settings.name, door)
    if door == "ssh":
        import shlex

        say(shlex.join(command))
        return
    target = f"vnc://{address}" if door == "vnc" else address
    say(target)
    if not only_print and typer.launch(target) != 0:
        raise DevboxError("no program here opens that address", hint="open it by hand, or use --print")


@app.command()
def password(
    context: typer.Context,
    door: Annotated[str, typer.Argument(help="vnc, or web where it is exposed.")] = "vnc",
    new: Annotated[bool, typer.Option("--new", help="Make a new one; those of vnc that are logged in stay.")] = False,
) -> None:
    """Print the VNC password of this workstation, or that of its web desktop, where it is exposed."""
    from builder.tasks.access import find_password, renew_password, renew_web_password

    with session(context) as ours:
        settings = load_config(ours)
        if new:
            secret = (renew_web_password if door == "web" else renew_password)(ours, settings.name)
        else:
            secret = find_password(_keys(ours, settings), door)
    say(secret.reveal())


def _keys(context: Context, settings: Config) -> Keys:
    return context.keys.ensure(settings.name, context.workspace.root, settings.ssh.authorized_keys or ())


# -------------------------------------------------------------------------------------------------- lifecycle


@app.command()
def stop(context: typer.Context) -> None:
    """Stop the workstation; everything in it is kept."""
    from builder.tasks.lifecycle import stop_workstation

    with session(context) as ours:
        project = project_of(ours)
        stopped = stop_workstation(ours, project)
    say(f"{project} {'stopped' if stopped else 'does not run: nothing to do'}")


@app.command()
def start(context: typer.Context) -> None:
    """Start a stopped workstation and wait until it can be used."""
    from builder.tasks.lifecycle import start_workstation

    with session(context) as ours:
        project = project_of(ours)
        phases = start_workstation(ours, project)
    say(f"{project} is ready, {max(phases.values(), default=0):.2f} s after its start")


@app.command()
def down(
    context: typer.Context,
    volumes: Annotated[bool, typer.Option("--volumes", help="Remove its volumes too, with all data in them.")] = False,
    yes: Yes = False,
) -> None:
    """Remove container and network; the volumes stay."""
    from builder.tasks.lifecycle import take_down
    from builder.wiring import remove_stale_throwaways

    with session(context) as ours:
        project = project_of(ours)
        doomed = ours.engine().volumes(project) if volumes else ()
        if doomed and not yes:
            _confirm_loss(project, doomed)
        removed = take_down(ours, project, volumes=doomed)
        remove_stale_throwaways(ours)
        kept = ours.engine().volumes(project)
    say(f"{project} {'removed' if removed else 'is not there: nothing to do'}")
    if kept:
        say(f"kept: {', '.join(kept)} (`devbox down --volumes` removes them)")


def _confirm_loss(project: str, doomed: tuple[str, ...]) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--volumes would destroy {', '.join(doomed)}", hint="say so with --yes, since nobody can be asked here"
        )
    say(f"this destroys {', '.join(doomed)} and all data in them")
    if typer.prompt(f"type {project} to go on", default="", show_default=False) != project:
        raise ConfigError("the name was not typed: nothing was removed")


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


if __name__ == "__main__":
    main()
