"""Group `promises`: what devbox.yaml and the profile promise of every workstation, whatever its tools are.

User and ids, shell and theme, sudo, locale and time zone, volumes, environment, base, supervisor. What the container
is allowed is the group `cis`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_PLAN
from builder.model import Level
from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure, Finding
from builder.suite.subject import exec_hint

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

SHELL: Final = "/bin/zsh"


def make_cases(resolved: Resolved) -> Iterator[Case]:
    tools = {tool.name for tool in resolved.tools}
    yield from (current, base, user, home, locale, zone, volumes, environment, pid1)
    if "zsh" in tools:
        yield from (shell, theme)
    yield sudo if "sudo" in tools and resolved.runtime.level is Level.DEV else no_sudo


@case("promises.current", "the workstation is what devbox.yaml says now")
def current(subject: Subject) -> None:
    found = _plan_of(subject)
    if subject.held:
        there = f"plan {found[:12]}, which `devbox rollback` went back to"
        raise Finding(f"plan {subject.held[:12]}, as devbox.yaml says", there, "devbox up --update")
    if found != subject.plan:
        raise Finding(f"plan {subject.plan[:12]}", f"plan {found[:12]}", "devbox up")


def _plan_of(subject: Subject) -> str:
    """Of a throw-away that of its image: its own label only says what we wanted to start."""
    if not subject.fresh:
        return subject.container.labels.get(LABEL_PLAN, "none")
    image = subject.engine.find_image(subject.container.image_id)
    return image.labels.get(LABEL_PLAN, "none") if image else "none"


@case("promises.base", "it stands on the base that it says")
def base(subject: Subject) -> str:
    wanted = subject.resolved.base
    found = dict(
        line.partition("=")[::2] for line in subject.output("cat", "/etc/os-release").replace('"', "").splitlines()
    )
    if found.get("VERSION_CODENAME") != wanted.codename:
        raise CheckFailure(
            f"{wanted.name} ({wanted.codename})",
            found.get("PRETTY_NAME", "nothing"),
            exec_hint("cat", "/etc/os-release"),
        )
    return wanted.name


@case("promises.user", "the user has the name and ids that were asked for")
def user(subject: Subject) -> str:
    runtime = subject.resolved.runtime
    wanted = f"{runtime.user} {runtime.uid}:{runtime.gid}"
    argv = ("sh", "-c", 'echo "$(id -un) $(id -u):$(id -g)"')
    found = subject.output(*argv).strip()
    if found != wanted:
        raise CheckFailure(wanted, found, exec_hint("id"))
    return found


@case("promises.home", "the home belongs to the user")
def home(subject: Subject) -> None:
    runtime = subject.resolved.runtime
    path = f"/home/{runtime.user}"
    found = subject.output("stat", "-c", "%u:%g", path, root=True).strip()
    if found != f"{runtime.uid}:{runtime.gid}":
        raise CheckFailure(f"{path} to belong to {runtime.uid}:{runtime.gid}", found, exec_hint("ls", "-ld", path))


@case("promises.shell", "zsh is the login shell")
def shell(subject: Subject) -> None:
    line = subject.output("getent", "passwd", subject.user).strip()
    if line.rpartition(":")[2] != SHELL:
        look = exec_hint("getent", "passwd", subject.user)
        raise CheckFailure(f"{SHELL} as the shell of {subject.user}", line.rpartition(":")[2], look)


@case("promises.theme", "an interactive shell has the theme that was asked for")
def theme(subject: Subject) -> str:
    """With oh-my-zsh its theme is loaded; where that is substituted, the group `degraded` says so."""
    wanted = subject.resolved.runtime.environment.get("ZSH_THEME", "")
    argv = ("zsh", "-ic", 'print -r -- "$ZSH_THEME|${ZSH:-}|${#PROMPT}"')
    lines = subject.output(*argv).strip().splitlines()
    name, framework, length = (lines[-1] if lines else "||0").split("|")
    if name != wanted or length in ("", "0"):
        raise CheckFailure(
            f"theme {wanted} and a prompt", f"theme {name or 'none'}, prompt of {length}", exec_hint(*argv)
        )
    return f"{name}, {'oh-my-zsh' if framework else 'a prompt of our own'}"


@case("promises.sudo", "the user is root by sudo, without a password")
def sudo(subject: Subject) -> None:
    argv = ("sudo", "-n", "id", "-u")
    if subject.output(*argv).strip() != "0":
        raise CheckFailure("uid 0", subject.output(*argv).strip(), exec_hint(*argv))


@case("promises.no-sudo", "the user does not become root: there is no sudo, or the level locked makes it powerless")
def no_sudo(subject: Subject) -> None:
    done = subject.run("sudo", "-n", "id", "-u")
    if done.code == 0:
        raise CheckFailure("no way to become root", "sudo works", exec_hint("sudo", "-n", "id"))


@case("promises.locale", "the locale is there and is UTF-8")
def locale(subject: Subject) -> str:
    wanted = subject.resolved.runtime.environment.get("LANG", subject.resolved.locale)
    argv = ("sh", "-c", 'echo "$LANG $(locale charmap 2>&1)"')
    found = subject.output(*argv).strip()
    if found != f"{wanted} UTF-8":
        raise CheckFailure(f"{wanted} UTF-8", found, exec_hint("locale"))
    return wanted


@case("promises.timezone", "the clock is in the time zone that was asked for")
def zone(subject: Subject) -> str:
    """By the zone file itself: a name that the image does not know silently means UTC."""
    wanted = subject.resolved.runtime.environment.get("TZ", "UTC")
    found = subject.environment().get("TZ", "")
    if found != wanted:
        raise CheckFailure(f"TZ={wanted}", f"TZ={found}", exec_hint("date"))
    if not subject.root.file(f"/usr/share/zoneinfo/{wanted}").exists:
        raise CheckFailure(f"zone data of {wanted}", "none in /usr/share/zoneinfo", exec_hint("date"))
    return wanted


@case("promises.volumes", "home and projects are volumes that the user can write to")
def volumes(subject: Subject) -> None:
    mounts = {item["Destination"]: item for item in subject.inspect()["Mounts"]}
    for path in (f"/home/{subject.user}", f"/home/{subject.user}/projects"):
        kind = mounts.get(path, {}).get("Type", "nothing")
        if kind != "volume":
            raise CheckFailure(f"a volume at {path}", f"{kind} there", "docker inspect")
        line = f'f=$(mktemp {shlex.quote(path)}/.devbox-verify.XXXXXX) && echo written >"$f" && rm "$f"'
        done = subject.run("sh", "-c", line)
        if done.code != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise CheckFailure(f"{path} to be writable for {subject.user}", said[-200:], exec_hint("ls", "-ld", path))


@case("promises.environment", "the environment of devbox.yaml and of the tools is set")
def environment(subject: Subject) -> str:
    wanted = {name: value for tool in subject.resolved.tools for name, value in tool.env.items()}
    wanted |= subject.resolved.runtime.environment
    found = subject.environment()
    wrong = [name for name, value in sorted(wanted.items()) if found.get(name) != value]
    if wrong:
        expected = ", ".join(f"{name}={wanted[name]}" for name in wrong)
        told = ", ".join(f"{name}={found.get(name, '(not set)')}" for name in wrong)
        raise CheckFailure(expected, told, exec_hint("env"))
    return f"{len(wanted)} variables"


@case("promises.init", "the supervisor is PID 1 and the engine asks the probe for health")
def pid1(subject: Subject) -> None:
    name = subject.output("cat", "/proc/1/comm", root=True).strip()
    if name != "s6-svscan":
        raise CheckFailure("s6-svscan as PID 1", name, exec_hint("ps", "-p", "1"))
    test = (subject.inspect()["Config"].get("Healthcheck") or {}).get("Test") or []
    if test[1:2] != ["/usr/lib/devbox/probe"]:
        raise CheckFailure("a health check by /usr/lib/devbox/probe", " ".join(test) or "none", "docker inspect")
