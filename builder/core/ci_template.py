"""The CI files that `devbox init --ci` writes: they bring the workstation up, verify it, and keep the results.

Owns the words of these files. Both work as they stand; neither names a registry, so that a mirror stays a setting of
the CI system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

VERIFY: Final = "devbox verify --junit verify/junit.xml --report verify"

_GITHUB: Final = f"""\
# Written by `devbox init --ci github`: proves on every change that the workstation of devbox.yaml keeps its promises.
name: devbox
on:
  push:
  pull_request:
permissions:
  contents: read
jobs:
  verify:
    runs-on: ubuntu-22.04
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - name: Install devbox
        run: python3 -m pip install devbox-workstation
      - name: Start the workstation
        run: devbox up
      - name: Verify it
        run: {VERIFY}
      - name: Keep the results
        if: always()
        uses: actions/upload-artifact@v4
        with:
          name: devbox-verify
          path: verify
          if-no-files-found: ignore
      - name: Show the log of a workstation that failed
        if: failure()
        run: devbox logs --tail 200
"""

# The engine runs beside the job's own commands and not as a service of its own: devbox hands secrets to the container
# as files, and tries its doors on 127.0.0.1. That needs a privileged runner, as any Docker in Docker does.
_GITLAB: Final = f"""\
# Written by `devbox init --ci gitlab`: proves on every change that the workstation of devbox.yaml keeps its promises.
# Needs a runner for Docker in Docker (privileged); the engine runs inside the job.
devbox:
  image: docker:27-dind
  timeout: 30 minutes
  variables:
    DOCKER_TLS_CERTDIR: ""
    DOCKER_HOST: unix:///var/run/docker.sock
  before_script:
    - apk add --no-cache python3 py3-pip
    - python3 -m venv /opt/devbox
    - /opt/devbox/bin/python -m pip install devbox-workstation
    - export PATH=/opt/devbox/bin:$PATH
    - dockerd >/var/log/dockerd.log 2>&1 &
    - timeout 60 sh -c 'until docker info >/dev/null 2>&1; do sleep 1; done'
  script:
    - devbox up
    - {VERIFY}
  artifacts:
    when: always
    paths: [verify]
    reports:
      junit: verify/junit.xml
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CiFile:
    path: str  # relative to the workspace
    text: str


CI_FILES: Final[Mapping[str, CiFile]] = {
    "github": CiFile(path=".github/workflows/devbox.yml", text=_GITHUB),
    "gitlab": CiFile(path=".gitlab-ci.yml", text=_GITLAB),
}
