"""Other machines: what stands on the way to one, the tunnels to them, and what runs there."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Final, Optional

import typer

from builder.cli.frame import (
    Json,
    app,
    ask_person,
    environment_of,
    options,
    print_json,
    project_of,
    recorded,
    say,
    session,
)
from builder.errors import ConfigError, HostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.adapters.remote.address import Address
    from builder.adapters.remote.client import TunnelClient
    from builder.adapters.remote.login import Credentials
    from builder.adapters.remote.sshconfig import Target
    from builder.adapters.remote.steps import OnStep, Question, StepError, SubStep
    from builder.tasks.hosts import Machine
    from builder.tasks.interfaces import Engine

LOOK_S: Final = 10.0  # at one machine

host = typer.Typer(help="Look at another machine.", no_args_is_help=True)
tunnel = typer.Typer(help="The connections to other machines that are kept up.", no_args_is_help=True)
app.add_typer(host, name="host")
app.add_typer(tunnel, name="tunnel")

Place = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(metavar="[ADDRESS]", help="ssh://user@host", show_default="the one of --host or devbox.yaml"),
]


def find_address(context: typer.Context, given: str | None) -> Address:
    """The machine that is meant. Raises ConfigError where none is."""
    from builder.adapters.engine.host import find_host
    from builder.adapters.remote.address import parse_address

    if named := given or find_host(environment_of(context)).remote:
        return parse_address(named, where="the address of a machine")
    hint = "`devbox host check ssh://user@host`, or `host:` in devbox.yaml"
    raise ConfigError("no other machine is named", hint=hint)


@host.command("check")
def check(context: typer.Context, address: Place = None, as_json: Json = False) -> None:
    """Go the whole way to the engine of a machine, and tell each step."""
    from builder.adapters.remote.login import Credentials
    from builder.adapters.remote.sshconfig import find_target

    target = find_target(find_address(context, address), os.environ)
    done: list[SubStep] = []
    if not as_json:
        show_way(target, Credentials())
        return
    failed = go_there(target, Credentials(), done.append)
    print_json({"address": str(target.address), "steps": done, "failed": failed.step if failed else None})
    if failed is not None:
        raise failed


def show_way(target: Target, credentials: Credentials) -> None:
    """The whole way, a line for each step. Raises StepError behind the one that failed."""

    def tell(step: SubStep) -> None:
        mark = "!" if step.warning else "✓"
        say(f"{mark} {step.name:<14}  {step.detail}" + (f": {step.warning}" if step.warning else ""))

    if failed := go_there(target, credentials, tell):
        say(f"✗ {failed.step}")
        raise failed


def go_there(target: Target, credentials: Credentials, on_step: OnStep) -> StepError | None:
    """To the first answer of its engine; or where that failed."""
    from builder.adapters.remote.link import open_link
    from builder.adapters.remote.steps import StepError

    try:
        open_link(target, os.environ, ask=ask_login, on_step=on_step, credentials=credentials).close()
    except StepError as error:
        return error
    return None


def ask_login(question: Question) -> str | None:
    return ask_person(question.text, question.secret)


@app.command()
def hosts(context: typer.Context, as_json: Json = False) -> None:
    """List other machines, and the workstations on them.

    Those that a tunnel leads to, and the one of --host or devbox.yaml; those of Docker's contexts by name alone.
    """
    from builder.model import Note
    from builder.tasks.hosts import describe_age

    with recorded(context) as report:
        found = _find_machines(context, lambda text: report(Note(text=text, level="warning")))
    if as_json:
        print_json(found)
        return
    if not found:
        say("no tunnel leads to another machine; `devbox up --host ssh://user@host` makes one")
    for machine in found:
        say(machine.address)
        for line in machine.trouble.splitlines():
            say(f"  {line}")
        for row in machine.workstations:
            ports = " ".join(map(str, row.ports))
            say(f"  {row.name:<20}  {row.state:<9}  {describe_age(row.age_s):>8}  {ports:<24}  {row.workspace}")


def _find_machines(context: typer.Context, warn: Callable[[str], None]) -> list[Machine]:
    """The one of this folder first: its login may have questions. The others are looked at all at once."""
    from concurrent.futures import ThreadPoolExecutor

    from builder.adapters.engine.host import find_elsewhere, find_host
    from builder.adapters.remote.client import Talk, find_tunnels
    from builder.tasks.hosts import Machine, look_at
    from builder.wiring import connect

    tunnels = {str(item.address): item for item in find_tunnels(os.environ)}
    found: list[Machine] = []
    if (named := find_host(environment_of(context)).remote) and named not in tunnels:
        environment = {**os.environ, "DOCKER_HOST": named}
        talk = Talk(tell=warn, ask=ask_person)
        found.append(look_at(named, lambda: connect(environment, talk), datetime.now(timezone.utc)))
    if tunnels:
        with ThreadPoolExecutor(len(tunnels)) as pool:
            found += pool.map(_look_through, tunnels.values())
    for address in find_elsewhere(os.environ, skipped=warn):
        if address != named and address not in tunnels:
            found.append(
                Machine(address=address, trouble=f"no tunnel leads there; `devbox list --host {address}` makes one")
            )
    return found


def _look_through(tunnel: TunnelClient) -> Machine:
    """The tunnel itself waits for a machine that is away, longer than a list may take."""
    from builder.adapters.remote.client import Talk
    from builder.adapters.remote.steps import within
    from builder.tasks.hosts import Machine, look_at
    from builder.wiring import connect, nobody

    address = str(tunnel.address)

    def open_engine() -> Engine:
        told = tunnel.ask("status")
        if told["state"] != "connected":
            hint = "the tunnel tries again; `devbox tunnel stop` ends that"
            raise HostError(f"not connected: {told['trouble']}", hint=hint)
        return connect({**os.environ, "DOCKER_HOST": address}, Talk(tell=lambda _: None, ask=nobody))

    try:
        return within(LOOK_S, lambda: look_at(address, open_engine, datetime.now(timezone.utc)))
    except TimeoutError as error:
        return Machine(address=address, trouble=str(error))


@app.command()
def forward(
    context: typer.Context,
    port: Annotated[int, typer.Argument(min=1, max=65535, help="Inside the workstation.")],
    here: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--as", min=1024, max=65535, help="Port of this machine.", show_default="the same, or the next free one"
        ),
    ] = None,
) -> None:
    """Let a port of this machine lead to one of a workstation elsewhere that is not published."""
    from builder.tasks.lifecycle import find_running

    with session(context) as ours:
        container = find_running(ours, project_of(ours))
        address, found = ours.engine().forward(container.name, port, here or max(port, 1024))
    say(f"{address}:{found}")


@tunnel.command("status")
def tunnel_status(context: typer.Context, as_json: Json = False) -> None:
    """Show the tunnels that run: where to, since when, which ports."""
    from builder.adapters.remote.client import find_tunnels
    from builder.tasks.hosts import describe_age

    found = [item.ask("status") for item in find_tunnels(os.environ)]
    if as_json:
        print_json(found)
        return
    if not found:
        say("no tunnel runs; a verb with --host, or `host:` in devbox.yaml, starts one")
    for told in found:
        lost = f", broken {told['lost']} times" if told["lost"] else ""
        since = describe_age(time.time() - told["since"])
        say(f"{told['address']}  {told['state']}  {since}{lost}  {told['server']}".rstrip())
        if told["trouble"]:
            say(f"  {told['trouble']}")
        for port in told["ports"]:
            here, there = (f"{port[key]}:{port[at]}" for key, at in (("address", "here"), ("host", "there")))
            say(f"  {here}{'' if here == there else f' -> {there}'}  {port['open']} open")


@tunnel.command("stop")
def tunnel_stop(
    context: typer.Context,
    address: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[ADDRESS]", help="ssh://user@host", show_default="that of --host, else all of them"),
    ] = None,
) -> None:
    """End the tunnel to a machine, or all of them; what runs there runs on."""
    from builder.adapters.remote.client import find_tunnels, stop_tunnel

    wanted = str(find_address(context, address)) if address or options(context).host else None
    found = [item for item in find_tunnels(os.environ) if wanted in (None, str(item.address))]
    for item in found:
        stop_tunnel(item)
        say(f"the tunnel to {item.address} ended")
    if not found:
        say(f"no tunnel {f'to {wanted} ' if wanted else ''}runs: nothing to do")
