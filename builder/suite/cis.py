"""Group `cis`: the CIS Docker Benchmark 1.6, as far as one container and its image decide it.

The predicates are written after docker-bench-security, most of them stricter, and read from what the engine tells of
the running container and of its image. The table below is the one place that knows them, and which level of devbox.yaml
may miss which, for what reason, and what must hold all the same: the checks, and `devbox config --explain`, are made
from it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builder.model import Level
from builder.suite.cases import Case
from builder.suite.results import CheckFailure, Finding, Skipped
from builder.suite.subject import EXEC_S, exec_hint

if TYPE_CHECKING:
    from builder.model import Resolved
    from builder.suite.subject import Subject

Judge = Callable[["Subject"], str]  # what is wrong; "" where the predicate holds

# compose/workstation.yaml says why each is needed at the level dev; more than these is a hole.
CAPABILITIES: Final = frozenset(
    ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
)
# docker-bench's list. It wants no writable mount of them as a whole; we want none at all, nor a part of the first five.
SENSITIVE_TREES: Final = ("/boot", "/dev", "/etc", "/proc", "/sys")
SENSITIVE_FOLDERS: Final = ("/", "/lib", "/usr")
# sudo, and what the image keeps (52-setuid) since it works for the user, some of it after `sudo passwd`.
SETUID_KNOWN: Final = frozenset(("sudo", "chsh", "newgrp", "passwd", "su", "unix_chkpwd"))
SECRET_NAME: Final = re.compile(r"\b[A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY)[A-Z0-9_]*=", re.I)
# 1 is a folder that cannot be looked into, or is not there; above that nothing was looked at.
SOMEHOW: Final = "[ $? -le 1 ]"
PROGRAMS: Final = f"cat /proc/[0-9]*/comm 2>/dev/null; {SOMEHOW}"
SETUID_FILES: Final = f"find / -xdev -type f -perm /6000 2>/dev/null; {SOMEHOW}"
KEY_FILES: Final = (
    "find /etc/ssh /etc/ssl/private /root -xdev -type f "
    f"'(' -name 'ssh_host_*_key' -o -name 'id_*' -o -name '*.key' ')' 2>/dev/null; {SOMEHOW}"
)
UNLIMITED_SHARES: Final = (0, 1024)  # 1024 is the weight that everybody has


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Why a level may miss a predicate, when, and what must hold all the same."""

    reason: str
    when: Callable[[Resolved], bool] = lambda resolved: True
    bound: Judge = lambda subject: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """One recommendation. `title` says what is expected."""

    id: str  # as CIS counts
    title: str
    judge: Judge
    exemptions: Mapping[Level, Exemption] = field(default_factory=dict)
    on_podman: str = ""  # why it cannot be judged there: what its Docker API does not tell as Docker does

    def exemption(self, resolved: Resolved) -> Exemption | None:
        """That of the level of this workstation, where it applies."""
        found = self.exemptions.get(resolved.runtime.level)
        return found if found and found.when(resolved) else None


def make_cases(resolved: Resolved) -> Iterator[Case]:
    yield from CASES


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionNote:
    """A predicate that a workstation is allowed to miss."""

    id: str  # of the CIS Docker Benchmark
    title: str  # what it expects
    reason: str  # why it is not kept


def list_exceptions(resolved: Resolved) -> tuple[ExceptionNote, ...]:
    found = ((item, item.exemption(resolved)) for item in PREDICATES)
    return tuple(ExceptionNote(id=item.id, title=item.title, reason=why.reason) for item, why in found if why)


def _make_case(predicate: Predicate) -> Case:
    def check(subject: Subject) -> str:
        if predicate.on_podman and subject.engine.kind == "podman":
            raise Skipped(f"podman's Docker API {predicate.on_podman}")
        wrong = predicate.judge(subject)
        if not wrong:
            return ""
        exemption = predicate.exemption(subject.resolved)
        beyond = exemption.bound(subject) if exemption else wrong
        if exemption is None or beyond:
            raise CheckFailure(predicate.title, beyond, "docker inspect")
        return f"exception of the level {subject.resolved.runtime.level.value}: {exemption.reason}"

    return Case(id=f"cis.{predicate.id}", title=predicate.title, check=check)


# ---------------------------------------------------------------------------------------------- the container


