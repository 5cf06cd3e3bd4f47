"""testinfra over the engine's exec API: a `Host` whose commands run inside a container, with no docker client.

Owns the backend only. What is checked is the suite's business; the engine may be local or remote, it is the same call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

if TYPE_CHECKING:
    from builder.adapters.errands import Commands

SILENCE_S: Final = 20.0  # a command that says nothing for so long has hung


class ExecBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """Runs each command line by `/bin/sh -c` as one user of one container."""

    NAME = "devbox"

    def __init__(self, commands: Commands, container: str, user: str, environment: Mapping[str, str]) -> None:
        super().__init__(container)
        self._commands = commands
        self._user = user
        self._environment = environment
        # testinfra would start Python twice inside to find out; the image is UTF-8 throughout.
        self._encoding = "utf-8"

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        line = self.get_command(command, *args)
        done = self._commands.run(
            self.hostname, ["/bin/sh", "-c", line], user=self._user, env=self._environment, timeout_s=SILENCE_S
        )
        return self.result(done.code, line.encode(), done.stdout, done.stderr)

    def decode(self, data: bytes) -> str:
        """Never fails: a check wants to show what came, whatever it was."""
        return data.decode("utf-8", "replace")


def open_host(commands: Commands, container: str, user: str = "root") -> Host:
    """A testinfra host; a user other than root gets what a login sets and the engine does not."""
    login = {} if user == "root" else login_environment(user)
    return Host(ExecBackend(commands, container, user, login))  # type: ignore[no-untyped-call,unused-ignore]


def login_environment(user: str) -> dict[str, str]:
    return {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user, "SHELL": "/bin/zsh"}
