"""The labels that devbox puts on what it makes. Owns their names only: every verb reads some, also the fastest."""

from __future__ import annotations

from typing import Final

LABEL_PREFIX: Final = "dev.devbox."
LABEL_BASE: Final = "dev.devbox.base"  # which base an image is, or stands on
LABEL_ARTIFACT: Final = "dev.devbox.artifact"  # an image that only builds copy from; which tool's
LABEL_PLAN: Final = "dev.devbox.plan"  # what the image was made of
LABEL_SPEC: Final = "dev.devbox.spec"  # what the container was made of; another one means a new container
LABEL_REQUESTED_BASE: Final = "dev.devbox.requested-base"
LABEL_EXPOSED: Final = "dev.devbox.exposed"  # as JSON: under which name, and the authority to trust; only where it is
LABEL_SUBSTITUTIONS: Final = "dev.devbox.substitutions"
LABEL_WORKSPACE: Final = "dev.devbox.workspace"  # the folder it belongs to
LABEL_EXPORT: Final = "dev.devbox.export"  # a container that is only looked into; by which process
LABEL_SECRETS: Final = "dev.devbox.secrets"  # a volume with a copy of secrets, on another machine; of which project
LABEL_PROCESS: Final = "dev.devbox.process"  # of a throw-away: whose it is; it goes when that process has gone
LABEL_HELPER: Final = "dev.devbox.helper"  # a container that works on volumes for a moment; for which process
LABEL_HELPER_IMAGE: Final = "dev.devbox.helper-image"  # an image that such containers are made of
LABEL_ENVIRONMENT: Final = "dev.devbox.environment"  # changes with the variables that are handed in; tells none of them
LABEL_SIDECAR: Final = "dev.devbox.sidecar"  # an image that was built for a sidecar
LABEL_SERVICE: Final = "com.docker.compose.service"
WORKSTATION: Final = "workstation"  # the service that a person works in; others are sidecars
