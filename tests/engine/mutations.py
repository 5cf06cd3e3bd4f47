"""The table of mutations: each is a workstation broken on purpose, and the checks that must see it: these, no other.

Owns data only: `test_mutations` breaks and verifies, and `tests/unit/suite/test_every_check_can_fail` sees to it that
no check is missing here. Must not reach an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from builder.core.service import LABEL_SUBSTITUTIONS
from builder.model import Check, PublishedPort, ServiceSpec, Substitution
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


# ------------------------------------------------------------------------------------------- ways to break things

XVNC: Final = "xvnc-tigervnc/usr/lib/devbox/services/xvnc"
PANEL: Final = "desktop/usr/lib/devbox/services/xfce4-panel"
WM: Final = "desktop/usr/lib/devbox/services/xfwm4"
XFDESKTOP: Final = "desktop/usr/lib/devbox/services/xfdesktop"
SSHD: Final = "sshd/usr/lib/devbox/services/sshd/run"
SSHD_CONFIG: Final = "sshd/etc/devbox/sshd_config"
WEB: Final = "web/usr/lib/devbox/web"
WEB_PAGE: Final = "web/usr/share/devbox/web/index.html"
WEB_SERVICE: Final = "web/usr/lib/devbox/services/web"
PROBE: Final = "init/usr/lib/devbox/probe"

PASSWORD: Final = '"$(cat /run/secrets/vnc-password)"'


def xvnc(options: str) -> tuple[Edit, ...]:
    """The VNC server with other options; of two the last one counts."""
    return (Edit(file=f"{XVNC}/run", old="-noreset", new=f"-noreset {options}"),)


def impatient(service: str, seconds: str) -> Edit:
    """A service that never comes need not be waited for that long."""
    return Edit(file=f"{service}/deadline", old=f"{seconds}\n", new="3\n")


def down(service: str) -> str:
    return f"s6-svc -wd -T 10000 -d /run/service/{service}"


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
exec(open("/usr/lib/devbox/probe").read(), space)
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


# ------------------------------------------------------------------------------------------------------ the table

TOOLING: Final = (
    Mutation(id="git is missing", groups=("tooling",), caught=("tooling.git.git",), inside="rm /usr/bin/git"),
    Mutation(
        id="another Node",
        groups=("tooling",),
        caught=("tooling.node.node",),
        inside="""cd /opt/node/bin && mv node real && cat >node <<'END' && chmod 755 node
