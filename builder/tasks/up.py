"""`devbox up`: from whatever is there to a workstation that a person can use.

Owns the order of acts: build first, so that a failed build leaves a running workstation alone; then replace, start,
wait. Each act looks at what is there, so that an `up` that was interrupted is finished by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from builder.core.labels import LABEL_PLAN, LABEL_SPEC
from builder.errors import EngineError, NotReadyError, PortTakenError
from builder.model import Keys, Note, PhaseReached, Plan, ServiceSpec, Substitution, TaskEnded, TaskStarted
from builder.tasks.build import build_image
from builder.tasks.owner import refuse_other_folder
from builder.tasks.prepare import (
    Prepared,
    choose_ports,
    ensure_keys,
    make_spec,
    prepare,
    read_request,
    remember_as,
    render_service,
    say_substitutions,
)

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Engine
    from builder.views import ContainerView, ImageView

PROBE: Final = "/usr/lib/devbox/probe"
WEB_SERVICE: Final = "/run/service/web"
READY_DEADLINE_S: Final = 120
ENDS_S: Final = 15
LOG_TAIL: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `up` ended with."""

    changed: bool
    project: str
    plan: Plan
    spec: ServiceSpec
    keys: Keys
    phases: Mapping[str, float]  # seconds after the container's start
    substitutions: tuple[Substitution, ...]


def bring_up(context: Context, *, fingerprint: str, again: bool = False, recreate: bool = False) -> Outcome:
    """Converge on a usable workstation. `fingerprint` is remembered, so that the next `up` can see at once that
    nothing changed. Raises NotReadyError, with the reason and a log, when it starts but cannot be used."""
    read_request(context)  # a mistake in devbox.yaml ends here, before anything is made
    with context.workspace.lock("up"):
        prepared = prepare(context, again=again)
        project = prepared.resolved.runtime.project
        engine = context.engine()
        container = engine.find_container(project)
        if container is not None:
            refuse_other_folder(context, container)
        keys, renewed = ensure_keys(context, prepared.resolved.runtime)
        spec = _make_spec(context, prepared, keys, container)
        context.workspace.write_tree({**prepared.image_tree, **render_service(context, spec)})
        say_substitutions(context, prepared.plan.substitutions)
        outcome = Outcome(
            changed=recreate or not is_current(container, spec),
            project=project,
            plan=prepared.plan,
            spec=spec,
            keys=keys,
            phases={},
            substitutions=prepared.plan.substitutions,
        )
        if outcome.changed:
            build_image(context, prepared, previous=_image_of(engine, container))
            spec = _start(context, prepared, keys, spec, container, recreate=recreate)
            outcome = replace(outcome, spec=spec)
        elif renewed and container is not None:
            restart_web(context, container)
        phases = wait_ready(context, spec.container_name, aloud=outcome.changed)
        _remember(context, spec, fingerprint)
        return replace(outcome, phases=phases)


def restart_web(context: Context, container: ContainerView) -> None:
    """Let the web door start anew, with the secrets that are there now. Its sessions end."""
    context.report(Note(text="the web desktop starts anew, with its new certificate or password"))
    result = context.engine().run(container.id, ["s6-svc", "-wr", "-T", "10000", "-r", WEB_SERVICE])
    if result.code != 0:
        raise NotReadyError(
            "the web desktop did not start anew",
            detail=result.stderr.decode(errors="replace"),
            hint="`devbox stop` and `devbox start` make it read its secrets",
        )


def is_current(container: ContainerView | None, spec: ServiceSpec) -> bool:
    """Whether the container runs, from the planned image, the way that the spec says."""
    return (
        container is not None
        and container.state == "running"
        and container.labels.get(LABEL_PLAN) == spec.labels[LABEL_PLAN]
        and container.labels.get(LABEL_SPEC) == spec.labels[LABEL_SPEC]
    )


def _make_spec(context: Context, prepared: Prepared, keys: Keys, container: ContainerView | None) -> ServiceSpec:
    state = context.workspace.load_state()
    held = set(container.ports.values()) if container is not None else set()
    ports = choose_ports(context, prepared.resolved.runtime, state, held)
    memory = {remember_as(port): ports[port.name] for port in prepared.resolved.runtime.ports}
    if memory != dict(state.ports):
        context.workspace.save_state(replace(state, ports=memory))
    return make_spec(context, prepared, keys, ports)


def _image_of(engine: Engine, container: ContainerView | None) -> ImageView | None:
    return engine.find_image(container.image_id) if container is not None else None


