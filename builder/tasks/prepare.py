"""From the folder to a plan, and from the plan to a container's description and the files that go with it.

Every verb that needs to know the plan goes through `prepare`. Changes nothing but what this machine remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.core.beside import give_variables
from builder.core.render import COMPOSE, DOCKERFILE, gather_files, render_compose
from builder.core.service import Site, make_service, name_volumes
from builder.core.variables import is_free_name
from builder.errors import ConfigError, HostError
from builder.model import Keys, Note, RenderedTree, Runtime, ServiceSpec, Substitution
from builder.tasks.demand import USE, Demand
from builder.tasks.layout import Prepared, Request, lay_out, read_catalog, read_our_project, read_request
from builder.tasks.lock import find_lock
from builder.tasks.owner import follow, remember
from builder.tasks.send import builder_of
from builder.tasks.sidecars import describe_beside

if TYPE_CHECKING:
    from builder.tasks.headstart import HeadStart
    from builder.tasks.interfaces import Context

__all__ = ["Prepared", "Request", "lay_out", "prepare", "read_catalog", "read_our_project", "read_request"]


def prepare(
    context: Context,
    *,
    request: Request | None = None,
    ask: bool = True,
    demand: Demand = USE,
    head: HeadStart | None = None,
) -> Prepared:
    """Plan the image. `request` is what was read already; `ask=False` takes every source as it is named; `demand` says
    how far the lock binds; with `head` the build may begin before all is known.

    Raises LockError for a lock that cannot be used.
    """
    request = request or read_request(context)
    lock = find_lock(builder_of(context), request, demand, head) if ask else None
    prepared = replace(lay_out(context, request, lock), head=head)
    return replace(prepared, offline=True, registry=None) if demand.offline else prepared


# ------------------------------------------------------------------------------------------------- the service


def say_substitutions(context: Context, substitutions: tuple[Substitution, ...]) -> None:
    for item in substitutions:
        context.report(Note(text=str(item), level="warning"))


def ensure_keys(context: Context, runtime: Runtime) -> tuple[Keys, bool]:
    """The secrets of a workstation, and whether those of its web door are new; with the variables that are handed in.
    Raises ConfigError for a given certificate that will not do."""
    follow(context, runtime.project)
    root = context.workspace.root
    token = context.handed.ensure_environment(runtime.project, root, _handed_in(context, runtime))
    renewed = context.keys.ensure_web(runtime.project, root, runtime.exposure, context.addresses())
    keys = context.keys.ensure(runtime.project, root, runtime.authorized_keys, reader=runtime.reader)
    remember(context, runtime.project)
    return replace(keys, environment=token), renewed


def _handed_in(context: Context, runtime: Runtime) -> Mapping[str, str]:
    """What no label and no compose.yaml may show. `environment` of devbox.yaml wins."""
    root = context.workspace.root
    passwords = {
        sidecar.name: context.handed.ensure_sidecar(runtime.project, root, sidecar.name).reveal()
        for sidecar in runtime.sidecars
    }
    given = {**give_variables(runtime, passwords), **_read_env_files(context, runtime)}
    return {name: value for name, value in given.items() if name not in runtime.environment}


def _read_env_files(context: Context, runtime: Runtime) -> Mapping[str, str]:
    """The later file wins. What only the workstation itself may set is left out, and said: such files are often made
    for other programs, too. Raises ConfigError for one that devbox.yaml names and that is not there."""
    found: dict[str, str] = {}
    for path in runtime.env_files:
        try:
            values = context.handed.read_file(path)
        except (ConfigError, HostError) as error:
            if runtime.env_files_named:
                raise
            # It lies here for another program, maybe, and nobody asked for it.
            text = f"not read: {error.where}: {error.message}; `env_file: false` says so for good"
            context.report(Note(text=text, level="warning"))
            continue
        if values is None and runtime.env_files_named:
            raise ConfigError("there is no such file", where=path, hint="`env_file` of devbox.yaml names it")
        found |= values or {}
    taken = sorted(name for name in found if not is_free_name(name))
    if taken:
        text = f"not taken from {', '.join(runtime.env_files)}: {', '.join(taken)}, which belong to the workstation"
        context.report(Note(text=text, level="warning"))
    return {name: value for name, value in found.items() if name not in taken}


def is_alone(context: Context, runtime: Runtime) -> bool:
    """Whether a workstation is one container with secrets of its own making, so that to start it is all that an `up`
    has to do where nothing changed (`tasks.again`)."""
    beside = runtime.sidecars or runtime.hooks or runtime.dotfiles or runtime.exposure or runtime.authorized_keys
    return not beside and not any(_may_be_there(context, path) for path in runtime.env_files)


def _may_be_there(context: Context, path: str) -> bool:
    try:
        return context.handed.read_file(path) is not None
    except (ConfigError, HostError):
        return True  # and it is said what is wrong with it, each time


def current_volumes(context: Context, project: str) -> Mapping[str, str]:
    """Key -> name of the volumes that the workstation uses, whether they are there or not."""
    chosen = context.backups.volumes(project, context.workspace.root)
    return name_volumes(context.assets.service, project, chosen)


def make_spec(context: Context, prepared: Prepared, keys: Keys, ports: dict[str, int]) -> ServiceSpec:
    site = Site(
        workspace=str(context.workspace.root),
        secrets_dir=keys.folder,
        ports=ports,
        environment=keys.environment,
        authority=keys.authority,
        volumes=context.backups.volumes(prepared.resolved.runtime.project, context.workspace.root),
    )
    return make_service(prepared.plan, prepared.resolved.runtime, site, context.assets.service)


def move_in(context: Context, spec: ServiceSpec) -> ServiceSpec:
    """`spec` with the volumes that are in use now: since it was made a restore may have come, and data stays."""
    names = current_volumes(context, spec.project)
    volumes = tuple(replace(volume, name=names.get(volume.key, volume.name)) for volume in spec.volumes)
    return replace(spec, volumes=volumes)


def check_files(context: Context, prepared: Prepared) -> None:
    """Before anything is made. Raises HostError where something is in the way of a file that is written later."""
    copied = gather_files(
        prepared.plan,
        rootfs=prepared.rootfs,
        projects=prepared.projects,
        locked=prepared.answers.packages,
        closures=prepared.answers.closures,
    )
    context.workspace.check_names((DOCKERFILE, COMPOSE, *copied))


def render_files(context: Context, prepared: Prepared, spec: ServiceSpec) -> RenderedTree:
    """What the image is made of, and compose.yaml of the container of `spec` and its sidecars."""
    beside = describe_beside(context, prepared)
    compose = render_compose(spec, beside, templates=context.assets.templates, version=context.assets.version)
    return {**prepared.image_tree, **compose}


def write_files(context: Context, prepared: Prepared, spec: ServiceSpec) -> RenderedTree:
    """Render them into the workspace."""
    tree = render_files(context, prepared, spec)
    context.workspace.write_tree(tree)
    return tree


def write_files_ahead(context: Context, prepared: Prepared, spec: ServiceSpec) -> None:
    """Before `spec` was proved: compose.yaml stays that of the last one that could be used, for whoever starts that."""
    proved = context.histories.load(spec.project).current
    write_files(context, prepared, spec if proved is None else move_in(context, proved.spec))
