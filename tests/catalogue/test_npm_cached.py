"""npm-cached without its build stage: what npm's cache holds is installed without a registry, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.catalogue.test_npm_require import NODE, NPM, pack

SCRIPT = Path(__file__).parents[2] / "images/rootfs/node/usr/lib/devbox/npm-cached"
ARCHIVE = pack({"name": "top", "version": "1.0.0"})
SUM = hashlib.sha512(ARCHIVE)

pytestmark = pytest.mark.skipif(not NPM.is_dir(), reason="there is no npm beside a node here")


@pytest.mark.parametrize("held", [None, b"rotten", ARCHIVE], ids=["nothing", "rotten", "whole"])
def test_npm_installs_what_its_cache_holds_whole_and_asks_nobody(tmp_path: Path, held: bytes | None) -> None:
    root = {"name": "devbox", "private": True, "dependencies": {"top": "1.0.0"}}
    integrity = f"sha512-{base64.b64encode(SUM.digest()).decode()}"
    entries = {"": root, "node_modules/top": {"version": "1.0.0", "integrity": integrity}}
    lock = {"name": "devbox", "lockfileVersion": 3, "packages": entries}
    (tmp_path / "package.json").write_text(json.dumps(root))
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    if held is not None:
        hexed = SUM.hexdigest()
        place = tmp_path / ".npm/_cacache/content-v2/sha512" / hexed[:2] / hexed[2:4] / hexed[4:]
        place.parent.mkdir(parents=True)
        place.write_bytes(held)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([str(NODE), str(SCRIPT), str(tmp_path)], check=True, env=environment)
    argv = [str(NODE), str(NPM / "bin/npm-cli.js"), "ci", "--offline", "--no-audit"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    is_whole = held == ARCHIVE
    assert (done.returncode == 0) == is_whole, done.stderr
    assert (tmp_path / "node_modules/top/package.json").is_file() == is_whole
