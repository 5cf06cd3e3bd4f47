"""`status`, `list` and the summary at the end of `up`: what there is, in one plain value per workstation, and in words.

Read by `shortcut`: what it imports at its top must cost next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_EXPOSED, LABEL_PREFIX, LABEL_SERVICE, LABEL_WORKSPACE, WORKSTATION
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

READY_FILE: Final = "/run/devbox/ready.json"
PROBE: Final = "/usr/lib/devbox/probe"
WELL: Final = ("healthy", "none")
EMPTY_PHASES: Final[Mapping[str, float]] = MappingProxyType({})
# Ports inside the workstation, by the name of the door; a published port of another number is a dev server.
DOORS: Final[Mapping[int, str]] = {5901: "vnc", 6080: "web", 2222: "ssh"}
WAYS: Final = {
    "web": "devbox open",
    "vnc": "devbox open vnc, devbox password",
    "ssh": "devbox shell",
    "dev": "your dev server",
}
EXPOSED_WAYS: Final = {"web": "devbox open, devbox password web"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A sidecar."""

    name: str  # by which the workstation reaches it
    state: str  # absent | created | running | exited | ...
    health: str  # healthy | unhealthy | starting | none
    image: str  # that it runs from
    endpoint: str  # its address on this machine; "" where it is not published
    substitutions: tuple[Mapping[str, str], ...]  # of its image, where one stands in


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One workstation. `endpoints` maps vnc, web, ssh, dev to an address; `ready` phases to seconds after the start."""

    name: str  # of the workstation
    state: str  # absent | created | running | exited | ...
    health: str  # starting | healthy | unhealthy | none
    image: str  # its tag
    base: str  # the base that is used
    requested_base: str  # the base that was asked for
    substitutions: tuple[Mapping[str, str], ...]  # what stands in for what: what, wanted, got, reason
    endpoints: Mapping[str, str]  # vnc, web, ssh, dev, dev-<port> -> address of this machine
    ready: Mapping[str, float]  # phase -> seconds after the start; empty in `list`, and while it does not run
    workspace: str  # the folder it belongs to
    unfinished: str = ""  # what a killed `devbox` left to the next one
    trust: str = ""  # certificate of the authority that browsers have to trust, where the web desktop is exposed
    red: Mapping[str, str] = field(default_factory=dict)  # phase -> which service it wants, and why it is not there
    sidecars: tuple[Beside, ...] = ()  # what runs beside


def read_status(context: Context, project: str, *, proved: Mapping[str, float] | None = None) -> Status:
    """The workstation of this folder; `state` is "absent" when there is none. `proved` are its phases where the probe
    has just said that it can be used: nothing inside need be asked then, though the engine's own health check may not
    have looked yet."""
    from builder.tasks.owner import refuse_other_folder  # here: it needs `model`, which the shortcut does not load

    container, sidecars = part_services(context.engine().find_containers(project))
    unfinished = context.workspace.find_unfinished()
    if container is None:
        return Status(
            name=project, state="absent", health="none", image="", base="", requested_base="", substitutions=(),
            endpoints={}, ready={}, workspace=str(context.workspace.root), unfinished=unfinished, sidecars=sidecars,
        )  # fmt: skip
    refuse_other_folder(context, project, container)
    if proved is not None and container.state == "running":
        return replace(describe_container(container, proved), unfinished=unfinished, sidecars=sidecars)
    return replace(_describe_inside(context, container), unfinished=unfinished, sidecars=sidecars)


def part_services(found: Sequence[ContainerView]) -> tuple[ContainerView | None, tuple[Beside, ...]]:
    """Of the containers of one project, by name: the workstation, and what runs beside it. While one takes the place of
    another there are two workstations; the one that has the name comes first."""
    named = [(view.labels.get(LABEL_SERVICE, WORKSTATION), view) for view in found]
    workstation = next((view for name, view in named if name == WORKSTATION), None)
    return workstation, tuple(describe_beside(name, view) for name, view in named if name != WORKSTATION)


def describe_beside(name: str, view: ContainerView) -> Beside:
    place = next((make_place(view.address(inside), host) for inside, host in view.ports.items()), "")
    instead = tuple(json.loads(view.labels.get(f"{LABEL_PREFIX}substitutions", "[]")))
    return Beside(
        name=name, state=view.state, health=view.health, image=view.image, endpoint=place, substitutions=instead
    )


def _describe_inside(context: Context, container: ContainerView) -> Status:
    if container.state != "running":
        return describe_container(container)
    try:
        found = describe_container(container, read_phases(context, container))
        return found if is_well(found) else replace(found, red=_read_red(context, container))
    except EngineError as error:  # it runs, and no command can be started in it: that is its status
        return replace(describe_container(container), red={"exec": str(error)})


def is_well(status: Status) -> bool:
    """Whether there is nothing to ask inside: it does not run, or the health check has nothing to say."""
    return status.state != "running" or status.health in WELL


def list_statuses(context: Context) -> tuple[Status, ...]:
    """Every workstation on the engine, without a look inside."""
    return tuple(describe_container(item) for item in context.engine().find_workstations())


def describe_container(container: ContainerView, ready: Mapping[str, float] = EMPTY_PHASES) -> Status:
    labels = container.labels
    exposed: Mapping[str, str] | None = json.loads(labels.get(LABEL_EXPOSED, "null"))
    return Status(
        name=labels.get("com.docker.compose.project", container.name),
        state=container.state,
        health=container.health,
        image=container.image,
        base=labels.get(f"{LABEL_PREFIX}base", ""),
        requested_base=labels.get(f"{LABEL_PREFIX}requested-base", ""),
        substitutions=tuple(json.loads(labels.get(f"{LABEL_PREFIX}substitutions", "[]"))),
        endpoints=make_endpoints(container),
        ready=ready,
        workspace=labels.get(LABEL_WORKSPACE, ""),
        trust=exposed.get("trust", "") if exposed else "",
    )


def make_endpoints(container: ContainerView) -> dict[str, str]:
    """Addresses for its published ports. The dev servers are `dev`, `dev-<port>` ..."""
    exposed: Mapping[str, str] | None = json.loads(container.labels.get(LABEL_EXPOSED, "null"))
    endpoints: dict[str, str] = {}
    for inside, host in sorted(container.ports.items()):
        place = make_place(container.address(inside), host)
        match DOORS.get(inside):
            case "vnc":
                endpoints["vnc"] = place
            case "web" if exposed is not None:
                endpoints["web"] = f"https://{exposed.get('name') or make_place(container.address(inside))}:{host}/"
            case "web":
                endpoints["web"] = f"http://{place}/"
            case "ssh":
                endpoints["ssh"] = f"ssh://{place}"
            case _:
                name = "dev" if "dev" not in endpoints else f"dev-{inside}"
                endpoints[name] = f"http://{place}/"
    return endpoints


def make_place(address: str, port: int | None = None) -> str:
    """address:port as URLs have it."""
    host = f"[{address}]" if ":" in address else address
    return host if port is None else f"{host}:{port}"


def read_phases(context: Context, container: ContainerView) -> dict[str, float]:
    """What the probe wrote at the last start; empty while it has not written yet."""
    result = context.engine().run(container.id, ["cat", READY_FILE])
    return parse_phases(result.stdout) if result.code == 0 else {}


def _read_red(context: Context, container: ContainerView) -> dict[str, str]:
    """What the probe finds wrong now."""
    result = context.engine().run(container.id, [PROBE, "check"])
    try:
        return dict(json.loads(result.stdout)["red"])
    except (ValueError, KeyError):
        return {"probe": (result.stderr or result.stdout).decode(errors="replace").strip()[-300:]}


def parse_phases(written: str | bytes) -> dict[str, float]:
    return {phase: float(seconds) for phase, seconds in json.loads(written)["phases"].items()}


# ---------------------------------------------------------------------------------------------------- in words


def describe_unchanged(status: Status) -> str:
    return f"{status.name} is up to date: nothing to do\n{describe_summary(status)}"


def describe_state(status: Status) -> str:
    if status.state == "absent":
        killed = f"\n{status.unfinished}" if status.unfinished else ""
        beside = "".join(f"\n  {'beside':<8}  {_describe_beside(item)}" for item in status.sidecars)
        return f"{status.name} is not there; `devbox up` makes it{killed}{beside}"
    state = "stopped" if status.state == "exited" else status.state
    health = f" ({status.health})" if status.health != "none" else ""
    red = "".join(f"\n  {phase}: {reason}" for phase, reason in sorted(status.red.items()))
    return f"{status.name} is {state}{health}{red}\n{describe_summary(status)}"


def describe_summary(status: Status) -> str:
    """An empty line, then how to get in, and what it is made of."""
    ways = WAYS | EXPOSED_WAYS if status.endpoints.get("web", "").startswith("https:") else WAYS
    lines = [
        *([f"{status.unfinished}; `devbox up` goes on from there"] if status.unfinished else []),
        "",
        *(
            f"  {name:<8}  {address:<32}  {ways.get(name.partition('-')[0], '')}".rstrip()
            for name, address in status.endpoints.items()
        ),
        *([f"  {'trust':<8}  {status.trust}  (in each browser, once)"] if status.trust else []),
        f"  {'image':<8}  {status.image}",
        *(f"  {'instead':<8}  {_describe_substitution(item)}" for item in status.substitutions),
        *(f"  {'beside':<8}  {_describe_beside(item)}" for item in status.sidecars),
        *(f"  {'instead':<8}  {_describe_substitution(it)}" for item in status.sidecars for it in item.substitutions),
    ]
    return "\n".join(lines)


def _describe_beside(item: Beside) -> str:
    state = "stopped" if item.state == "exited" else item.state
    health = f", {item.health}" if item.state == "running" and item.health != "none" else ""
    return f"{item.name} is {state}{health}" + (f", at {item.endpoint}" if item.endpoint else "")


def _describe_substitution(item: Mapping[str, str]) -> str:
    """As `model.Substitution` says it, which the shortcut does not load. Containers of before name a reason."""
    reason = f" ({item['reason']})" if item.get("reason") else ""
    return f"{item['what']}: {item['got']} in place of {item['wanted']}{reason}"
