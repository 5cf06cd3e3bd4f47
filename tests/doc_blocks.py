"""The command blocks of README.md and docs/: which are run by a test, and why the others are not.

A block is fenced by ``` with the language sh or console, or is an answer of devbox without a language. Every line that
is a command stands in exactly one of the tables below; `tests/unit/test_doc_blocks.py` holds that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/reference/*.md")))


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    language: str
    text: str

    def commands(self) -> Iterator[str]:
        """The lines that a person types, without comments."""
        for line in self.text.splitlines():
            if self.language == "console":
                if line.startswith("$ "):
                    yield line[2:].strip()
            elif self.language == "sh" and (plain := re.sub(r"\s+#.*|^#.*", "", line).strip()):
                yield plain


def find_blocks() -> list[Block]:
    return [
        Block(str(page.relative_to(ROOT)), language, text)
        for page in PAGES
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    ]


def find_commands() -> list[str]:
    return [command for block in find_blocks() for command in block.commands()]


# Without an engine, in tests/unit/test_doc_blocks.py.
HERE: Final = (
    "devbox --show-completion",
    "devbox devcontainer",
    "devbox init",
    "devbox init --ci github",
    "devbox schema --output .workstation/devbox.schema.json",
    "devbox tools",
)

# On one headless workstation, in this order, in tests/engine/test_doc_blocks.py.
ON_A_WORKSTATION: Final = (
    "devbox up",
    "devbox list",
    "devbox status",
    "devbox tool show mine",
    "devbox exec git --version",
    "devbox stop",
    "devbox start",
    "devbox verify --skip timing,health,resources",
    "devbox verify --only doors,ports",
    "devbox sbom --output image.cdx.json",
    "devbox sbom --format spdx --output image.spdx.json",
    "devbox prune --dry-run",
    "devbox down --volumes",
)

# Why no test of these pages runs them.
ELSEWHERE: Final = {
    "devbox host check ssh://me@build.example.org": "tests/engine/test_remote.py, with another address",
    "devbox host setup ssh://me@build.example.org": "tests/engine/test_host_setup.py, with another address",
    "devbox up --host ssh://me@build.example.org": "tests/engine/test_remote.py",
    "devbox up --host ssh://me@build.example.org --build-here": "tests/engine/test_remote.py",
    "devbox cp report.pdf :projects": "tests/engine/test_doc_blocks.py, with other paths",
    "devbox cp :projects/app/build .": "tests/engine/test_doc_blocks.py, with other paths",
    "tar -c src | devbox cp - :projects/app": "tests/unit/tasks/test_copying.py: a tar goes in as it is",
    "devbox tunnel status": "tests/engine/test_remote.py",
    "devbox tunnel stop": "tests/engine/test_remote.py",
    "devbox hosts": "tests/engine/test_remote.py",
    "devbox ssh-config >>~/.ssh/config": "tests/engine/test_remote.py, with another file",
    "rsync -a --delete ./src/ NAME:projects/src/": "no rsync among the test tools; tried by hand, 26 Nov 2026",
    "sshfs NAME:projects ./projects": "no sshfs among the test tools; tried by hand, 26 Nov 2026",
    "make up": "CI and `make bench` do it on a bare machine; a test would set up what it runs on",
    "make test": "it is what runs the tests",
    "pip wheel --no-deps --wheel-dir dist .": "tests/unit/test_wheel.py builds it with the same words",
    "pipx install dist/devbox_workstation-0.1.0-py3-none-any.whl": "tests/unit/test_wheel.py installs by pip; no pipx",
    "uv tool install dist/devbox_workstation-0.1.0-py3-none-any.whl": "the same; uv is not among the test tools",
    "pipx uninstall devbox-workstation": "no pipx among the test tools",
    "devbox --install-completion": "it writes into the shell settings of who runs the tests",
    "devbox prune": "tests/engine/test_uninstall.py, which has an engine of its own",
    "devbox uninstall": "tests/engine/test_uninstall.py",
    "devbox backup": "tests/engine/test_backup.py, which has a place for it",
    "devbox backups": "tests/engine/test_backup.py",
    "devbox restore": "tests/engine/test_backup.py",
    "devbox password backup --set": "tests/engine/test_backup.py",
    "devbox build": "tests/engine/test_reproducible.py: a build from nothing takes a minute",
    "devbox build --no-cache --tag again:1": "tests/engine/test_reproducible.py",
    "devbox compare again:1": "tests/engine/test_reproducible.py",
    "devbox build && devbox push": "tests/engine/test_shared_images.py, which has a registry",
    "docker-registry serve registry.yaml": "tests/engine/test_shared_images.py starts one of its own",
    "devbox sbom --image devbox/workstation:870f3cf93eb1": "the image of the example; tests/engine/test_sbom.py",
    "devbox outdated": "tests/unit/tasks/test_difference.py: it asks every mirror",
    "devbox rollback": "tests/engine/test_update.py",
    "devbox up --frozen": "tests/engine/test_lock.py",
    "devbox up --update": "tests/engine/test_update.py",
    "devbox verify": "tests/engine/test_canary.py and test_verify.py, on the desktop: 20 s",
    "devbox verify --skip timing": "tests/engine/test_podman.py, among the long ones; the next line is a part of it",
    "devbox verify --strict": "tests/engine/test_verify.py: it fails where anything was substituted, as in CI",
    "devbox verify --image devbox/workstation:latest": "the image of the example; tests/engine/test_verify.py",
    "devbox verify --junit verify/junit.xml --report verify": "tests/engine/test_verify.py",
}
