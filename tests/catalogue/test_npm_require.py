"""npm-require without its build stage: which packages of a lock `npm ci` may leave out, and which it may not."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.npm_registry import serve_registry

SCRIPT = Path(__file__).parents[2] / "images/rootfs/node/usr/lib/devbox/npm-require"
NODE = Path(shutil.which("node") or "none").resolve()
NPM = NODE.parents[1] / "lib/node_modules/npm"
FETCHED = "fetched"  # what is looked at without its script
ROOT: dict[str, Any] = {"name": "devbox", "private": True, "dependencies": {"top": "1.0.0"}}
FOREIGN: dict[str, Any] = {"optional": True, "cpu": ["wasm32"]}

pytestmark = pytest.mark.skipif(not NPM.is_dir(), reason="there is no npm beside a node here")


def require(folder: Path, packages: dict[str, dict[str, Any]], root: dict[str, Any] = ROOT) -> list[str]:
    """The packages of the lock in `folder` that npm may leave out in the end."""
    entries = {f"node_modules/{name}": {"version": "1.0.0", **entry} for name, entry in packages.items()}
    whole = {"": root, **entries}
    lock = {"name": "devbox", "lockfileVersion": 3, "packages": whole}
    (folder / "package.json").write_text(json.dumps(root))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    shutil.copy(folder / "package-lock.json", folder / "before.json")
    subprocess.run([str(NODE), str(SCRIPT), str(folder), str(folder / FETCHED)], check=True)
    written = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert written.keys() == whole.keys()
    return [path.removeprefix("node_modules/") for path, entry in written.items() if entry.get("optional")]


def top(*optional: str, **more: object) -> dict[str, dict[str, Any]]:
    return {"top": {"optionalDependencies": dict.fromkeys(optional, "1.0.0"), **more}}


def test_what_is_for_this_machine_has_to_be_there(tmp_path: Path) -> None:
    packages = {**top("fast", "other"), "fast": {"optional": True}, "other": FOREIGN}
    assert require(tmp_path, packages) == ["other"]


def test_with_a_package_for_elsewhere_goes_what_it_alone_needs(tmp_path: Path) -> None:
    """As of sharp, whose build for WebAssembly needs a package for any machine."""
    packages = {
        **top("wasm", "fast"),
        "wasm": {**FOREIGN, "dependencies": {"runtime": "1.0.0", "shared": "1.0.0"}},
        "fast": {"optional": True, "dependencies": {"shared": "1.0.0"}},
        "runtime": {"optional": True},
        "shared": {"optional": True},
    }
    assert require(tmp_path, packages) == ["wasm", "runtime"]


def test_with_a_package_for_elsewhere_goes_what_cannot_do_without_it(tmp_path: Path) -> None:
    packages = {**top("wrapper"), "wrapper": {"optional": True, "dependencies": {"other": "1.0.0"}}, "other": FOREIGN}
    assert require(tmp_path, packages) == ["wrapper", "other"]


def test_one_for_another_node_may_be_missing(tmp_path: Path) -> None:
    packages = {
        **top("new", "fast"),
        "new": {"optional": True, "engines": {"node": ">=999"}},
        "fast": {"optional": True},
    }
    assert require(tmp_path, packages) == ["new"]


def test_a_script_excuses_its_own_package_and_no_other(tmp_path: Path) -> None:
    packages = {
        **top("native", "fast"),
        "native": {"optional": True, "hasInstallScript": True, "dependencies": {"helper": "1.0.0"}},
        "helper": {"optional": True},
        "fast": {"optional": True},
    }
    assert require(tmp_path, packages) == ["native", "helper"]


def read_fetched(folder: Path) -> set[tuple[str, str, str]]:
    lock = json.loads((folder / FETCHED / "package-lock.json").read_text())
    entries = [entry for path, entry in lock["packages"].items() if path]
    return {(entry["name"], entry["version"], entry["integrity"]) for entry in entries}


def test_what_a_script_excuses_is_fetched_all_the_same(tmp_path: Path) -> None:
    """In each of its versions, and what goes with it; not what goes with a package for elsewhere."""
    native = {"optional": True, "hasInstallScript": True, "integrity": "sha512-aaaa"}
    packages = {
        **top("native", "wrapper", "other"),
        "native": {**native, "dependencies": {"helper": "1.0.0"}},
        "helper": {"optional": True, "integrity": "sha512-bbbb"},
        "wrapper": {"optional": True, "dependencies": {"native": "2.0.0"}, "integrity": "sha512-cccc"},
        "wrapper/node_modules/native": {**native, "version": "2.0.0"},
        "other": {**FOREIGN, "hasInstallScript": True},
    }
    require(tmp_path, packages)
    assert read_fetched(tmp_path) == {
        ("native", "1.0.0", "sha512-aaaa"),
        ("native", "2.0.0", "sha512-aaaa"),
        ("helper", "1.0.0", "sha512-bbbb"),
        ("wrapper", "1.0.0", "sha512-cccc"),
    }


def test_without_such_a_package_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    require(tmp_path, {**top("other"), "other": {**FOREIGN, "hasInstallScript": True}})
    assert not (tmp_path / FETCHED).exists()


def test_what_comes_inside_another_package_is_held_by_the_sum_of_that(tmp_path: Path) -> None:
    inner = {"inBundle": True, "optional": True}
    packages = {**top(bundleDependencies=["inner"], dependencies={"inner": "1.0.0"}), "top/node_modules/inner": inner}
    assert require(tmp_path, packages) == ["top/node_modules/inner"]


def pack(package: dict[str, object]) -> bytes:
    """A package as npm fetches it."""
    text = json.dumps(package).encode()
    member = tarfile.TarInfo("package/package.json")
    member.size = len(text)
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            archive.addfile(member, io.BytesIO(text))
        return buffer.getvalue()


def registry(package: dict[str, object], archive: bytes) -> AbstractContextManager[str]:
    """A registry that has this package and no other; its address."""

    def answer(path: str, here: str) -> bytes | None:
        told = {**package, "dist": {"tarball": f"{here}/archive"}}
        described = {"name": "top", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": told}}
        return {"/top": json.dumps(described).encode(), "/archive": archive}.get(path)

    return serve_registry(answer)


def install(folder: Path, address: str, *words: str) -> subprocess.CompletedProcess[str]:
    more = ("--no-audit", "--fetch-retries=0", f"--registry={address}", f"--cache={folder / 'cache'}", *words)
    argv = [str(NODE), str(NPM / "bin/npm-cli.js"), "ci", *more]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("is_required", [False, True])
def test_npm_fails_for_what_it_would_have_left_out(tmp_path: Path, is_required: bool) -> None:
    package: dict[str, object] = {"name": "top", "version": "1.0.0", "optionalDependencies": {"fast": "1.0.0"}}
    archive = pack(package)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    assert require(tmp_path, {**top("fast", integrity=integrity), "fast": {"optional": True}}) == []
    if not is_required:
        shutil.copy(tmp_path / "before.json", tmp_path / "package-lock.json")
    with registry(package, archive) as address:
        done = install(tmp_path, address)
    assert (done.returncode != 0) == is_required, done.stderr
    assert ("E404" in done.stderr) == is_required, done.stderr


@pytest.mark.parametrize("is_false", [False, True])
def test_a_false_sum_of_a_package_with_a_script_is_told(tmp_path: Path, is_false: bool) -> None:
    package: dict[str, object] = {"name": "top", "version": "1.0.0", "scripts": {"install": "touch ran"}}
    archive = pack(package)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive + b"x" * is_false).digest()).decode()
    scripted = {"optional": True, "hasInstallScript": True, "integrity": integrity}
    root = {"name": "devbox", "private": True, "optionalDependencies": {"top": "1.0.0"}}
    require(tmp_path, {"top": scripted}, root)
    with registry(package, archive) as address:
        left_out = install(tmp_path, address)
        looked_at = install(tmp_path / FETCHED, address, "--ignore-scripts")
    assert left_out.returncode == 0, left_out.stderr
    assert (tmp_path / "node_modules/top/ran").exists() == (not is_false)
    assert (looked_at.returncode != 0) == is_false, looked_at.stderr
    assert ("EINTEGRITY" in looked_at.stderr) == is_false, looked_at.stderr
    assert not (tmp_path / FETCHED / "node_modules/fetched-0/ran").exists()
