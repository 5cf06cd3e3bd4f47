"""The engine as the rest of devbox sees it: one object, all verbs, our nouns.

Owns nothing itself; the verbs live in the module of their phase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters.engine.containers import ContainerVerbs
from builder.adapters.engine.execs import ExecVerbs
from builder.adapters.engine.export import ExportVerbs
from builder.adapters.engine.failures import point_at
from builder.adapters.engine.helpers import HelperVerbs
from builder.adapters.engine.host import EngineHost, find_host
from builder.adapters.engine.registry import RegistryVerbs
from builder.adapters.engine.resources import ResourceVerbs
from builder.errors import BuildError, EngineError

if TYPE_CHECKING:
    from builder.model import BuildEvent, RenderedTree, ServiceSpec


class Engine(ContainerVerbs, ResourceVerbs, RegistryVerbs, ExportVerbs, ExecVerbs, HelperVerbs):
    """A container engine that answered. Every method raises EngineError, and only that, when it fails."""

    def __init__(self, host: EngineHost) -> None:
        super().__init__(host)
        self._builds: set[str] = set()

    def create(self, spec: ServiceSpec) -> str:
        """Make the workstation's network, volumes and container (not started); the container's id.

        What is there and ours is taken as it is. Something foreign of the same name is an EngineError that names it.
        """
        image = self.find_image(spec.image)
        if image is None:
            raise EngineError(f"the image {spec.image} is not on the engine", hint="`devbox build` makes it")
        self.ensure_network(spec)
        for volume in spec.volumes:
            self.ensure_volume(spec, volume)
        return self.create_container(spec, image.id)

    def build(
        self,
        tree: RenderedTree,
        folders: Mapping[str, Path],
        tag: str,
        on_event: Callable[[BuildEvent], None],
        *,
        secrets: Mapping[str, bytes] | None = None,
        fresh: bool = False,
        target: str | None = None,
    ) -> str:
        """Build `tree`, with local `folders` below their prefixes, into the image `tag`; its id. With BuildKit it may
        be that of a stage, the `target`.

        See `buildkit`, and `buildah` for podman. What they take to import is left to who builds.
        """
        import uuid

        from builder.adapters import buildah
        from builder.adapters.buildcontext import read_context
        from builder.adapters.buildkit import build_image

        if self.kind == "podman":
            context = read_context(buildah.with_secrets(tree, secrets or {}), folders)
            return buildah.build_image(self, context, tag=tag, on_event=on_event, secrets=secrets or (), fresh=fresh)
        build_id = uuid.uuid4().hex
        self._builds.add(build_id)
        try:
            return build_image(
                self,
                lambda: read_context(tree, folders),
                tag=tag,
                on_event=on_event,
                secrets=secrets,
                fresh=fresh,
                build_id=build_id,
                target=target,
            )
        except BuildError as error:
            error.hint = point_at(error.hint, self.host.remote)
            raise
        finally:
            self._builds.discard(build_id)

    def machine(self) -> str:
        """The name of the other machine that it is on."""
        return ""

    def give_secrets(self, project: str, folder: str) -> None:
        """Let a workstation see what its folder of secrets holds now. On this machine it has that folder itself."""

    def forward(self, container: str, inside: int, here: int) -> tuple[str, int]:
        """Address and port of this machine that lead to a port inside that is not published."""
        raise EngineError(
            f"{container} runs on this machine: nothing is between it and you",
            hint=f"`ports: {{dev: [{inside}]}}` in devbox.yaml publishes that port",
        )

    def cancel_builds(self) -> None:
        """End the builds that other threads wait for; they fail then. Those of podman go on to their end."""
        from builder.adapters.buildkit import cancel_build

        for build_id in tuple(self._builds):
            cancel_build(self, build_id)


def connect_engine(environment: Mapping[str, str]) -> Engine:
    """Find the engine as Docker's client would (see `host`), try it, agree on a version. Takes at most 5 s to fail."""
    return Engine(find_host(environment))
