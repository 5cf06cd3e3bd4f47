"""One SSH connection to a machine with an engine, from the look-up of its name to the first answer of the engine.

Owns the channels over the transport. All that is asked of the machine itself is one small script; nothing is
installed there. Source: RFC 4254 (channels).
"""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

import paramiko

from builder.adapters.clock import wait_for
from builder.adapters.remote.login import Credentials, check_host_key, log_in, prefer_known
from builder.adapters.remote.sshconfig import Target, find_jumps
from builder.adapters.remote.steps import DEADLINES, Ask, OnStep, StepError, SubStep, step, within
from builder.adapters.remote.transport import Transport
from builder.errors import NotReadyError

FORBIDDEN: Final = 1  # RFC 4254, 5.1: administratively prohibited
OPEN_S: Final = 10.0
UNSENT: Final = 1 << 17  # bytes that the kernel keeps beyond those on their way: behind them a key waits
END_S: Final = 1.0
LOW_DISK_KB: Final = 5 << 20
ARCHITECTURES: Final = ("x86_64", "aarch64", "arm64", "amd64")
DIAL: Final = "docker system dial-stdio"
# Its lines are marked, for a login shell may print what it likes before.
LOOK: Final = r"""
say() { printf 'devbox:%s=%s\n' "$1" "$2"; }
say user "$(id -un)"; say system "$(uname -s)"; say arch "$(uname -m)"
[ ! -r /etc/os-release ] || . /etc/os-release; say name "$PRETTY_NAME"; say like "$ID $ID_LIKE"
case "$DOCKER_HOST" in unix://*) named=${DOCKER_HOST#unix://};; *) named=;; esac
found=
for path in "$named" /var/run/docker.sock "$XDG_RUNTIME_DIR/docker.sock" "/run/user/$(id -u)/docker.sock"; do
    [ -S "$path" ] || continue
    [ -n "$found" ] || found=$path
    if [ -r "$path" ] && [ -w "$path" ]; then found=$path; say usable yes; break; fi
done
say socket "$found"; say owner "$([ -z "$found" ] || ls -ldn "$found" | awk '{print $3, $4}')"
say client "$(command -v docker)"
root=$(sed -n 's/.*"data-root" *: *"\([^"]*\)".*/\1/p' /etc/docker/daemon.json 2>/dev/null)
for path in "$root" /var/lib/docker "$HOME/.local/share/docker" "$HOME" /; do
    [ -d "$path" ] && { say disk "$(df -Pk "$path" | awk 'NR==2 {print $4}')"; say folder "$path"; break; }
done
"""
END: Final = "say end yes\n"


class Program(socket.socket):
    """What a ProxyCommand reads and writes, by a shell, as OpenSSH has it. paramiko's own waits in a busy loop for one
    that has ended, and knows no shell. What the program says to a person goes where our own words go."""

    def __init__(self, command: str) -> None:
        near, far = socket.socketpair()
        with far:
            self._process = subprocess.Popen(["sh", "-c", f"exec {command}"], stdin=far.fileno(), stdout=far.fileno())  # noqa: S607
        super().__init__(fileno=near.detach())

    def close(self) -> None:
        super().close()
        self._process.terminate()  # not all of them end with their input
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)


@dataclass(slots=True)
class Link:
    """A connection that is logged in. Its channels are opened from any thread."""

    target: Target
    transport: Transport
    hops: tuple[Transport, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    dials: bool = False  # through the machine's own docker client, where sockets may not be forwarded

    @property
    def server(self) -> str:
        return self.transport.remote_version.removeprefix("SSH-2.0-")

    def open_engine(self) -> paramiko.Channel:
        """A new connection to the engine. Raises paramiko.SSHException or OSError when it cannot be made."""
        if self.dials:
            channel = self.open_session()
            channel.exec_command(DIAL)
            return channel
        return self.transport.open_streamlocal(self.facts["socket"], OPEN_S)

    def open_port(self, host: str, port: int) -> paramiko.Channel:
        return self.transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=OPEN_S)

    def open_session(self) -> paramiko.Channel:
        """A session, of which a server allows only so many (MaxSessions): where they are used up, one is waited for.
        Others of ours may hold them, or the server may not have noticed yet that one has ended."""
        refusal: list[paramiko.ChannelException] = []

        def look() -> paramiko.Channel | None:
            try:
                return self.transport.open_session(timeout=OPEN_S)
            except paramiko.ChannelException as error:
                refusal.append(error)
                return None

        try:
            return wait_for("a session", look, deadline_s=OPEN_S, interval_s=0.1)
        except NotReadyError:
            raise refusal[-1] from None

    def run(self, script: str, timeout_s: float) -> tuple[int, str, str]:
        """A script for `sh`, whatever the login shell is: exit code, output, errors."""
        with closing(self.open_session()) as channel:
            channel.settimeout(timeout_s)
            channel.exec_command("sh")
            channel.sendall(script.encode())
            channel.shutdown_write()
            with channel.makefile("rb") as output, channel.makefile_stderr("rb") as errors:
                told = bytes(output.read()), bytes(errors.read())
            code = within(timeout_s, channel.recv_exit_status)
        return code, told[0].decode(errors="replace"), told[1].decode(errors="replace")

    def is_alive(self, timeout_s: float) -> bool:
        """Ask the other side; no answer in time means that nobody is there any more."""
        try:
            within(timeout_s, lambda: self.transport.global_request("keepalive@openssh.com", wait=True))
        except (TimeoutError, paramiko.SSHException, OSError, EOFError):
            return False
        return self.transport.is_active()

    def close(self) -> None:
        for transport in (self.transport, *reversed(self.hops)):
            transport.close()


