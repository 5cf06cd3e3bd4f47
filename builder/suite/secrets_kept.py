"""The secret of the group `doors`: the VNC password is in one file, and nowhere that others can read.

What might hold it is read out of the container and searched here: the password itself never travels in a command.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builder.suite.cases import case
from builder.suite.results import CheckFailure
from builder.suite.subject import exec_hint

if TYPE_CHECKING:
    from builder.suite.subject import Subject

READ_ALL = "cat /proc/[0-9]*/{} 2>/dev/null; true"


def _refuse(subject: Subject, where: str, data: bytes, look: str) -> None:
    for door, secret in (("VNC", subject.keys.password), ("web", subject.keys.web_password)):
        if secret is not None and secret.reveal().encode() in data:
            raise CheckFailure(f"no password in {where}", f"the {door} password is there", look)


@case("doors.password-not-in-environment", "the VNC password is in no environment", door="vnc")
def environment(subject: Subject) -> None:
    """Each user reads its own processes': root inside may not read the user's, it lacks the capability."""
    data = "\0".join(subject.inspect()["Config"]["Env"] or ()).encode()
    for root in (True, False):
        data += subject.run("sh", "-c", READ_ALL.format("environ"), root=root).stdout
    _refuse(subject, "the environment", data, exec_hint("env"))


@case("doors.password-not-in-arguments", "the VNC password is in no command line", door="vnc")
def arguments(subject: Subject) -> None:
    data = subject.run("sh", "-c", READ_ALL.format("cmdline"), root=True).stdout
    _refuse(subject, "a command line", data, exec_hint("ps", "-ef"))


@case("doors.password-not-in-inspect", "the VNC password is not in what the engine tells of the container", door="vnc")
def inspect(subject: Subject) -> None:
    """Labels, arguments, mounts, health log. Its environment is a check of its own."""
    told = json.loads(json.dumps(subject.inspect()))
    told["Config"]["Env"] = []
    image = subject.engine.find_image(subject.container.image_id)
    labels = json.dumps(dict(image.labels) if image else {})
    _refuse(subject, "the container's description", json.dumps(told).encode() + labels.encode(), "docker inspect")


@case("doors.password-not-in-logs", "the VNC password is in no log", door="vnc")
def logs(subject: Subject) -> None:
    data = b"\n".join(subject.engine.logs(subject.container.id, follow=False, tail=20_000))
    data += subject.run("sh", "-c", "cat /run/devbox/log/*/current 2>/dev/null; true", root=True).stdout
    _refuse(subject, "the logs", data, "devbox logs")


@case("doors.password-not-in-rendered-files", "the VNC password is in no rendered file", door="vnc")
def rendered(subject: Subject) -> None:
    folder = subject.rendered
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    for path in files:
        _refuse(subject, str(path), path.read_bytes(), str(path))


@case("doors.password-file-private", "only the user and root can read the password inside", door="vnc")
def private(subject: Subject) -> None:
    paths = '/run/secrets/vnc-password "$XDG_RUNTIME_DIR/vnc-passwd"'
    if subject.resolved.runtime.exposure is not None:
        paths += ' /run/secrets/tls.pem /run/secrets/web-password.sha256 "$XDG_RUNTIME_DIR"/web/*'
    script = f'stat -c "%a %n" {paths}'
    for line in subject.output("sh", "-c", script, root=True).splitlines():
        mode, _, path = line.partition(" ")
        if int(mode, 8) & 0o077:
            raise CheckFailure(f"{path} with mode 600", mode, exec_hint("sudo", "ls", "-l", path))


CASES = (environment, arguments, inspect, logs, rendered, private)
