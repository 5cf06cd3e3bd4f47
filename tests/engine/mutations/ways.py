"""What a mutation is, and the ways to break a workstation that the table uses. Must not reach an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from builder.core.labels import LABEL_SUBSTITUTIONS
from builder.model import Check, Exposure, PublishedPort, ServiceSpec, Substitution
from builder.suite.session import Wanted
from builder.suite.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One text of one file of the image, another in its place before the workstation starts."""

    file: str  # below images/rootfs
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """Broken by `edits`, `spec` and `layer` before it starts, by `inside` after that, or by a `promise` that it never
    made."""

    id: str
    groups: tuple[str, ...]
    caught: tuple[str, ...]
    because: str = ""  # why more than one check sees it
    edits: tuple[Edit, ...] = ()
    spec: Callable[[ServiceSpec], ServiceSpec] | None = None
    layer: str = ""  # an instruction of a Dockerfile, on top of the image
    inside: str = "true"  # a shell line, as root
    promise: Callable[[Wanted], Wanted] = field(default=lambda wanted: wanted)
    subject: Callable[[Subject, Path], Subject] = field(default=lambda subject, folder: subject)
    hands: tuple[str, ...] = ()  # of the checks that type: these only, a second each
    strict: bool = False

    def __post_init__(self) -> None:
        assert len(self.caught) == 1 or self.because, f"{self.id}: why do several checks see it?"


XVNC: Final = "xvnc-tigervnc/usr/lib/devbox/services/xvnc"
PANEL: Final = "desktop/usr/lib/devbox/services/xfce4-panel"
WM: Final = "desktop/usr/lib/devbox/services/xfwm4"
XFDESKTOP: Final = "desktop/usr/lib/devbox/services/xfdesktop"
SSHD: Final = "sshd/usr/lib/devbox/services/sshd/run"
SSHD_CONFIG: Final = "sshd/etc/devbox/sshd_config"
WEB: Final = "web/usr/lib/devbox/webdoor"
WEB_PAGE: Final = "web/usr/share/devbox/web/index.html"
WEB_SERVICE: Final = "web/usr/lib/devbox/services/web"
PROBE: Final = "init/usr/lib/devbox/readiness.py"

PASSWORD: Final = '"$(cat /run/secrets/vnc-password)"'


# What comes late after the start, such as the theme, is there, too.
ALL_GREEN: Final = "timeout 20 sh -c 'until /usr/lib/devbox/probe check >/dev/null; do sleep 0.1; done'"


def xvnc(options: str) -> tuple[Edit, ...]:
    """The VNC server with other options; of two the last one counts."""
    return (Edit(file=f"{XVNC}/run", old="-noreset", new=f"-noreset {options}"),)


def impatient(service: str, seconds: str) -> Edit:
    """A service that never comes need not be waited for that long."""
    return Edit(file=f"{service}/deadline", old=f"{seconds}\n", new="3\n")


def down(service: str) -> str:
    return f"s6-svc -wd -T 10000 -d /run/service/{service}"


def until_told(words: str) -> str:
    """Once the probe says so. The window manager takes away the frame of a window, and the picture that was in it, some
    time after the window's program has ended."""
    return f"timeout 20 sh -c 'until /usr/lib/devbox/probe check | grep -q \"{words}\"; do sleep 0.05; done'"


def keep_running(program: str, arguments: str = "") -> str:
    """A Python program in the background, once it runs."""
    return f"""
setsid python3 -c '{program}
open("/tmp/broken", "w")
import time; time.sleep(600)' {arguments} >/dev/null 2>&1 &
timeout 20 sh -c 'until [ -e /tmp/broken ]; do sleep 0.05; done'
"""


# A window over everything, with the probe's own words of X11: CreateWindow (override-redirect, black), MapWindow.
BLACK_WINDOW: Final = """
import struct
space = {"__name__": "probe"}
exec(open("/usr/lib/devbox/readiness.py").read(), space)
read = []
class Display(space["Display"]):
    def _read(self, size):
        read.append(super()._read(size))
        return read[-1]
display = Display(":1")
(window,) = struct.unpack_from("<I", read[1], 4)
place = (0, 0, display.width, display.height)
display.socket.sendall(struct.pack("<BBHIIhhHHHHIIII", 1, 0, 10, window, display.root, *place, 0, 1, 0, 0x202, 0, 1))
display.socket.sendall(struct.pack("<BBHI", 8, 0, 2, window))
display.atom("DONE")
"""