# --------------------------------------------------------------------------------------------------- connecting


def open_link(
    target: Target, environment: Mapping[str, str], *, ask: Ask, on_step: OnStep, credentials: Credentials
) -> Link:
    """Connect, log in, and see that the engine answers. Raises StepError, which names the sub-step."""
    link = open_login(target, environment, ask=ask, on_step=on_step, credentials=credentials)
    try:
        link.facts = look(link, on_step)
        _find_way(link, on_step)
        _reach_engine(link, on_step)
    except BaseException:
        link.close()
        raise
    return link


def open_login(
    target: Target, environment: Mapping[str, str], *, ask: Ask, on_step: OnStep, credentials: Credentials
) -> Link:
    """Connect and log in; whether there is an engine is not asked. Raises StepError."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what it would log is told as an error
    hops: list[Transport] = []
    try:
        for jump in find_jumps(target, environment):
            hops.append(_open_transport(jump, _named(on_step, f"{jump.host}: "), ask, credentials, hops))
        transport = _open_transport(target, on_step, ask, credentials, hops)
    except BaseException:
        for hop in reversed(hops):
            hop.close()
        raise
    return Link(target=target, transport=transport, hops=tuple(hops))


def _named(on_step: OnStep, prefix: str) -> OnStep:
    return lambda done: on_step(
        SubStep(name=prefix + done.name, detail=done.detail, seconds=done.seconds, warning=done.warning)
    )


def _open_transport(
    target: Target, on_step: OnStep, ask: Ask, credentials: Credentials, hops: list[Transport]
) -> Transport:
    wire = _open_wire(target, on_step, hops)
    transport = Transport(wire)
    try:
        with step("host key", on_step) as note:
            transport.banner_timeout = transport.handshake_timeout = DEADLINES["host key"]
            known = prefer_known(transport, target)
            try:
                transport.start_client(timeout=DEADLINES["host key"])
                transport.get_remote_server_key()  # raises where the time was up: that returns all the same
            except (paramiko.SSHException, OSError, EOFError) as error:
                message = f"no SSH server answers ({error or type(error).__name__})"
                hint = "is that the port of its SSH server? `MaxStartups` there may be used up, too"
                raise StepError("host key", message, where=target.where, hint=hint, lasting=False) from error
            note.detail = check_host_key(transport, target, known, ask)
        with step("login", on_step) as note:
            try:
                note.detail = log_in(transport, target, credentials, ask)
            except (paramiko.SSHException, OSError, EOFError) as error:
                message = f"the connection ended on the way in ({error or type(error).__name__})"
                hint = "the log of its SSH server says why: it may ask for more than devbox can answer"
                raise StepError("login", message, where=target.where, hint=hint, lasting=False) from error
    except BaseException:
        transport.close()
        raise
    return transport


def _open_wire(target: Target, on_step: OnStep, hops: list[Transport]) -> socket.socket | paramiko.Channel:
    """What the connection runs over: TCP, a channel of the machine before, or a program of ~/.ssh/config."""
    if hops:
        with step("connect", on_step) as note:
            try:
                note.detail = f"through {(hops[-1].getpeername() or ('a ProxyCommand',))[0]}"
                return hops[-1].open_channel(
                    "direct-tcpip", (target.host, target.port), ("127.0.0.1", 0), timeout=DEADLINES["connect"]
                )
            except (paramiko.SSHException, OSError) as error:
                raise _no_way(target, f"the jump host cannot get there ({error})") from error
    if target.command:
        with step("connect", on_step) as note:
            note.detail = "by ProxyCommand"
            return Program(target.command)
    with step("resolve", on_step) as note:
        places = _resolve(target)
        note.detail = ", ".join(dict.fromkeys(str(place[4][0]) for place in places))
    with step("connect", on_step) as note:
        for family, kind, protocol, _, place in places:
            wire = socket.socket(family, kind, protocol)
            wire.settimeout(min(target.connect_s, DEADLINES["connect"]))
            try:
                wire.connect(place)
            except OSError as error:
                wire.close()
                reason = error.strerror or str(error)
                continue
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
            note.detail = f"{place[0]} port {target.port}"
            return wire
        raise _no_way(target, reason)


def _resolve(target: Target) -> list[Any]:
    """What getaddrinfo(3) finds, which is what a socket and its `connect` take."""
    try:
        return within(
            DEADLINES["resolve"], lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise StepError(
            "resolve",
            f"the name {target.host} leads nowhere ({reason})",
            where=target.where,
            hint="look at the name, or at `HostName` in ~/.ssh/config",
            lasting=False,
        ) from error


def _no_way(target: Target, reason: str) -> StepError:
    hint = "is the machine on, is its SSH server on that port, and does a firewall let you through?"
    return StepError("connect", reason, where=target.where, hint=hint, lasting=False)


# ------------------------------------------------------------------------------------------------ what is there


def look(link: Link, on_step: OnStep, more: str = "") -> Mapping[str, str]:
    """What the machine says of itself; `more` is a script that says more, behind ours. Raises StepError."""
    where = link.target.where
    with step("shell", on_step) as note:
        try:
            code, output, errors = link.run(f"{LOOK}{more}{END}", DEADLINES["shell"])
        except (paramiko.SSHException, OSError, EOFError) as error:
            hint = "this account needs a shell that runs commands; `MaxSessions 0` and `ForceCommand` forbid it"
            raise StepError("shell", f"no command can be run ({error})", where=where, hint=hint) from error
        marked = (line.removeprefix("devbox:").partition("=") for line in output.splitlines() if line[:7] == "devbox:")
        facts = {name: value for name, _, value in marked}
        if "end" not in facts:
            hint = "this account needs a shell that runs commands: `ForceCommand` or nologin may be in the way"
            said = (errors or output).strip()[-500:]
            raise StepError("shell", f"it ended with {code} before its end", where=where, hint=hint, detail=said)
        note.detail = f"{facts['user']} on {facts['name'] or facts['system']}"
    return facts


def _find_way(link: Link, on_step: OnStep) -> None:
    """Tell the steps that are told by a look."""
    facts, where = link.facts, link.target.where
    with step("engine socket", on_step) as note:
        if not facts["socket"]:
            hint = f"`devbox host setup {link.target.address}` installs one on Debian and Ubuntu"
            raise StepError("engine socket", "there is no engine's socket", where=where, hint=hint, lasting=False)
        note.detail = facts["socket"]
    with step("permission", on_step) as note:
        if facts.get("usable") != "yes":
            raise StepError(
                "permission",
                f"{facts['user']} may not use {facts['socket']}",
                where=where,
                hint=f"`devbox host setup {link.target.address}`: it runs `usermod -aG docker {facts['user']}` there",
            )
        note.detail = f"owner and group {facts['owner']}"
    with step("disk", on_step) as note:
        free = int(facts.get("disk") or 0)
        note.detail = f"{free / (1 << 20):.1f} GB free in {facts.get('folder', '/')}"
        if free < LOW_DISK_KB:
            note.warning = "an image of the desktop takes about 2 GB, and its build as much again"
    with step("architecture", on_step) as note:
        note.detail = f"{facts['system']} {facts['arch']}"
        if facts["system"] != "Linux" or facts["arch"] not in ARCHITECTURES:
            note.warning = "workstations are made for Linux on x86_64 and arm64"


def _reach_engine(link: Link, on_step: OnStep) -> None:
    with step("engine", on_step) as note:
        try:
            _ping(link)
        except paramiko.ChannelException:  # OpenSSH gives one reason for a forbidden socket and for a dead one
            link.dials = True
            note.warning = "sockets may not be forwarded there: through its docker client, which takes sessions"
            _ping_by_client(link)
        except (paramiko.SSHException, HTTPException, OSError, EOFError) as error:
            raise _no_engine(link, f"it does not answer ({error})") from error
        note.detail = f"answers, {'by ' + DIAL if link.dials else 'by its socket'}; {link.server}"


def _ping_by_client(link: Link) -> None:
    try:
        if not link.facts["client"]:
            raise FileNotFoundError("there is no docker client")
        _ping(link)
    except (paramiko.SSHException, HTTPException, OSError, EOFError) as error:
        raise StepError(
            "engine",
            f"its socket is not forwarded, or nothing listens there; and `{DIAL}` does not help ({error})",
            where=link.target.where,
            hint="it takes `AllowStreamLocalForwarding yes` in its sshd_config, or a docker client for this user; "
            "`systemctl status docker` there says whether it runs",
            lasting=False,
        ) from error


def _ping(link: Link) -> None:
    with closing(link.open_engine()) as channel:
        channel.settimeout(DEADLINES["engine"])
        channel.sendall(b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
        answer = HTTPResponse(channel)  # type: ignore[arg-type]  # it only takes makefile of it
        answer.begin()
        if answer.status != 200:
            raise HTTPException(f"status {answer.status}")


def _no_engine(link: Link, message: str) -> StepError:
    hint = "`systemctl status docker` on that machine says more"
    return StepError("engine", message, where=link.target.where, hint=hint, lasting=False)
