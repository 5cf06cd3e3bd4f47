"""npm-ask without its build stage: what it adds to a lock of npm, and whom it asks for that."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.npm_registry import serve_registry

SCRIPT = Path(__file__).parents[2] / "images/rootfs/node/usr/lib/devbox/npm-ask"
NODE = Path(shutil.which("node") or "none").resolve()
NPM = NODE.parents[1] / "lib/node_modules/npm"
PROCESSOR = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, "")
ARCHIVE = b"an archive that nobody fetches"
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(ARCHIVE).digest()).decode()
# npm 9 in the place of the machine's own: no `libc` in its lock. Each call is noted down.
OLD_NPM = """
const fs = require("fs");
const words = process.argv.slice(2);
fs.appendFileSync(process.env.CALLS, words.find(word => !word.startsWith("--")) + "\\n");
const { spawnSync } = require("child_process");
const { status } = spawnSync(process.execPath, [process.env.NPM, ...words], { stdio: "inherit" });
if (fs.existsSync("package-lock.json")) {
    const lock = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
    for (const entry of Object.values(lock.packages)) delete entry.libc;
    fs.writeFileSync("package-lock.json", JSON.stringify(lock));
}
process.exit(status);
"""

pytestmark = pytest.mark.skipif(not NPM.is_dir(), reason="there is no npm beside a node here")


@dataclass
class Registry:
    """Two packages: `top`, and `@fast/linux`, which is optional and for one C library."""

    archives: str = "-/linux-1.0.0.tgz"  # where it says that the second one lies
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, here: str) -> bytes | None:
        self.asked.append(path)
        top: dict[str, object] = {"name": "top", "version": "1.0.0", "optionalDependencies": {"@fast/linux": "1.0.0"}}
        fast: dict[str, object] = {"name": "@fast/linux", "version": "1.0.0", "libc": ["glibc"], "os": ["linux"]}
        dist = {"integrity": INTEGRITY}
        match path:
            case "/top":
                package = {**top, "dist": {**dist, "tarball": f"{here}/top/-/top-1.0.0.tgz"}}
            case "/@fast%2flinux":
                tarball = f"{here}/@fast/linux/{self.archives}"
                package = {**fast, "cpu": [PROCESSOR], "dist": {**dist, "tarball": tarball}}
            case _:
                return None
        described = {"name": package["name"], "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": package}}
        return json.dumps(described).encode()


@pytest.fixture
def old_node(tmp_path: Path) -> Path:
    """A Node beside which the older npm lies."""
    npm = tmp_path / "node/lib/node_modules/npm"
    for folder in (npm / "bin", npm / "node_modules", tmp_path / "node/bin"):
        folder.mkdir(parents=True)
    (npm / "bin/npm-cli.js").write_text(OLD_NPM)
    (npm / "node_modules/cacache").symlink_to(NPM / "node_modules/cacache")
    return Path(shutil.copy(NODE, tmp_path / "node/bin/node"))


def ask(node: Path, folder: Path, registry: Registry) -> tuple[dict[str, Any], list[str]]:
    """What the lock says of the optional package, and what npm was called for."""
    (folder / "home").mkdir()
    with serve_registry(registry.answer) as address:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "CALLS": str(folder / "calls"),
            "NPM": str(NPM / "bin/npm-cli.js"),
            "NPM_CONFIG_REGISTRY": address,
        }
        subprocess.run([str(node), str(SCRIPT), "top@1.0.0", str(folder / "answer")], env=environment, check=True)
    lock = json.loads((folder / "answer/package-lock.json").read_text())
    return lock["packages"]["node_modules/@fast/linux"], (folder / "calls").read_text().split()


def test_the_c_library_is_told_by_what_npm_has_heard_already(old_node: Path, tmp_path: Path) -> None:
    registry = Registry()
    entry, calls = ask(old_node, tmp_path, registry)
    assert entry["libc"] == ["glibc"]
    assert calls == ["install"]
    assert sorted(registry.asked) == ["/@fast%2flinux", "/top"]


def test_where_its_cache_cannot_be_read_npm_is_asked(old_node: Path, tmp_path: Path) -> None:
    """A registry whose archives lie elsewhere does not tell by their address under which one it was asked."""
    entry, calls = ask(old_node, tmp_path, Registry(archives="archive.tgz"))
    assert entry["libc"] == ["glibc"]
    assert calls == ["install", "view"]