def _words(subject: Subject, script: str) -> list[str]:
    """What a shell line says, by the real root at either level: the files of the image are root's."""
    done = subject.commands.run(subject.container.id, ["sh", "-c", script], user="root", timeout_s=EXEC_S)
    if done.code != 0:
        raise CheckFailure(f"`{script}` to succeed", f"exit code {done.code}", exec_hint("sh", "-c", script))
    return done.stdout.decode(errors="replace").split()


def _host(subject: Subject) -> Mapping[str, Any]:
    found: Mapping[str, Any] = subject.inspect()["HostConfig"]
    return found


def _mounts(subject: Subject) -> list[Mapping[str, Any]]:
    return list(subject.inspect().get("Mounts") or ())


def _listed(what: str, items: Iterable[object]) -> str:
    """`what: a, b`, or nothing where there are none."""
    words = ", ".join(sorted({str(item) for item in items}))
    return f"{what}: {words}" if words else ""


def _added(subject: Subject) -> set[str]:
    return {name.removeprefix("CAP_") for name in _host(subject).get("CapAdd") or ()}


def _all_dropped(subject: Subject) -> str:
    return "" if "ALL" in (_host(subject).get("CapDrop") or ()) else "not all capabilities are dropped first"


def _capabilities(subject: Subject) -> str:
    return _all_dropped(subject) or _listed("capabilities are added", _added(subject))


def _more_capabilities(subject: Subject) -> str:
    return _all_dropped(subject) or _listed("more capabilities", _added(subject) - CAPABILITIES)


def _sensitive(subject: Subject) -> str:
    sources = [str(item.get("Source", "")) for item in _mounts(subject) if item.get("Type") == "bind"]
    within = [path for path in sources if any(f"{path}/".startswith(f"{tree}/") for tree in SENSITIVE_TREES)]
    found = [*within, *(path for path in sources if path in SENSITIVE_FOLDERS)]
    return _listed("folders of the host's system are mounted", found)


def _sshd(subject: Subject) -> str:
    """By any of its processes: since OpenSSH 9.8 a session is `sshd-session`, which outlives its server."""
    return "an SSH server runs" if any(name.startswith("sshd") for name in _words(subject, PROGRAMS)) else ""


def _bindings(subject: Subject) -> Iterator[tuple[int, Mapping[str, str]]]:
    for name, places in (subject.inspect()["NetworkSettings"]["Ports"] or {}).items():
        yield from ((int(name.partition("/")[0]), place) for place in places or ())


def _low_ports(subject: Subject) -> str:
    found = ((inside, int(place.get("HostPort") or 0)) for inside, place in _bindings(subject))
    return _listed("privileged ports", (port for pair in found for port in pair if 0 < port < 1024))


def _tell_open(subject: Subject, but: Collection[tuple[int, str]] = ()) -> str:
    places = {(inside, place.get("HostIp", "")) for inside, place in _bindings(subject)}
    found = (place for place in places.difference(but) if place[1] in ("", "0.0.0.0", "::"))  # noqa: S104
    return _listed("published on every address", (f"{inside} on `{at}`" for inside, at in found))


def _is_open_on_purpose(resolved: Resolved) -> bool:
    exposure = resolved.runtime.exposure
    return exposure is not None and ipaddress.ip_address(exposure.address).is_unspecified


def _more_open(subject: Subject) -> str:
    runtime = subject.resolved.runtime
    return _tell_open(subject, {(port.container, runtime.bind_of(port.name)) for port in runtime.ports})


def _shared(name: str) -> Judge:
    """A name space of the host's."""
    return lambda subject: f"it shares the host's {name}" if _host(subject).get(f"{name}Mode") == "host" else ""


def _default_bridge(subject: Subject) -> str:
    """By `default` the engine means its bridge. A container may be on more networks than the one it was made for."""
    networks = {_host(subject).get("NetworkMode"), *(subject.inspect()["NetworkSettings"].get("Networks") or ())}
    return "it is on docker0" if networks & {"default", "bridge"} else ""


def _memory(subject: Subject) -> str:
    return "" if _host(subject).get("Memory") else "no limit"