LISTEN: Final = """
import socket
server = socket.create_server(("", 9999))
"""


def environment(**changed: str) -> Callable[[ServiceSpec], ServiceSpec]:
    return lambda spec: replace(spec, environment={**spec.environment, **changed})


def leak_into_environment(spec: ServiceSpec) -> ServiceSpec:
    return environment(VNC_PASSWORD=_password(spec.secrets_dir))(spec)


def leak_into_label(spec: ServiceSpec) -> ServiceSpec:
    return replace(spec, labels={**spec.labels, "vnc": _password(spec.secrets_dir)})


def leak_into_rendered_file(subject: Subject, folder: Path) -> Subject:
    (folder / "compose.yaml").write_text(f"environment: {{VNC_PASSWORD: {_password(subject.keys.folder)}}}\n")
    return replace(subject, rendered=folder)


def _password(folder: str) -> str:
    return (Path(folder) / "vnc-password").read_text().strip()


def publish_one_more(spec: ServiceSpec) -> ServiceSpec:
    return replace(spec, ports=(*spec.ports, PublishedPort(name="debug", container=9229, host=0, bind="127.0.0.1")))


def publish_vnc_everywhere(spec: ServiceSpec) -> ServiceSpec:
    everywhere = "0.0.0.0"  # noqa: S104  # that is what is wrong with it
    ports = (replace(port, bind=everywhere if port.name == "vnc" else port.bind) for port in spec.ports)
    return replace(spec, ports=tuple(ports))


def without_projects_volume(spec: ServiceSpec) -> ServiceSpec:
    return replace(spec, volumes=tuple(item for item in spec.volumes if item.key != "projects"))


def untold(spec: ServiceSpec) -> ServiceSpec:
    return replace(spec, labels={**spec.labels, LABEL_SUBSTITUTIONS: "[]"})


def always_healthy(spec: ServiceSpec) -> ServiceSpec:
    return replace(spec, health=replace(spec.health, test=("CMD", "true")))


def exposed(wanted: Wanted) -> Wanted:
    """To this machine alone, as every throw-away is."""
    exposure = Exposure(address="127.0.0.1", name=None, names=(), ssh=False)
    environment = {**wanted.resolved.runtime.environment, "DEVBOX_EXPOSED": "1"}
    runtime = replace(wanted.resolved.runtime, exposure=exposure, environment=environment)
    return replace(wanted, resolved=replace(wanted.resolved, runtime=runtime))


def expects_another_name(subject: Subject, folder: Path) -> Subject:
    runtime = subject.resolved.runtime
    assert runtime.exposure is not None
    runtime = replace(runtime, exposure=replace(runtime.exposure, names=("another.example",)))
    return replace(subject, resolved=replace(subject.resolved, runtime=runtime))


def another_plan(wanted: Wanted) -> Wanted:
    return replace(wanted, plan=replace(wanted.plan, id="0" * 64))


def one_substitution(wanted: Wanted) -> Wanted:
    instead = Substitution(what="fonts", wanted="noto", got="dejavu", reason="not here")
    return replace(wanted, plan=replace(wanted.plan, substitutions=(instead,)))


def without_sudo(wanted: Wanted) -> Wanted:
    tools = tuple(tool for tool in wanted.resolved.tools if tool.name != "sudo")
    return replace(wanted, resolved=replace(wanted.resolved, tools=tools))


def own_check(wanted: Wanted) -> Wanted:
    """`verify.checks` of devbox.yaml."""
    return replace(wanted, own=(("interpreter", Check(run=("python3", "--version"), version="<3")),))


def budget(**limits: float) -> Callable[[Wanted], Wanted]:
    return lambda wanted: replace(wanted, repeat=1, resolved=replace(wanted.resolved, budget=limits))


def profile_budget(name: str) -> Callable[[Wanted], Wanted]:
    """Of the profile's own budgets, this one only."""
    return lambda wanted: budget(**{name: wanted.resolved.budget[name]})(wanted)


def only_service(name: str) -> Callable[[Wanted], Wanted]:
    """Promise no other service: the group `health` kills them one by one, seconds each."""

    def change(wanted: Wanted) -> Wanted:
        tools = tuple(
            replace(tool, checks=tuple(check for check in tool.checks if check.service == name))
            for tool in wanted.resolved.tools
        )
        return replace(wanted, resolved=replace(wanted.resolved, tools=tools))

    return change
