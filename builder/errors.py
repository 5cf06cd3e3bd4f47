"""The one exception tree of devbox, and the exit code of each family.

    DevboxError                  1   anything foreseeable that has no family of its own
    ├── ConfigError              2   devbox.yaml, the command line, or a catalogue file is wrong
    ├── LockError                3   what was resolved before does not fit any more
    ├── RenderError              4   a template or a rendered file is wrong (our mistake)
    ├── EngineError              5   the engine is missing, unreachable, or refused
    │   ├── BuildError           5   a build step failed
    │   ├── LostEngineError      5   the connection to the engine broke in the middle of something
    │   ├── SilentEngineError    5   the engine was asked for something, and says nothing
    │   ├── CommandError       127   a command inside could not be started: the code that a shell has for that
    │   └── PortTakenError       5   a port of this machine was taken while a container was started
    ├── NotReadyError            6   the workstation runs but cannot be used
    ├── VerifyError              7   a check of `devbox verify` failed
    ├── HostError                8   this machine: disk, ports, files, a missing program, the network
    ├── BackupError              9   a backup cannot be made, is not whole, or cannot be brought back
    └── Interrupted            130   Ctrl-C or SIGTERM

Every error says what happened, where, and (`hint`) what to do next. Only `cli` turns one into an exit code;
nobody else catches the base class. Credentials in what an error says are taken out when it is made. This module imports
nothing of ours but that.
"""

from __future__ import annotations

from typing import ClassVar

from builder.redaction import redact


class DevboxError(Exception):
    """A foreseeable failure: `message` says what happened, `where` the file or thing, `hint` the next step.

    `detail` is longer evidence (an excerpt, the tail of a log) that is printed below the message as it is.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(redact(message))
        self.message = redact(message)
        self.where = _clean(where)
        self.hint = _clean(hint)
        self.detail = _clean(detail)

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        parts = [head]
        if self.detail:
            parts.append(self.detail.rstrip("\n"))
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


def _clean(text: str | None) -> str | None:
    return None if text is None else redact(text)


class ConfigError(DevboxError):
    """What a person wrote is wrong: devbox.yaml, an option, or a catalogue file."""

    exit_code = 2


class LockError(DevboxError):
    """What was resolved and written down before cannot be used now."""

    exit_code = 3


class RenderError(DevboxError):
    """A template could not be rendered, or rendered something that is not well formed."""

    exit_code = 4


class EngineError(DevboxError):
    """The container engine is missing, unreachable, too old, or refused a request."""

    exit_code = 5


class BuildError(EngineError):
    """A step of an image build failed."""


class LostEngineError(EngineError):
    """The connection to the engine broke while it was asked for something."""


class SilentEngineError(EngineError):
    """The connection to the engine is there, and nothing came over it in the time that there was."""


class CommandError(EngineError):
    """A command that somebody asked for cannot be started inside."""

    exit_code = 127


class PortTakenError(EngineError):
    """Somebody took a port between our choice of it and the start of the container."""


class NotReadyError(DevboxError):
    """The workstation was started but a person cannot use it (yet)."""

    exit_code = 6


class VerifyError(DevboxError):
    """A workstation does not keep what it promises."""

    exit_code = 7


class HostError(DevboxError):
    """Something of this machine stands in the way: a file, the disk, a port, the network, a program."""

    exit_code = 8


class BackupError(DevboxError):
    """A backup could not be made or read, is not whole, or what came back is not what was backed up."""

    exit_code = 9


class Interrupted(DevboxError):
    """A person or the system asked us to stop."""

    exit_code = 130
