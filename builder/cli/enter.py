"""Verbs that go inside, or print what opens a door."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn, Optional

import typer

from builder.cli.frame import app, keys_of, load_config, say, session
from builder.errors import ConfigError, DevboxError, HostError


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
        keys = keys_of(ours, settings)
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
            command = ssh_command(keys_of(ours, settings), settings.user.name, find_place(ours, settings.name, "ssh"))
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

    if door not in ("vnc", "web"):
        raise ConfigError(f"{door} has no password", hint="vnc and an exposed web desktop have one")
    with session(context) as ours:
        settings = load_config(ours)
        if new:
            secret = (renew_web_password if door == "web" else renew_password)(ours, settings.name)
        else:
            secret = find_password(keys_of(ours, settings), door)
    say(secret.reveal())
