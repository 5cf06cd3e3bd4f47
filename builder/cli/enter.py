"""Verbs that go inside, or print what opens a door."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from builder.cli.completion import complete_door, complete_password
from builder.cli.frame import app, environment_of, keys_of, load_config, options, say, session
from builder.errors import ConfigError, DevboxError, HostError


@app.command()
def shell(context: typer.Context) -> None:
    """Open a login shell in the workstation."""
    _run(context, [])


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(context: typer.Context, command: Annotated[list[str], typer.Argument(help="What to run.")]) -> None:
    """Run a command in the workstation, as its user.

    In the home. Ends with the code of the command; with 127 where there is none of that name inside.
    """
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
    as_config: Annotated[bool, typer.Option("--config", help="The same as `devbox ssh-config`.")] = False,
) -> None:
    """Log in with this machine's ssh, its host key pinned."""
    from builder.adapters.process import become
    from builder.tasks.access import find_place, ssh_command

    if as_config:
        ssh_config(context)
        return

    with session(context) as ours:
        settings = load_config(ours)
        user, place = settings.user.name, find_place(ours, settings.name, "ssh")
        keys = keys_of(ours, settings)
    if forward_agent and not os.environ.get("SSH_AUTH_SOCK"):
        raise HostError(
            "there is no SSH agent to forward", where="SSH_AUTH_SOCK", hint='eval "$(ssh-agent)" && ssh-add'
        )
    words = ssh_command(keys, user, place, forward_agent=forward_agent, command=command or ())
    become(words, hint="install the OpenSSH client; `devbox shell` needs none")


@app.command("ssh-config")
def ssh_config(context: typer.Context) -> None:
    """Print a section for ~/.ssh/config: with it `ssh NAME`, editors and rsync find the workstation."""
    from builder.tasks.access import find_place, render_ssh_config

    with session(context) as ours:
        settings = load_config(ours)
        place = find_place(ours, settings.name, "ssh")
        opener = _opener(context, settings.name)
        section = render_ssh_config(keys_of(ours, settings), settings.name, settings.user.name, place, opener=opener)
    say(section)


def _opener(context: typer.Context, name: str) -> list[str]:
    """What opens the tunnel to the workstation's machine, if it is another one: any verb that looks at it. Raises
    ConfigError where that one, or a jump host, has the same name: the way there would lead through the workstation."""
    from builder.adapters.engine.host import find_host
    from builder.adapters.remote.address import parse_address
    from builder.adapters.remote.sshconfig import find_jumps, find_target
    from builder.shortcut import find_environment

    if not (remote := find_host(environment_of(context)).remote):
        return []
    target = find_target(parse_address(remote, where="the engine"), os.environ)
    if name in (item.address.host for item in (target, *find_jumps(target, os.environ))):
        hint = "another `name:` in devbox.yaml, or another `Host` in ~/.ssh/config"
        raise ConfigError(f"the workstation and a machine on the way to it are both called {name}", hint=hint)
    folder, program = options(context).directory, Path(sys.argv[0])
    command = [str(program.absolute())] if program.name == "devbox" else [sys.executable, "-m", "builder"]
    written = find_environment(folder, {}).get("DOCKER_HOST") == remote  # in devbox.yaml, which is the quickest way
    return [*command, "-C", str(folder), *([] if written else ["--host", remote]), "status"]


@app.command("open")
def open_door(
    context: typer.Context,
    door: Annotated[str, typer.Argument(help="web, vnc, ssh or dev.", autocompletion=complete_door)] = "web",
    only_print: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
) -> None:
    """Open the desktop in the browser or in a VNC viewer.

    `ssh` prints the command that logs in, `dev` is your dev server.
    """
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
    door: Annotated[
        str, typer.Argument(help="vnc, web where it is exposed, or backup.", autocompletion=complete_password)
    ] = "vnc",
    new: Annotated[bool, typer.Option("--new", help="Make a new one; those of vnc that are logged in stay.")] = False,
    given: Annotated[
        bool, typer.Option("--set", help="Of backup: take the one on standard input, as another machine printed it.")
    ] = False,
) -> None:
    """Print the VNC password of this workstation, that of its web desktop, or that of its backups.

    A running desktop takes a new one over; a new one of web ends its sessions.
    """
    if door not in ("vnc", "web", "backup"):
        raise ConfigError(f"{door} has no password", hint="vnc, backups and an exposed web desktop have one")
    if new and door == "backup":
        raise ConfigError("backups keep their password", hint="a new one opens no backup that is there already")
    if given and door != "backup":
        raise ConfigError(f"--set is for backup, not for {door}", hint="--new makes a new one")
    if door == "backup":
        _password_of_backups(context, given=given)
        return
    from builder.tasks.access import find_password, renew_password, renew_web_password

    with session(context) as ours:
        settings = load_config(ours)
        if new:
            secret = (renew_web_password if door == "web" else renew_password)(ours, settings.name)
        else:
            secret = find_password(keys_of(ours, settings), door)
    say(secret.reveal())


def _password_of_backups(context: typer.Context, *, given: bool) -> None:
    from builder.tasks.backup import find_backup_password, set_backup_password

    with session(context) as ours:
        project = load_config(ours).name
        if given:
            set_backup_password(ours, project, sys.stdin.readline().rstrip("\n"))
            say(f"the password of the backups of {project} is kept; `devbox backups` lists what it opens")
            return
        secret = find_backup_password(ours, project)
    typer.echo(secret.reveal())
    typer.echo("keep a copy of it elsewhere: without it no backup can be read", err=True)