def _cpu(subject: Subject) -> str:
    host = _host(subject)
    limited = (
        host.get("NanoCpus") or (host.get("CpuQuota") or 0) > 0 or host.get("CpuShares", 0) not in UNLIMITED_SHARES
    )
    return "" if limited else "no limit, and the share that everybody has"


def _pids(subject: Subject) -> str:
    return "" if (_host(subject).get("PidsLimit") or 0) > 0 else "no limit"


def _writable(subject: Subject) -> str:
    return "" if _host(subject).get("ReadonlyRootfs") else "it can be written to"


def _restart(subject: Subject) -> str:
    policy = _host(subject).get("RestartPolicy") or {}
    if subject.fresh and policy.get("Name") == "no":
        raise Skipped("a throw-away is never started again")
    told = f"{policy.get('Name') or 'no'}:{policy.get('MaximumRetryCount', 0)}"
    return "" if told == "on-failure:5" else told


def _propagation(subject: Subject) -> str:
    shared = (item["Destination"] for item in _mounts(subject) if "shared" in (item.get("Propagation") or ""))
    return _listed("shared mounts", shared)


def _options(subject: Subject) -> tuple[str, ...]:
    return tuple(_host(subject).get("SecurityOpt") or ())


def _unconfined(subject: Subject) -> str:
    return _listed("switched off", (item for item in _options(subject) if "unconfined" in item))


def _new_privileges(subject: Subject) -> str:
    on = any(re.fullmatch(r"no-new-privileges([:=]true)?", item) for item in _options(subject))
    return "" if on else "a setuid program gives its rights"


