"""Sidecars: brought to what devbox.yaml says, waited for, stopped and removed with the workstation.

Owns which of its two images a sidecar runs from: what its container has, else what its data are of, else the one of its
registry, else the one that is built here. Data are never removed, and never given to the other image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from builder.core.beside import make_sidecar, make_substitution
from builder.core.canonical import bytes_id, content_id
from builder.core.labels import LABEL_SERVICE, LABEL_SIDECAR, LABEL_SPEC, WORKSTATION
from builder.core.render import render_sidecar
from builder.errors import EngineError, HostError, NotReadyError
from builder.model import BuildEvent, LogLine, Note, StepProgress, TaskEnded, TaskStarted
from builder.tasks.base import download_progress, ensure_base
from builder.tasks.owner import find_our_image
from builder.tasks.packages import teller
from builder.tasks.ports import choose_ports, remember_as
from builder.tasks.send import builder_of, send_image

if TYPE_CHECKING:
    from builder.model import RenderedTree, Runtime, ServiceSpec, Sidecar, SidecarForm
    from builder.tasks.interfaces import Context
    from builder.tasks.layout import Prepared
    from builder.views import ContainerView

REPOSITORY: Final = "devbox/sidecar"
READY_S: Final = 90.0
LOOK_S: Final = 0.2
LOOK_TIMEOUT_S: Final = 10.0
ENDED: Final = ("exited", "dead")
LOG_TAIL: Final = 15
Ports = Mapping[str, int]  # sidecar -> port of this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to run a sidecar."""

    form: SidecarForm
    spec: ServiceSpec
    tree: RenderedTree | None  # what its image is built from; None for one that is pulled


def find_beside(context: Context, project: str) -> Mapping[str, ContainerView]:
    """Sidecar -> its container."""
    found = context.engine().find_containers(project)
    named = {view.labels.get(LABEL_SERVICE, WORKSTATION): view for view in found}
    return {name: view for name, view in named.items() if name != WORKSTATION}


def describe_beside(context: Context, prepared: Prepared) -> tuple[ServiceSpec, ...]:
    """The containers of the sidecars as they are, or would be made."""
    runtime = prepared.resolved.runtime
    if not runtime.sidecars:
        return ()
    try:
        there = find_beside(context, runtime.project)
        volumes = context.engine().volumes(runtime.project)
    except EngineError:  # `render` needs no engine
        there, volumes = {}, ()
    ports = _remembered(context, runtime.sidecars)
    return tuple(
        _candidates(context, prepared, sidecar, ports, there.get(sidecar.name), volumes)[0].spec
        for sidecar in runtime.sidecars
    )


def is_beside(context: Context, prepared: Prepared) -> bool:
    """Whether exactly the sidecars that are wanted run, as they are wanted."""
    there = find_beside(context, prepared.resolved.runtime.project)
    wanted = {spec.service: spec.labels[LABEL_SPEC] for spec in describe_beside(context, prepared)}
    running = {name: view.labels.get(LABEL_SPEC) for name, view in there.items() if view.state == "running"}
    return there.keys() == wanted.keys() and running == wanted


def bring_beside(context: Context, prepared: Prepared, *, recreate: bool) -> None:
    """Let the sidecars run that are wanted, and no others. They are not waited for."""
    runtime = prepared.resolved.runtime
    there = dict(find_beside(context, runtime.project))
    wanted = {sidecar.name for sidecar in runtime.sidecars}
    for name in sorted(there.keys() - wanted):
        context.report(Note(text=f"{there[name].name} is not wanted any more: removed; its volume is kept"))
        _remove(context, there.pop(name))
    if not wanted:
        return
    began = context.clock.now()
    context.report(TaskStarted(name="sidecars", text=f"start {', '.join(sorted(wanted))}"))
    ports = _choose(context, runtime, there.values())
    volumes = context.engine().volumes(runtime.project)
    for sidecar in runtime.sidecars:
        candidates = _candidates(context, prepared, sidecar, ports, there.get(sidecar.name), volumes)
        _bring(context, prepared, sidecar, candidates, there.get(sidecar.name), recreate=recreate)
    context.report(TaskEnded(name="sidecars", text="sidecars started", seconds=context.clock.now() - began))


def wait_beside(context: Context, project: str, sidecars: Sequence[Sidecar]) -> None:
    """Until each can be used. Raises NotReadyError with the end of its log."""
    there = find_beside(context, project) if sidecars else {}
    for sidecar in sidecars:
        if (view := there.get(sidecar.name)) is None:
            raise NotReadyError(f"the sidecar {sidecar.name} is not there", hint="`devbox up` makes it")
        context.workspace.intend(f"waiting for {view.name}")
        _wait(context, project, sidecar, view)


