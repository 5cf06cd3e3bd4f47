"""`devbox host setup`: an engine for a machine that has none."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.frame import Yes, recorded, say
from builder.cli.remote import Place, ask_login, find_address, host, show_way
from builder.errors import ConfigError

if TYPE_CHECKING:
    from builder.adapters.remote.login import Credentials
    from builder.adapters.remote.sshconfig import Target
    from builder.console import Reporter


@host.command("setup")
def setup(
    context: typer.Context,
    address: Place = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be run there.")] = False,
) -> None:
    """Install the engine on a Debian or Ubuntu machine, start it, and let you use it.

    Looks first, and shows each command before one question. What is there is left as it is.
    """
    from builder.adapters.remote.login import Credentials
    from builder.adapters.remote.sshconfig import find_target

    target, credentials = find_target(find_address(context, address), os.environ), Credentials()
    with recorded(context) as report:
        if _set_up(target, credentials, report, yes=yes, dry_run=dry_run):
            show_way(target, credentials)  # by a new login: a group counts from the next one on


def _set_up(target: Target, credentials: Credentials, report: Reporter, *, yes: bool, dry_run: bool) -> bool:
    """Whether that machine should have all now."""
    from builder.adapters.remote.link import open_login
    from builder.adapters.remote.orders import Ordered
    from builder.core.host_setup import make_orders
    from builder.tasks.host_setup import carry_out, describe_orders
    from builder.wiring import RealClock

    link = open_login(target, os.environ, ask=ask_login, on_step=lambda _: None, credentials=credentials)
    with closing(link):
        machine = Ordered(link=link)
        found = machine.survey()
        orders = make_orders(found)
        for line in describe_orders(found, orders):
            say(line)
        if not orders:
            say("nothing to do")
            return True
        if dry_run or not (yes or _agree(len(orders))):
            say("nothing was done")
            return False
        machine.unlock(ask_login)
        carry_out(machine, orders, report, RealClock())
    _stop_tunnel(str(target.address))
    return True


def _agree(count: int) -> bool:
    """Raises ConfigError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ConfigError("nobody can be asked here", hint="--yes runs these commands, --dry-run only shows them")
    return typer.confirm(f"run {'this' if count == 1 else f'these {count}'} there?", default=False, err=True)


def _stop_tunnel(address: str) -> None:
    """Its login is of before, and a group counts from the next one on."""
    from builder.adapters.remote.client import find_tunnels, stop_tunnel

    for item in find_tunnels(os.environ):
        if str(item.address) == address:
            stop_tunnel(item)
