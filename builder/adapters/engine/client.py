"""The engine as the rest of devbox sees it: one object, all verbs, our nouns.

Owns nothing itself; the verbs live in the module of their phase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.adapters.buildcontext import read_context
from builder.adapters.buildkit import build_image
from builder.adapters.engine.containers import ContainerVerbs
from builder.adapters.engine.execs import ExecVerbs
from builder.adapters.engine.export import ExportVerbs
from builder.adapters.engine.host import find_host
from builder.adapters.engine.images import ImageVerbs
from builder.adapters.engine.resources import ResourceVerbs
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.model import BuildEvent, RenderedTree, ServiceSpec


class Engine(ContainerVerbs, ResourceVerbs, ImageVerbs, ExportVerbs, ExecVerbs):
    """A container engine that answered. Every method raises EngineError, and only that, when it fails."""

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
    ) -> str:
        """Build `tree`, with local `folders` below their prefixes, into the image `tag`; its id. See `buildkit`."""
        return build_image(self, read_context(tree, folders), tag=tag, on_event=on_event, secrets=secrets)


def connect_engine(environment: Mapping[str, str]) -> Engine:
    """Find the engine as Docker's client would (see `host`), try it, agree on a version. Takes at most 5 s to fail."""
    return Engine(find_host(environment))