def _health(subject: Subject) -> str:
    test = (subject.inspect()["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    return "nobody looks" if test[0] == "NONE" else ""


def _sockets(subject: Subject) -> str:
    places = (str(item.get(end, "")) for item in _mounts(subject) for end in ("Source", "Destination"))
    return _listed("a socket is mounted", (place for place in places if place.endswith(".sock")))


def _told(key: str, words: str) -> Judge:
    """A setting of the container that should not be made."""
    return lambda subject: f"{words} ({_host(subject)[key]})" if _host(subject).get(key) else ""


# -------------------------------------------------------------------------------------------------- the image


def _image(subject: Subject) -> Mapping[str, Any]:
    found: Mapping[str, Any] = subject.memo.get(
        "image", lambda: subject.engine.inspect_image(subject.container.image_id)
    )
    return found


def _history(subject: Subject) -> tuple[str, ...]:
    found: tuple[str, ...] = subject.memo.get(
        "history", lambda: subject.engine.image_history(subject.container.image_id)
    )
    return found


def _root(subject: Subject) -> str:
    user = str(subject.inspect()["Config"].get("User") or "").partition(":")[0]
    return "PID 1 is root" if user in ("", "0", "root") else ""


def _image_health(subject: Subject) -> str:
    test = ((_image(subject).get("Config") or {}).get("Healthcheck") or {}).get("Test") or ["NONE"]
    return "the image has none" if test[0] == "NONE" else ""


def _update_alone(subject: Subject) -> str:
    lines = (line for line in _history(subject) if re.search(r"\bapt(-get)?\b.*\bupdate\b", line))
    return _listed("update without install", (line[:80] for line in lines if "install" not in line))


def _setuid(subject: Subject) -> str:
    """Others than those that we know: somebody who is root may have installed one, so it is a warning."""
    if more := [path for path in _words(subject, SETUID_FILES) if path.rpartition("/")[2] not in SETUID_KNOWN]:
        raise Finding(
            f"none but {', '.join(sorted(SETUID_KNOWN))}",
            _listed("setuid or setgid", more),
            "devbox exec -- find / -xdev -perm /6000",
        )
    return ""


def _added_files(subject: Subject) -> str:
    """But for the first layer: a base's root file system comes in no other way."""
    lines = (line.removeprefix("/bin/sh -c #(nop) ").strip() for line in _history(subject)[1:])
    return _listed("ADD", (line[:80] for line in lines if line.startswith("ADD ")))


def _secrets(subject: Subject) -> str:
    told = (*((_image(subject).get("Config") or {}).get("Env") or ()), *_history(subject))
    names = [found.group().rstrip("=") for line in told for found in SECRET_NAME.finditer(line)]
    return _listed("secrets", [*names, *_words(subject, KEY_FILES)])


# -------------------------------------------------------------------------------------------------- the table


def _dev(reason: str, **more: Any) -> Mapping[Level, Exemption]:
    return {Level.DEV: Exemption(reason=reason, **more)}


_WITH_SSH: Final = Exemption(
    reason="ssh is on, by keys only and for the one user; at the level locked it is off unless it is asked for",
    when=lambda resolved: "ssh" in resolved.doors,
)

_EXPOSED: Final = Exemption(
    reason="`expose` asks for it: the web desktop (TLS, login), with `expose.ssh` SSH too (by keys), and no other port",
    when=_is_open_on_purpose,
    bound=_more_open,
)

PREDICATES: Final = (
    Predicate(id="4.1", title="PID 1 is not root", judge=_root, exemptions=_dev(
        "init gives the home to your user id and starts services; all but init, loggers and sshd run as the user")),
    Predicate(id="4.6", title="the image has a HEALTHCHECK", judge=_image_health,
        on_podman="leaves it out of what it says of an image"),
    Predicate(id="4.7", title="no step updates package lists without installing", judge=_update_alone),
    Predicate(id="4.8", title="no setuid or setgid program but those we know", judge=_setuid),
    Predicate(id="4.9", title="files come by COPY, not ADD", judge=_added_files),
    Predicate(id="4.10", title="no secret is in the image", judge=_secrets),
    Predicate(id="5.4", title="no capability is added", judge=_capabilities, exemptions=_dev(
        f"all are dropped, then {len(CAPABILITIES)} added that sudo, sshd and the change of user id need",
        bound=_more_capabilities), on_podman="tells what differs from its own default set"),
    Predicate(id="5.5", title="it is not privileged", judge=_told("Privileged", "it is")),
    Predicate(id="5.6", title="no folder of the host's system is mounted", judge=_sensitive),
    Predicate(id="5.7", title="no SSH server runs", judge=_sshd, exemptions=dict.fromkeys(Level, _WITH_SSH)),
    Predicate(id="5.8", title="no port below 1024", judge=_low_ports),
    Predicate(id="5.10", title="a network of its own", judge=_shared("Network")),
    Predicate(id="5.11", title="memory is limited", judge=_memory, exemptions=_dev(
        "a person's own machine: it may use all of it; `resources.memory` limits it",
        when=lambda resolved: resolved.runtime.memory is None)),
    Predicate(id="5.12", title="CPU is limited", judge=_cpu, exemptions=_dev(
        "a person's own machine: it may use all of it; `resources.cpus` limits it",
        when=lambda resolved: resolved.runtime.cpus is None)),
    Predicate(id="5.13", title="the root file system is read-only", judge=_writable, exemptions=_dev(
        "the user installs packages by sudo")),
    Predicate(id="5.14", title="published on one address only", judge=_tell_open,
        exemptions=dict.fromkeys(Level, _EXPOSED)),
    Predicate(id="5.15", title="started again at most five times", judge=_restart),
    Predicate(id="5.16", title="processes of its own", judge=_shared("Pid")),
    Predicate(id="5.17", title="IPC of its own", judge=_shared("Ipc")),
    Predicate(id="5.18", title="no device of the host", judge=_told("Devices", "there are some")),
    Predicate(id="5.20", title="no mount is shared", judge=_propagation),
    Predicate(id="5.21", title="a host name of its own", judge=_shared("UTS")),
    Predicate(id="5.22", title="seccomp and AppArmor are not switched off", judge=_unconfined),
    Predicate(id="5.25", title="the engine's own cgroup", judge=_told("CgroupParent", "another one")),
    Predicate(id="5.26", title="no new privileges", judge=_new_privileges, exemptions=_dev(
        "with it sudo could not work")),
    Predicate(id="5.27", title="its health is looked at", judge=_health),
    Predicate(id="5.29", title="processes are limited", judge=_pids),
    Predicate(id="5.30", title="not on the engine's default bridge", judge=_default_bridge,
        on_podman="says bridge for every network of containers"),
    Predicate(id="5.31", title="user ids are not forced to be the host's", judge=_shared("Userns")),
    Predicate(id="5.32", title="no engine's socket is mounted", judge=_sockets),
)  # fmt: skip

CASES: Final = tuple(_make_case(item) for item in PREDICATES)