def start_beside(context: Context, project: str) -> None:
    for view in find_beside(context, project).values():
        if view.state != "running":
            context.engine().start(view.id)


def remove_beside(context: Context, project: str) -> bool:
    """Whether there were any."""
    found = find_beside(context, project)
    for view in found.values():
        context.workspace.intend(f"removing {view.name}")
        _remove(context, view)
    return bool(found)


def _remove(context: Context, view: ContainerView) -> None:
    context.engine().stop(view.id, 10)  # a database wants to write its last words
    # Its image may declare volumes that the sidecar's file does not name: nobody would find them again.
    context.engine().remove(view.id, unnamed=True)


# ------------------------------------------------------------------------------------------------------- which image


def _candidates(
    context: Context,
    prepared: Prepared,
    sidecar: Sidecar,
    ports: Ports,
    there: ContainerView | None,
    volumes: Sequence[str],
) -> Sequence[Candidate]:
    """The ways that are open, the best one first; at least one."""
    forms = [form for form in (sidecar.pulled, sidecar.built) if form is not None]
    found = [_make(context, prepared, sidecar, form, ports) for form in forms]
    as_it_is = [item for item in found if there and there.labels.get(LABEL_SPEC) == item.spec.labels[LABEL_SPEC]]
    with_data = [item for item in found if any(volume.name in volumes for volume in item.spec.volumes)]
    return as_it_is or with_data[:1] or found


def _make(context: Context, prepared: Prepared, sidecar: Sidecar, form: SidecarForm, ports: Ports) -> Candidate:
    runtime, root = prepared.resolved.runtime, context.workspace.root
    tree = None if form.image else _render(context, prepared, sidecar, form)
    image = form.image or _tag(prepared, sidecar, tree or {})
    spec = make_sidecar(
        runtime,
        sidecar,
        form,
        image=image,
        workspace=str(root),
        secrets=context.handed.sidecar_folder(runtime.project, root, sidecar.name),
        port=ports.get(sidecar.name),
        bind=runtime.bind,
    )
    return Candidate(form=form, spec=spec, tree=tree)


def _render(context: Context, prepared: Prepared, sidecar: Sidecar, form: SidecarForm) -> RenderedTree:
    assets, base = context.assets, prepared.answers.base
    return render_sidecar(sidecar, form, base, rootfs=assets.rootfs, templates=assets.templates)


def _tag(prepared: Prepared, sidecar: Sidecar, tree: RenderedTree) -> str:
    files = {path: [bytes_id(file.data), file.executable] for path, file in tree.items()}
    told = content_id({"base": prepared.answers.base.identity, "files": files})
    return f"{REPOSITORY}:{sidecar.name}-{told[:12]}"


def _ensure_image(context: Context, prepared: Prepared, sidecar: Sidecar, ways: Sequence[Candidate]) -> Candidate:
    """The first way whose image can be had. Raises EngineError where there is none."""
    if prepared.offline:
        return _find_here(context, sidecar, ways)
    first, rest = ways[0], ways[1:]
    if first.tree is not None:
        _build(context, prepared, sidecar, first)
        return first
    try:
        _pull(context, sidecar, first.form)
    except EngineError as error:
        if not rest or not sidecar.substitute:
            hint = f"{error.hint}; " if error.hint else ""
            raise EngineError(
                f"the image {first.form.source} of the sidecar {sidecar.name} cannot be had: {error.message}",
                where=sidecar.origin,
                detail=error.detail,
                hint=f"{hint}`mirrors.images` names another registry",
            ) from error
        reason = f"{first.form.source} cannot be pulled"
        context.report(LogLine(name=sidecar.name, text=error.message))
        context.report(Note(text=str(make_substitution(sidecar, rest[0].spec.image, reason)), level="warning"))
        _build(context, prepared, sidecar, rest[0])
        return rest[0]
    return first


def _find_here(context: Context, sidecar: Sidecar, ways: Sequence[Candidate]) -> Candidate:
    """The first way whose image is on the engine. Raises HostError where there is none."""
    for way in ways:
        if context.engine().find_image(way.spec.image) is not None:
            return way
    raise HostError(
        f"the image {ways[0].spec.image} of the sidecar {sidecar.name} is not on the engine",
        where=sidecar.origin,
        hint="`--offline` uses no network, and no lock holds what runs beside: `devbox up` with one brings it",
    )


def _pull(context: Context, sidecar: Sidecar, form: SidecarForm) -> None:
    engine = context.engine()
    if engine.find_image(form.image):
        return
    engine.pull(form.source, download_progress(context, sidecar.name, f"pull {form.source}"))
    if form.source != form.image:
        engine.tag(form.source, form.image)