#!/bin/sh
[ "$1" != --version ] || { echo v20.1.0; exit; }
exec /opt/node/bin/real "$@"
END""",
    ),
    Mutation(id="a package is removed", groups=("tooling",), caught=("tooling.packages",), inside="dpkg -r mousepad"),
    Mutation(
        id="a file of a tool is missing",
        groups=("tooling",),
        caught=("tooling.novnc.rfb.js",),
        inside="rm /opt/novnc/lib/node_modules/@novnc/novnc/core/rfb.js",
    ),
    Mutation(
        id="a version out of the range in devbox.yaml", groups=("own",), caught=("own.interpreter",), promise=own_check
    ),
)

PROMISES: Final = (
    Mutation(
        id="another plan than devbox.yaml makes, strictly",
        groups=("promises",),
        caught=("promises.current",),
        promise=another_plan,
        strict=True,
    ),
    Mutation(
        id="another base",
        groups=("promises",),
        caught=("promises.base",),
        inside="sed -i s/^VERSION_CODENAME=.*/VERSION_CODENAME=warty/ /etc/os-release",
    ),
    Mutation(
        id="another uid",
        groups=("promises",),
        caught=("promises.user", "promises.home", "promises.environment"),
        because="the id comes by a variable of the workstation, and the home goes with it",
        spec=environment(DEVBOX_UID="1234"),
    ),
    Mutation(
        id="the home belongs to root",
        groups=("promises",),
        caught=("promises.home",),
        inside="chown root /home/dev && chmod 777 /home/dev",
    ),
    Mutation(
        id="bash as the shell", groups=("promises",), caught=("promises.shell",), inside="usermod -s /bin/bash dev"
    ),
    Mutation(
        id="another zsh theme",
        groups=("promises",),
        caught=("promises.theme",),
        inside="echo ZSH_THEME=robbyrussell >>/home/dev/.zshrc",
    ),
    Mutation(
        id="sudo asks for a password",
        groups=("promises", "tooling"),
        caught=("promises.sudo", "tooling.sudo.sudo"),
        because="the tool declares the same in its catalogue file",
        inside="sed -i 's/NOPASSWD: //' /etc/sudoers.d/90-devbox",
    ),
    Mutation(id="sudo without the tool", groups=("promises",), caught=("promises.no-sudo",), promise=without_sudo),
    Mutation(
        id="a locale without UTF-8", groups=("promises",), caught=("promises.locale",), spec=environment(LC_ALL="C")
    ),
    Mutation(
        id="another language",
        groups=("promises",),
        caught=("promises.locale", "promises.environment"),
        because="it is a variable of devbox.yaml, too",
        spec=environment(LANG="de_DE.UTF-8"),
    ),
    Mutation(
        id="another time zone",
        groups=("promises",),
        caught=("promises.timezone", "promises.environment"),
        because="it is a variable of devbox.yaml, too",
        spec=environment(TZ="Asia/Tokyo"),
    ),
    Mutation(
        id="no data of the time zone",
        groups=("promises",),
        caught=("promises.timezone",),
        inside='rm -f "/usr/share/zoneinfo/$TZ"',
    ),
    Mutation(
        id="a tool's variable is another",
        groups=("promises",),
        caught=("promises.environment",),
        spec=environment(DISABLE_AUTOUPDATER="0"),
    ),
    Mutation(
        id="a volume that the user cannot write to",
        groups=("promises",),
        caught=("promises.volumes",),
        inside="chown root: /home/dev/projects",
    ),
    Mutation(
        id="a folder where a volume was promised",
        groups=("promises",),
        caught=("promises.volumes",),
        spec=without_projects_volume,
    ),
    Mutation(
        id="a capability more",
        groups=("promises",),
        caught=("promises.confined",),
        spec=lambda spec: replace(spec, cap_add=(*spec.cap_add, "NET_ADMIN")),
    ),
    Mutation(
        id="no seccomp",
        groups=("promises",),
        caught=("promises.confined",),
        spec=lambda spec: replace(spec, security_opt=("seccomp=unconfined",)),
    ),
    Mutation(
        id="a health check that asks nobody", groups=("promises",), caught=("promises.init",), spec=always_healthy
    ),
)

DOORS: Final = (
    Mutation(
        id="a port more listens", groups=("ports", "doors"), caught=("ports.listening",), inside=keep_running(LISTEN)
    ),
    Mutation(
        id="a port more is published", groups=("ports", "doors"), caught=("ports.published",), spec=publish_one_more
    ),
    Mutation(
        id="VNC on every address of the machine",
        groups=("ports", "doors"),
        caught=("ports.bind",),
        spec=publish_vnc_everywhere,
    ),
    Mutation(
        id="VNC asks for no password",
        groups=("ports", "doors"),
        caught=(
            "doors.vnc-security-types",
            "doors.vnc-wrong-password",
            "doors.vnc-empty-password",
            "doors.vnc-no-password",
        ),
        because="whatever is tried comes in",
        edits=xvnc("-SecurityTypes None"),
    ),
    Mutation(
        id="VNC lets in without a password who prefers that",
        groups=("ports", "doors"),
        caught=("doors.vnc-security-types", "doors.vnc-no-password"),
        because="one sees the offer, the other takes it",
        edits=xvnc("-SecurityTypes VncAuth,None"),
    ),
    Mutation(id="VNC of 1998", groups=("ports", "doors"), caught=("doors.vnc-banner",), edits=xvnc("-Protocol3.3=1")),
    Mutation(
        id="another VNC password",
        groups=("ports", "doors"),
        caught=("doors.vnc-password",),
        inside="printf 12345678 | tigervncpasswd -f >/run/user/dev/vnc-passwd",
    ),
    Mutation(
        id="another web page",
        groups=("ports", "doors"),
        caught=("doors.web-page",),
        edits=(Edit(file=WEB_PAGE, old="viewer.js", new="other.js"),),
    ),
    Mutation(
        id="no web server",
        groups=("ports", "doors"),
        caught=("ports.listening", "doors.web-page", "doors.web-socket", "doors.web-foreign-origin"),
        because="all that it served is gone",
        inside=down("web"),
    ),
    Mutation(
        id="the web socket leads nowhere",
        groups=("ports", "doors"),
        caught=("doors.web-socket",),
        edits=(Edit(file=f"{WEB_SERVICE}/run", old="--rfb 5901", new="--rfb 5999"), impatient(WEB_SERVICE, "20")),
    ),
    Mutation(
        id="a page of another site may use the web socket",
        groups=("ports", "doors"),
        caught=("doors.web-foreign-origin",),
        edits=(Edit(file=WEB, old="if origin and origin", new="if False and origin"),),
    ),
    Mutation(
        id="SSH offers passwords",
        groups=("ports", "doors"),
        caught=("doors.ssh-methods",),
        edits=(
            Edit(file=SSHD_CONFIG, old="AuthenticationMethods publickey", new="AuthenticationMethods any"),
            Edit(file=SSHD_CONFIG, old="PasswordAuthentication no", new="PasswordAuthentication yes"),
        ),
    ),
    Mutation(
        id="the VNC password opens SSH",
        groups=("ports", "doors"),
        caught=("doors.ssh-methods", "doors.ssh-password"),
        because="one sees the offer, the other takes it",
        edits=(
            Edit(file=SSHD_CONFIG, old="AuthenticationMethods publickey", new="AuthenticationMethods any"),
            Edit(file=SSHD_CONFIG, old="PasswordAuthentication no", new="PasswordAuthentication yes"),
        ),
        inside=f"echo dev:{PASSWORD} | chpasswd",
    ),
    Mutation(
        id="root by SSH",
        groups=("ports", "doors"),
        caught=("doors.ssh-root",),
        edits=(
            Edit(file=SSHD_CONFIG, old="PermitRootLogin no", new="PermitRootLogin yes"),
            Edit(file=SSHD, old="AllowUsers=$DEVBOX_USER", new="AllowUsers=*"),
        ),
    ),
    Mutation(
        id="another host key than the pinned one",
        groups=("ports", "doors"),
        caught=("doors.ssh-host-key",),
        edits=(Edit(file=SSHD, old="if [ -s /run/secrets/ssh_host_ed25519_key ]", new="if false"),),
    ),
    Mutation(
        id="SSH knows no authorized key",
        groups=("ports", "doors"),
        caught=("doors.ssh-key",),
        edits=(Edit(file=SSHD_CONFIG, old="AuthorizedKeysCommand /bin/cat", new="AuthorizedKeysCommand /bin/ls"),),
    ),
    Mutation(
        id="SSH without the workstation's environment",
        groups=("ports", "doors"),
        caught=("doors.ssh-key",),
        edits=(Edit(file=SSHD_CONFIG, old="Include /run/devbox/ssh/environment.conf", new=""),),
    ),
    Mutation(
        id="the password in the environment",
        groups=("promises", "doors"),
        caught=("doors.password-not-in-environment",),
        spec=leak_into_environment,
    ),
    Mutation(
        id="the password in a command line",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-arguments",),
        inside=keep_running("", PASSWORD),
    ),
    Mutation(
        id="the password in a label",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-inspect",),
        spec=leak_into_label,
    ),
    Mutation(
        id="the password in a log",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-logs",),
        inside="cat /run/secrets/vnc-password >>/run/devbox/log/xvnc/current",
    ),
    Mutation(
        id="the password in a rendered file",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-rendered-files",),
        subject=leak_into_rendered_file,
    ),
    Mutation(
        id="a password file that everybody reads",
        groups=("ports", "doors"),
        caught=("doors.password-file-private",),
        inside="chmod 644 /run/user/dev/vnc-passwd",
    ),
)

DESKTOP: Final = (
    Mutation(
        id="xvnc dies at each start",
        groups=("tooling", "ports", "desktop"),
        caught=(
            "tooling.tigervnc.xvnc",
            "ports.listening",
            "desktop.x-server",
            "desktop.window-manager",
            "desktop.panel",
            "desktop.background",
            "desktop.theme",
            "desktop.painted",
            "desktop.picture",
        ),
        because="nothing of the desktop is there without X",
        edits=(Edit(file=f"{XVNC}/run", old="-noreset", new="-nonsense"), impatient(XVNC, "10")),
    ),
    Mutation(
        id="no window manager",
        groups=("tooling", "desktop"),
        caught=(
            "tooling.desktop.xfwm4",
            "desktop.window-manager",
            "desktop.panel",
            "desktop.background",
            "desktop.painted",
        ),
        because="it keeps the list of windows, in which the others are looked up",
        inside=down("xfwm4"),
    ),
    Mutation(
        id="the panel never comes",
        groups=("desktop",),
        caught=("desktop.panel", "desktop.painted"),
        because="without the panel the screen is not what a person waits for",
        edits=(Edit(file=f"{PANEL}/run", old="xfce4-panel --", new="sleep 600 --"), impatient(PANEL, "20")),
    ),
    Mutation(
        id="nothing behind the windows",
        groups=("desktop",),
        caught=("desktop.background", "desktop.painted"),
        because="the rest of the screen is black then",
        inside=down("xfdesktop"),
    ),
    Mutation(
        id="a black screen",
        groups=("desktop",),
        caught=("desktop.painted", "desktop.picture"),
        because="one looks inside, the other from outside",
        inside=keep_running(BLACK_WINDOW),
    ),
    Mutation(
        id="nobody serves the settings", groups=("desktop",), caught=("desktop.settings",), inside=down("xfconfd")
    ),
    Mutation(
        id="nobody tells of the theme", groups=("desktop",), caught=("desktop.theme",), inside=down("xfsettingsd")
    ),
    Mutation(
        id="the session bus hangs",
        groups=("desktop",),
        caught=("desktop.session-bus", "desktop.settings"),
        because="the settings are asked over the bus",
        inside="s6-svc -p /run/service/bus",
    ),
    Mutation(
        id="no terminal",
        groups=("desktop",),
        caught=("desktop.terminal",),
        inside="rm /usr/bin/xfce4-terminal",
        hands=("desktop.terminal", "desktop.resize"),
    ),
    Mutation(
        id="a letter is another",
        groups=("desktop",),
        caught=("desktop.typing-ascii",),
        edits=xvnc("-RemapKeys '0x68->0x67'"),
        hands=("desktop.typing-ascii", "desktop.typing-unicode", "desktop.typing-layout"),
    ),
    Mutation(
        id="a fraction is another",
        groups=("desktop",),
        caught=("desktop.typing-unicode",),
        edits=xvnc("-RemapKeys '0xbd->0xbc'"),
        hands=("desktop.typing-ascii", "desktop.typing-unicode", "desktop.typing-layout"),
    ),
    Mutation(
        id="AltGr is a letter",
        groups=("desktop",),
        caught=("desktop.typing-layout",),
        edits=xvnc("-RemapKeys '0xfe03->0x78'"),
        hands=("desktop.typing-ascii", "desktop.typing-unicode", "desktop.typing-layout"),
    ),
    Mutation(
        id="the clipboard does not come in",
        groups=("desktop",),
        caught=("desktop.clipboard-in",),
        edits=xvnc("-AcceptCutText=0"),
        hands=("desktop.clipboard-in", "desktop.clipboard-out"),
    ),
    Mutation(
        id="the clipboard does not go out",
        groups=("desktop",),
        caught=("desktop.clipboard-out",),
        edits=xvnc("-SendCutText=0"),
        hands=("desktop.clipboard-in", "desktop.clipboard-out"),
    ),
    Mutation(
        id="the screen keeps its size",
        groups=("desktop",),
        caught=("desktop.resize",),
        edits=xvnc("-AcceptSetDesktopSize=0"),
        hands=("desktop.terminal", "desktop.resize"),
    ),
)

REST: Final = (
    Mutation(
        id="a substitution that no label tells",
        groups=("degraded",),
        caught=("degraded.told",),
        promise=one_substitution,
        spec=untold,
    ),
    Mutation(
        id="a substitution, strictly",
        groups=("degraded",),
        caught=("degraded.fonts",),
        promise=one_substitution,
        strict=True,
    ),
    Mutation(
        id="a fat layer",
        groups=("resources",),
        caught=("resources.image_mb",),
        promise=profile_budget("image_mb"),
        layer="RUN head -c 300000000 /dev/zero >/fat",
    ),
    Mutation(
        id="something eats memory",
        groups=("resources",),
        caught=("resources.idle_mb",),
        promise=profile_budget("idle_mb"),
        inside=keep_running('eaten = b"x" * 200_000_000'),
    ),
    Mutation(
        id="something eats the processor",
        groups=("resources",),
        caught=("resources.idle_cpu",),
        promise=budget(idle_cpu=10.0),
        inside="setsid sh -c 'while :; do :; done' >/dev/null 2>&1 &",
    ),
    Mutation(
        id="a slow start",
        groups=("timing",),
        caught=("timing.painted_s",),
        promise=profile_budget("painted_s"),
        edits=(Edit(file=f"{XFDESKTOP}/run", old="exec 2>&1\n", new="exec 2>&1\nsleep 3\n"),),
    ),
    Mutation(
        id="starts that do not succeed",
        groups=("timing",),
        caught=("timing.starts",),
        promise=budget(),
        edits=(Edit(file=f"{WM}/run", old="xfwm4 --", new="sleep 600 --"), impatient(WM, "20")),
    ),
    Mutation(
        id="a health probe that is always green",
        groups=("health",),
        caught=("health.xfwm4",),
        promise=only_service("xfwm4"),
        edits=(Edit(file=PROBE, old="    red = look_at_all(phases)\n", new="    red = {}\n"),),
    ),
    Mutation(
        id="a service that does not come back in time",
        groups=("health",),
        caught=("health.xfwm4",),
        promise=only_service("xfwm4"),
        edits=(
            Edit(file=f"{WM}/run", old="exec 2>&1\n", new="exec 2>&1\n[ ! -e /run/devbox/started ] || sleep 600\n"),
            Edit(file=f"{WM}/deadline", old="20\n", new="5\n"),
        ),
    ),
)

MUTATIONS: Final = (*TOOLING, *PROMISES, *DOORS, *DESKTOP, *REST)
