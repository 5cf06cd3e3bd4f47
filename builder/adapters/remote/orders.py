"""Commands for root on another machine, over one SSH connection: what it has, and what it is told to do.

A password for sudo goes over its input and nowhere else: no command line, no log, no file. What is run is decided by
`core.host_setup`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import paramiko

from builder.adapters.remote.link import Link, look
from builder.adapters.remote.steps import Ask, Question, SubStep, within
from builder.core.host_setup import Findings, Order, Root, find_listener, parse_findings
from builder.errors import HostError

TRIES: Final = 3
TRY: Final = Order(argv=("true",), why="see whether sudo takes the password", deadline_s=30)  # PAM lets one wait
LOG: Final = Order(
    argv=("sh", "-c", "tail -n 20 /var/log/docker.log 2>/dev/null || journalctl --unit docker --lines 20 --no-pager"),
    why="see why the engine does not start",
    deadline_s=15,
)
# Both behind the look of `link`, whose `say` they use, and its `found`, the socket of an engine.
LISTENING: Final = r"""
say listening "$(awk '$4 == "00010000" && $8 ~ /^\// {printf "%s ", $8}' /proc/net/unix)"
"""
SURVEY: Final = r"""
PATH=$PATH:/usr/sbin:/sbin:/snap/bin
say uid "$(id -u)"; say groups "$(id -Gn)"; say member "$(id -Gn "$(id -un)")"
say id "$ID"; say version "$VERSION_ID"
say halfway "$([ -z "$(dpkg --audit 2>/dev/null; ls /var/lib/dpkg/updates 2>/dev/null)" ] || echo yes)"
say engine "$(command -v dockerd)"; say group "$([ -z "$found" ] || stat -c %G "$found")"
say systemd "$([ ! -d /run/systemd/system ] || echo yes)"; say script "$([ ! -x /etc/init.d/docker ] || echo yes)"
if ! command -v sudo >/dev/null; then say sudo NEVER
elif sudo -n true </dev/null 2>/dev/null; then say sudo FREELY; else say sudo ASKED; fi
"""
# sudo leaves the line on the input to the command where, against what it said, it needs no password.
CLOSED: Final = ("sh", "-c", 'exec "$@" </dev/null', "sh")


@dataclass(slots=True)
class Ordered:
    """A machine that takes orders. The password is what a person typed for this one verb."""

    link: Link
    root: Root = Root.NEVER
    _password: str = field(default="", repr=False)

    @property
    def where(self) -> str:
        return self.link.target.where

    def survey(self) -> Findings:
        """Raises StepError where nothing can be run."""
        facts = look(self.link, _unheard, LISTENING + SURVEY)
        found = parse_findings(self.where, {"usable": "", **facts})
        self.root = found.root
        return found

    def listens(self) -> bool:
        """An engine, on its socket: as the survey finds it, without its try of sudo, which a log there holds."""
        return find_listener(look(self.link, _unheard, LISTENING))

    def unlock(self, ask: Ask) -> None:
        """Ask for the password of sudo, if it wants one. Raises HostError where it is not given, or is of no use."""
        if self.root is not Root.ASKED:
            return
        said: list[str] = []
        for _ in range(TRIES):
            answer = ask(Question(text=f"password of {self.where} for sudo: ", secret=True))
            if not answer:
                hint = "run this in a terminal; or log in as root, or as one whose sudo asks for none"
                raise HostError("sudo asks for a password there, and got none", where=self.where, hint=hint)
            self._password, said = answer, []
            if self.run(TRY, said.append) == 0:
                return
        hint = "log in as root (ssh://root@...), or ask who runs that machine to let you use sudo"
        raise HostError("sudo lets nothing be done there", where=self.where, detail="\n".join(said), hint=hint)

    def tell_log(self) -> str:
        """The last lines of the engine's log, for who has to know why it does not start."""
        lines: list[str] = []
        try:
            self.run(LOG, lines.append)
        except HostError as error:
            lines.append(str(error))
        return "\n".join(lines[-20:])

    def run(self, order: Order, on_line: Callable[[str], None]) -> int:
        """Its exit code. Raises HostError where it does not end in time, or the connection does."""
        match self.root:
            case Root.ITSELF:
                words, given = order.argv, ""
            case Root.ASKED:  # each time anew: there is no terminal for which sudo would remember it
                words = ("sudo", "-k", "-S", "-p", "", "--", *CLOSED, *order.argv)
                given = f"{self._password}\n"
            case _:
                words, given = ("sudo", "-n", "--", *order.argv), ""
        try:
            code = _follow(self.link, shlex.join(words), given, on_line, order.deadline_s)
        except TimeoutError as error:
            raise self._unended(order, f"did not end within {order.deadline_s:g} s") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._unended(order, f"lost its connection ({error})") from error
        if code < 0:  # so paramiko tells that none came
            raise self._unended(order, "lost its connection")
        return code

    def _unended(self, order: Order, what: str) -> HostError:
        hint = "it may still run there: look before you run `devbox host setup` again, which goes on where this ended"
        return HostError(f"`{order.show(self.root)}` {what}", where=self.where, hint=hint)


def _follow(link: Link, command: str, given: str, on_line: Callable[[str], None], timeout_s: float) -> int:
    """A command line for the login shell, with `given` as its input; what it says, line by line, and its exit code.
    Raises TimeoutError, and what paramiko raises."""
    with closing(link.open_session()) as channel:
        channel.set_combine_stderr(True)
        channel.exec_command(command)
        channel.sendall(given.encode())
        channel.shutdown_write()

        def read() -> int:
            with channel.makefile("rb") as output:
                for line in output:
                    on_line(bytes(line).decode(errors="replace").rstrip().rpartition("\r")[2])
            return channel.recv_exit_status()

        return within(timeout_s, read)


def _unheard(done: SubStep) -> None:
    """The steps of a look: who asks for them goes the whole way."""