def _build(context: Context, prepared: Prepared, sidecar: Sidecar, way: Candidate) -> None:
    """Its packages are those of today: no lock holds what runs beside."""
    tag = way.spec.image
    if find_our_image(context, tag, LABEL_SIDECAR, sidecar.name):
        return
    if (here := builder_of(context)) is not context:
        _build(here, prepared, sidecar, way)
        send_image(context, here.engine(), tag)
        return
    resolved, began = prepared.resolved, context.clock.now()
    ensure_base(context, resolved.base, prepared.answers.base, resolved.arch)
    context.workspace.intend(f"building {tag}")
    context.report(StepProgress(name=sidecar.name, text=f"build {tag}", state="running"))
    secrets = context.sources.host_secrets(resolved.base, teller(context))

    def hear(event: BuildEvent) -> None:
        if event.log:
            context.report(LogLine(name=sidecar.name, text=event.log))

    context.engine().build(way.tree or {}, {}, tag, hear, secrets=secrets)
    seconds = context.clock.now() - began
    context.report(StepProgress(name=sidecar.name, text=f"{tag} built", state="done", seconds=seconds))


# ------------------------------------------------------------------------------------------------------------- acts


def _bring(
    context: Context,
    prepared: Prepared,
    sidecar: Sidecar,
    ways: Sequence[Candidate],
    there: ContainerView | None,
    *,
    recreate: bool,
) -> None:
    engine = context.engine()
    if there is not None and not recreate and there.labels.get(LABEL_SPEC) == ways[0].spec.labels[LABEL_SPEC]:
        if there.state != "running":
            engine.start(there.id)
        return
    chosen = _ensure_image(context, prepared, sidecar, ways).spec
    image = engine.find_image(chosen.image)
    if image is None:
        raise EngineError(f"the image {chosen.image} vanished", hint="run `devbox up` again")
    engine.refuse_foreign(chosen)
    engine.ensure_network(chosen)
    for volume in chosen.volumes:
        engine.ensure_volume(chosen, volume)
    if there is not None:
        context.report(Note(text=f"{there.name} is made anew; its volume is kept"))
        context.workspace.intend(f"making {there.name} anew")
        _remove(context, there)
    context.workspace.intend(f"making {chosen.container_name}")
    engine.start(engine.create_container(chosen, image.id))


def _wait(context: Context, project: str, sidecar: Sidecar, view: ContainerView) -> None:
    engine = context.engine()
    forms = [form for form in (sidecar.pulled, sidecar.built) if form and bool(form.image) == _is_pulled(view)]
    if not forms:
        message = f"the sidecar {sidecar.name} runs from {view.image}, which its file names no more"
        raise NotReadyError(message, where=sidecar.origin, hint="`devbox up` makes it anew")

    def look() -> bool | None:
        try:
            return True if engine.run(view.id, forms[0].health, timeout_s=LOOK_TIMEOUT_S).code == 0 else None
        except EngineError:  # it starts again, or is slow, or ended
            there = find_beside(context, project).get(sidecar.name)
            if there is None or there.state in ENDED:
                message = f"the sidecar {sidecar.name} ended"
                raise NotReadyError(message, detail=why(), hint=f"`devbox logs {sidecar.name}` has all of it") from None
            return None

    def why() -> str:
        return b"\n".join(engine.logs(view.id, follow=False, tail=LOG_TAIL)).decode(errors="replace")

    context.clock.wait_for(f"the sidecar {sidecar.name}", look, deadline_s=READY_S, interval_s=LOOK_S, why=why)


def _is_pulled(view: ContainerView) -> bool:
    """By the label of an image that was built: the engine names one that lost its tag by its id alone."""
    return LABEL_SIDECAR not in view.labels


# ------------------------------------------------------------------------------------------------------------ ports


def _choose(context: Context, runtime: Runtime, there: Collection[ContainerView]) -> Ports:
    """Free ones, or those that `there` hold; they are remembered."""
    wished = tuple(sidecar.publish for sidecar in runtime.sidecars if sidecar.publish is not None)
    if not wished:
        return {}
    state = context.workspace.load_state()
    held = {port for view in there for port in view.ports.values()}
    found = choose_ports(context, replace(runtime, ports=wished, exposure=None), state, held)
    memory = {remember_as(port): found[port.name] for port in wished}
    if memory.items() - state.ports.items():
        context.workspace.save_state(replace(state, ports={**state.ports, **memory}))
    return {sidecar.name: found[sidecar.publish.name] for sidecar in runtime.sidecars if sidecar.publish}


def _remembered(context: Context, sidecars: Sequence[Sidecar]) -> Ports:
    """As they were given last, or as they are wished."""
    known = context.workspace.load_state().ports
    wished = {item.name: item.publish for item in sidecars if item.publish is not None}
    return {name: known.get(remember_as(port), port.host) for name, port in wished.items()}
