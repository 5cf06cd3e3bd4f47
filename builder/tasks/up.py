"""`devbox up`: from whatever is there to a workstation that a person can use.

Owns the order of acts: build first, so that a failed build leaves a running workstation alone; then start, or replace
(`switch`). Each act looks at what is there, so that an `up` that was interrupted is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from builder.core.labels import LABEL_PLAN, LABEL_SPEC
from builder.errors import NotReadyError, PortTakenError
from builder.model import Keys, Note, Plan, ServiceSpec, Substitution
from builder.tasks.build import build_image
from builder.tasks.demand import USE, Demand
from builder.tasks.dotfiles import bring_dotfiles
from builder.tasks.earlier import Return, make_hold, read_hold
from builder.tasks.generations import record
from builder.tasks.headstart import head_start
from builder.tasks.hooks import run_hooks
from builder.tasks.lock import keep_lock
from builder.tasks.owner import check_names, say_former_name
from builder.tasks.ports import choose_ports, remember_as
from builder.tasks.prepare import (
    Prepared,
    check_files,
    ensure_keys,
    is_alone,
    make_spec,
    prepare,
    read_request,
    render_files,
    say_substitutions,
    write_files,
    write_files_ahead,
)
from builder.tasks.ready import wait_ready
from builder.tasks.send import builder_of
from builder.tasks.sidecars import bring_beside, describe_beside, is_beside, wait_beside
from builder.tasks.start import WAITING, is_current, start_container
from builder.tasks.switch import settle
from builder.tasks.unfinished import refuse_unfinished

if TYPE_CHECKING:
    from builder.model import Runtime, State
    from builder.tasks.interfaces import Context
    from builder.views import ContainerView

WEB_SERVICE: Final = "/run/service/web"


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


def bring_up(context: Context, *, fingerprint: str, demand: Demand = USE, recreate: bool = False) -> Outcome:
    """Converge on a usable workstation. `fingerprint` is remembered, so that the next `up` can see at once that
    nothing changed. Raises NotReadyError, with the reason and a log, when it starts but cannot be used."""
    request = read_request(context)  # a mistake in devbox.yaml ends here, before anything is made
    with context.workspace.lock("up"):
        context.workspace.intend("looking for what can be had here")
        with head_start(builder_of(context)) as head:
            prepared = prepare(context, request=request, demand=demand, head=head)
            return converge(context, prepared, fingerprint=fingerprint, recreate=recreate)


def converge(
    context: Context,
    prepared: Prepared,
    *,
    fingerprint: str,
    recreate: bool = False,
    stay: bool = True,
    before_switch: Callable[[], None] = lambda: None,
) -> Outcome:
    """`up` from a plan on. With `stay`, a workstation that was gone back to is kept as long as there is no reason to
    leave it. `before_switch` is called once the image is there, while what ran before still runs."""
    project = prepared.resolved.runtime.project
    container = settle(context, project)
    keys, renewed = ensure_keys(context, prepared.resolved.runtime)
    if container is not None:
        context.engine().give_secrets(project, keys.folder)
    held = read_hold(context, prepared) if stay else None
    wish: Wish = Desired(context=context, prepared=prepared, keys=keys)
    if held is not None:
        wish = Return(context=context, prepared=prepared, goal=held, secrets=keys.folder)
    spec = wish.make(container)
    say_substitutions(context, prepared.plan.substitutions)
    outcome = Outcome(
        changed=recreate or not (is_current(container, spec) and is_beside(context, prepared)),
        project=project,
        plan=prepared.plan,
        spec=spec,
        keys=keys,
        phases={},
        substitutions=prepared.plan.substitutions,
    )
    if outcome.changed:
        check_names(context, spec)
        refuse_unfinished(context, project)
        say_former_name(context, project)
        check_files(context, prepared)
        wish.ensure_image(container, partial(write_files_ahead, context, prepared, spec))
        before_switch()
        with ThreadPoolExecutor(1, thread_name_prefix="render") as pool:
            rendered = pool.submit(render_files, context, prepared, spec)  # while the engine is at work
            bring_beside(context, prepared, recreate=recreate)
            spec, phases = bring_about(wish, spec, container, recreate=recreate)
            rendered.result()
    else:
        if renewed and container is not None:
            restart_web(context, container)
        context.workspace.intend(WAITING)
        phases = wait_ready(context, spec.container_name, aloud=False)
    # What runs is written down before what may fail beside it and inside: `rollback` has to know.
    write_files(context, prepared, spec)
    kept = keep_lock(context, prepared.lock)
    lock = held.lock or prepared.lock if held else prepared.lock
    config = held.config if held else (context.config_text or b"").decode()
    record(context, spec, lock, config=config, hold=make_hold(context, prepared) if held else None)
    wait_beside(context, project, prepared.resolved.runtime.sidecars)
    bring_dotfiles(context, spec.container_name, prepared.resolved.runtime.dotfiles, offline=prepared.offline)
    run_hooks(context, spec.container_name, prepared.resolved.runtime)
    fingerprint = "" if held else fingerprint  # held: said each time
    _remember(context, prepared, spec, fingerprint, kept)
    return replace(outcome, spec=spec, phases=phases)


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


class Wish(Protocol):
    """A container that is wanted, and how to ask for it anew when a port turns out to be taken. `ahead` comes before a
    build, if there has to be one."""

    @property
    def context(self) -> Context: ...
    def make(self, container: ContainerView | None) -> ServiceSpec: ...
    def ensure_image(self, container: ContainerView | None, ahead: Callable[[], None]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What devbox.yaml says."""

    context: Context
    prepared: Prepared
    keys: Keys

    def make(self, container: ContainerView | None) -> ServiceSpec:
        """Its description, with ports that are free, or held by `container`, which it replaces."""
        runtime = self.prepared.resolved.runtime
        state = self.context.workspace.load_state()
        held = _find_held(self.context, container) if container is not None else set()
        ports = choose_ports(self.context, runtime, _prefer_held(state, runtime, container, held), held)
        beside = {remember_as(sidecar.publish) for sidecar in runtime.sidecars if sidecar.publish}
        memory = {name: port for name, port in state.ports.items() if name in beside}
        memory |= {remember_as(port): ports[port.name] for port in runtime.ports}
        if memory != dict(state.ports):
            self.context.workspace.save_state(replace(state, ports=memory))
        return make_spec(self.context, self.prepared, self.keys, ports)

    def ensure_image(self, container: ContainerView | None, ahead: Callable[[], None]) -> None:
        engine = self.context.engine()
        previous = engine.find_image(container.image_id) if container is not None else None
        build_image(self.context, self.prepared, previous=previous, ahead=ahead)


