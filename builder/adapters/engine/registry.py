"""A registry for images as the engine reaches it: whether it has one, fetching that, and giving it one.

It is the engine that speaks with a registry, with its own network, proxy and trusted certificates. The logins are those
of the person, as the SDK finds them (config.json of Docker, its credential helpers), and travel in one header. Must not
know whose image it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import docker.auth
import requests.exceptions

from builder.adapters.engine.connection import reason
from builder.adapters.engine.failures import answer_error
from builder.adapters.engine.images import ImageVerbs, Progress, split_reference, tell_bytes
from builder.errors import EngineError

if TYPE_CHECKING:
    from builder.views import ImageView

LOOK_S: Final = 5.0  # a registry that does not say in this time whether it has an image is not waited for
NOT_FOUND: Final = 404
ABSENT: Final = ("manifest unknown", "name unknown", "no such manifest")  # as registries say that they have none


class RegistryVerbs(ImageVerbs):
    def fetch_shared(self, reference: str, on_progress: Progress) -> ImageView | None:
        """Pull an image, if its registry has it. Raises EngineError, for a registry that is silent in a few seconds."""
        if self.kind == "podman":  # its Docker API cannot be asked without a pull
            return self._pull_if_there(reference, on_progress)
        return self.pull(reference, on_progress) if self._is_shared(reference) else None

    def _pull_if_there(self, reference: str, on_progress: Progress) -> ImageView | None:
        try:
            return self.pull(reference, on_progress)
        except EngineError as error:
            if any(words in error.message for words in ABSENT):
                return None
            raise

    def _is_shared(self, reference: str) -> bool:
        doing = f"cannot ask for {reference}"
        with self.asking(doing):
            try:
                response = self._api.get(
                    f"{self._api.base_url}{self.prefix}/distribution/{reference}/json",
                    headers=self._login(reference),
                    timeout=LOOK_S,
                )
            except requests.exceptions.Timeout as error:
                raise EngineError(
                    f"{doing}: its registry did not answer within {LOOK_S:g} s",
                    hint="look at its address, and at the network, DNS and proxy of the engine",
                ) from error
        if response.status_code == NOT_FOUND:
            return False
        if response.status_code >= 400:
            raise answer_error(doing, response.status_code, reason(response), self.host)
        return True

    def push(self, reference: str, on_progress: Progress) -> str:
        """Give the image of that name to its registry; its digest there."""
        name, tag = split_reference(reference)
        doing, digest = f"cannot push {reference}", ""
        layers: dict[str, tuple[int, int]] = {}
        with self.asking(doing):
            login = self._login(reference)
        for message in self.stream(doing, f"/images/{name}/push", params={"tag": tag or "latest"}, headers=login):
            self._refuse_error(doing, message)
            tell_bytes(layers, message, on_progress)
            digest = str((message.get("aux") or {}).get("Digest", digest))
        return digest

    def _login(self, reference: str) -> Mapping[str, str]:
        """The header with the person's login for the registry of an image; an empty one without: a push wants one."""
        registry, _ = docker.auth.resolve_repository_name(split_reference(reference)[0])
        header = docker.auth.get_config_header(self._api, registry)
        return {"X-Registry-Auth": (header or docker.auth.encode_header({})).decode()}