def _start(
    context: Context,
    prepared: Prepared,
    keys: Keys,
    spec: ServiceSpec,
    container: ContainerView | None,
    *,
    recreate: bool,
) -> ServiceSpec:
    """Start the container; with other ports if one of them was taken since they were chosen, before a long build.

    The spec that it was started with in the end.
    """
    engine = context.engine()
    while True:
        try:
            _replace(context, engine, spec, container, recreate=recreate)
            return spec
        except PortTakenError:
            if half_made := engine.find_container(spec.project):
                engine.remove(half_made.id)
            container, before = None, spec
            spec = _make_spec(context, prepared, keys, None)
            if spec.ports == before.ports:
                raise  # they look free from here, so another choice would be the same
            context.workspace.write_tree({**prepared.image_tree, **render_service(context, spec)})


def _replace(
    context: Context, engine: Engine, spec: ServiceSpec, container: ContainerView | None, *, recreate: bool
) -> None:
    """Start the container of `spec`. One that is there is started again when it fits, else made anew."""
    image = engine.find_image(spec.image)
    if image is None:
        raise EngineError(f"the image {spec.image} vanished after it was built", hint="run `devbox up` again")
    started = context.clock.now()
    context.report(TaskStarted(name="start", text=f"start {spec.container_name}"))
    if container is not None and (recreate or not is_current(replace(container, state="running"), spec)):
        context.report(Note(text=f"{container.name} is made anew; its volumes are kept"))
        engine.stop(container.id, spec.stop_grace_s)
        engine.remove(container.id)
        container = None
    if container is None:
        engine.ensure_network(spec)
        for volume in spec.volumes:
            engine.ensure_volume(spec, volume)
        engine.create_container(spec, image.id)
    engine.start(spec.container_name)
    context.report(TaskEnded(name="start", text="container started", seconds=context.clock.now() - started))


def wait_ready(context: Context, container: str, *, aloud: bool = True) -> dict[str, float]:
    """Wait until a person can use the desktop; seconds per phase after the container's start, told as they come.

    The probe inside has a deadline for each phase; ours is the last resort against a probe that hangs.
    """
    phases: dict[str, float] = {}
    failures: list[dict[str, object]] = []
    for line in _follow_probe(context, container):
        message = _parse_message(line)
        if message is None:
            continue
        if "failed" in message:
            failures.append(message)
        elif message.get("ready"):
            return phases
        elif message["phase"] not in phases:
            phases[message["phase"]] = message["seconds"]
            if aloud:
                context.report(PhaseReached(phase=message["phase"], seconds=message["seconds"]))
    raise _not_ready(context, container, failures)


def _follow_probe(context: Context, container: str) -> Iterator[bytes]:
    """The lines of the probe. It cannot be run in a container that has just ended: then there are none."""
    engine = context.engine()
    try:
        yield from engine.run_stream(container, [PROBE, "wait", "--timeout", str(READY_DEADLINE_S)])
    except EngineError:
        if not _ends(engine, container):
            raise


def _ends(engine: Engine, container: str) -> bool:
    """Whether it comes to its end: one whose init gives up is started again a few times, for some seconds."""
    try:
        engine.wait(container, timeout_s=ENDS_S)
    except EngineError:
        return False
    return True


def _parse_message(line: bytes) -> dict[str, Any] | None:
    """A line of the probe; None for what the engine says itself there when the container ends under the probe."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _not_ready(context: Context, container: str, failures: list[dict[str, object]]) -> NotReadyError:
    if not failures:
        last = b"\n".join(context.engine().logs(container, follow=False, tail=LOG_TAIL))
        return NotReadyError(
            f"{container} ended before it was ready",
            detail=last.decode(errors="replace"),
            hint="`devbox logs` shows what it said; `devbox doctor` looks at the host",
        )
    words = [f"{item['phase']}: {item['failed']}" for item in failures]
    tail = [str(line) for item in failures for line in _lines(item.get("log"))]
    return NotReadyError(
        f"{container} runs, but cannot be used: {'; '.join(words)}",
        detail="\n".join(tail),
        hint="`devbox logs` shows all of it; `devbox up --recreate` starts it afresh and keeps the volumes",
    )


def _lines(log: object) -> list[object]:
    return list(log) if isinstance(log, list) else []


def _remember(context: Context, spec: ServiceSpec, fingerprint: str) -> None:
    state = context.workspace.load_state()
    seen = replace(state, fingerprint=fingerprint, plan=spec.labels[LABEL_PLAN], spec=spec.labels[LABEL_SPEC])
    if seen != state:
        context.workspace.save_state(seen)