def _find_held(context: Context, container: ContainerView) -> set[int]:
    """Its ports, but for those by which it cannot be reached any more."""
    places = [(container.address(inside), port) for inside, port in container.ports.items()]
    if container.state != "running":
        return {port for _, port in places}
    return {port for address, port in places if context.ports.leads_there(address, port)}


def _prefer_held(state: State, runtime: Runtime, container: ContainerView | None, held: set[int]) -> State:
    """What is remembered may be of this folder's workstation on another machine, if that was the last."""
    has = dict(container.ports) if container is not None else {}
    own = {remember_as(port): has[port.container] for port in runtime.ports if has.get(port.container) in held}
    return replace(state, ports={name: own.get(name, port) for name, port in state.ports.items()})


def bring_about(
    wish: Wish, spec: ServiceSpec, container: ContainerView | None, *, recreate: bool = False
) -> tuple[ServiceSpec, Mapping[str, float]]:
    """Start the container and wait until it can be used; with other ports if one of them was taken since they were
    chosen, before a long build. The spec that it was started with in the end, and the phases of its start."""
    again = False
    while True:
        try:
            return spec, start_container(wish.context, spec, container, recreate=recreate)
        except PortTakenError:
            container, before = settle(wish.context, spec.project), spec
            spec = wish.make(container)
            if spec.ports == before.ports:
                if again:
                    raise  # they look free from here, so another choice would be the same
                again = True  # whoever had one, another `up` or the engine's own proxy of before, may have let it go


def _remember(context: Context, prepared: Prepared, spec: ServiceSpec, fingerprint: str, lock: str) -> None:
    state = context.workspace.load_state()
    seen = replace(
        state,
        fingerprint=fingerprint,
        lock=lock,
        plan=spec.labels[LABEL_PLAN],
        spec=spec.labels[LABEL_SPEC],
        project=spec.project,
        sidecars={item.service: item.labels[LABEL_SPEC] for item in describe_beside(context, prepared)},
        alone=is_alone(context, prepared.resolved.runtime),
    )
    if seen != state:
        context.workspace.save_state(seen)
