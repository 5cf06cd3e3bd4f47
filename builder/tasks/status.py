"""`status`, `list` and the summary at the end of `up`: what there is, in one plain value per workstation, and in words.

Read by `shortcut`: what it imports at its top must cost next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from builder.core.labels import LABEL_EXPOSED, LABEL_PREFIX, LABEL_WORKSPACE
from builder.tasks.owner import refuse_other_folder

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

READY_FILE: Final = "/run/devbox/ready.json"
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
class Status:
    """One workstation. `endpoints` maps vnc, web, ssh, dev to an address; `ready` phases to seconds after the start."""

    name: str
    state: str  # absent | created | running | exited | ...
    health: str
    image: str
    base: str
    requested_base: str
    substitutions: tuple[Mapping[str, str], ...]
    endpoints: Mapping[str, str]
    ready: Mapping[str, float]
    workspace: str
    trust: str = ""  # certificate of the authority that browsers have to trust, where the web desktop is exposed


def read_status(context: Context, project: str) -> Status:
    """The workstation of this folder; `state` is "absent" when there is none."""
    container = context.engine().find_container(project)
    if container is None:
        return Status(
            name=project, state="absent", health="none", image="", base="", requested_base="", substitutions=(),
            endpoints={}, ready={}, workspace=str(context.workspace.root),
        )  # fmt: skip
    refuse_other_folder(context, container)
    ready = _read_phases(context, container) if container.state == "running" else {}
    return describe_container(container, ready)


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


def _read_phases(context: Context, container: ContainerView) -> dict[str, float]:
    """What the probe wrote at the last start; empty while it has not written yet."""
    result = context.engine().run(container.id, ["cat", READY_FILE])
    return parse_phases(result.stdout) if result.code == 0 else {}


def parse_phases(written: str | bytes) -> dict[str, float]:
    return {phase: float(seconds) for phase, seconds in json.loads(written)["phases"].items()}


# ---------------------------------------------------------------------------------------------------- in words


def describe_unchanged(status: Status) -> str:
    return f"{status.name} is up to date: nothing to do\n{describe_summary(status)}"


def describe_state(status: Status) -> str:
    if status.state == "absent":
        return f"{status.name} is not there; `devbox up` makes it"
    state = "stopped" if status.state == "exited" else status.state
    health = f" ({status.health})" if status.health != "none" else ""
    return f"{status.name} is {state}{health}\n{describe_summary(status)}"


def describe_summary(status: Status) -> str:
    """An empty line, then how to get in, and what it is made of."""
    ways = WAYS | EXPOSED_WAYS if status.endpoints.get("web", "").startswith("https:") else WAYS
    lines = [
        "",
        *(
            f"  {name:<8}  {address:<32}  {ways.get(name.partition('-')[0], '')}".rstrip()
            for name, address in status.endpoints.items()
        ),
        *([f"  {'trust':<8}  {status.trust}  (in each browser, once)"] if status.trust else []),
        f"  {'image':<8}  {status.image}",
        *(
            f"  {'instead':<8}  {item['what']}: {item['got']} in place of {item['wanted']} ({item['reason']})"
            for item in status.substitutions
        ),
    ]
    return "\n".join(lines)
