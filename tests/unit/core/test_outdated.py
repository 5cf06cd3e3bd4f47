"""`devbox outdated`: what two locks that answer the same question differ in."""

from __future__ import annotations

import dataclasses

from builder.core.lock import AptPackage, Lock, LockedBase, Recipe, Wanted
from builder.core.lock_npm import NpmPackage
from builder.core.lock_python import PythonPackage
from builder.core.outdated import Outdated, find_outdated
from builder.model import Retrieval

TOOL = "@team/tool"


def npm(name: str, version: str) -> NpmPackage:
    return NpmPackage(name=name, version=version, integrity=f"sha512-{version}", path=f"node_modules/{name}")


def deb(name: str, version: str) -> AptPackage:
    return AptPackage(name=name, version=version, architecture="amd64", step="apt")


LOCK = Lock(
    devbox="0.1.0",
    wanted=Wanted(
        profile="headless", arch="amd64", base="debian-12", image="debian:12-slim", npm={"tool": f"{TOOL}@1.0.0"}
    ),
    base=LockedBase(name="debian-12", image="debian@sha256:1", identity="sha256:1", how=Retrieval.PULL),
    recipe=Recipe(templates="t", rootfs="r"),
    commits={"framework:git": "0" * 40},
    apt=(deb("curl", "7.88.1-10"), deb("git", "2.39.2-1")),
    npm={"tool": (npm(TOOL, "1.0.0"), npm("ms", "2.1.2"))},
    python={"framework:path": (PythonPackage(name="tabulate", version="0.9.0", sha256=("a" * 64,)),)},
)


def test_the_same_answers_are_nothing_newer() -> None:
    assert find_outdated(LOCK, LOCK) == ()
    assert find_outdated(LOCK, LOCK, {"tool": "1.0.0"}) == ()


def test_each_kind_of_package_is_told_with_both_versions_and_what_brings_it() -> None:
    now = dataclasses.replace(
        LOCK,
        base=dataclasses.replace(LOCK.base, identity="sha256:2"),
        commits={"framework:git": "1" * 40},
        apt=(deb("curl", "7.88.1-11"), deb("git", "2.39.2-1")),
        npm={"tool": (npm(TOOL, "1.0.0"), npm("ms", "2.1.3"))},
        python={"framework:path": (PythonPackage(name="tabulate", version="0.10.0", sha256=("b" * 64,)),)},
    )
    assert find_outdated(LOCK, now) == (
        Outdated(kind="base", name="debian-12", of="base", locked="sha256:1", update="sha256:2"),
        Outdated(kind="deb", name="curl", of="apt", locked="7.88.1-10", update="7.88.1-11"),
        Outdated(kind="npm", name="ms", of="tool", locked="2.1.2", update="2.1.3"),
        Outdated(kind="pypi", name="tabulate", of="framework:path", locked="0.9.0", update="0.10.0"),
        Outdated(kind="git", name="framework:git", of="framework:git", locked="0" * 40, update="1" * 40),
    )


def test_what_an_update_would_add_or_drop_has_one_version() -> None:
    now = dataclasses.replace(LOCK, apt=(deb("curl", "7.88.1-10"), deb("libnew", "1")))
    found = [(item.name, item.locked, item.update) for item in find_outdated(LOCK, now)]
    assert found == [("git", "2.39.2-1", ""), ("libnew", "", "1")]


def test_a_version_that_devbox_yaml_holds_to_is_told_beside_the_newest() -> None:
    found = find_outdated(LOCK, LOCK, {"tool": "2.0.0"})
    assert found == (Outdated(kind="npm", name=TOOL, of="tool", locked="1.0.0", update="1.0.0", newest="2.0.0"),)


def test_a_package_in_several_versions_is_one_row() -> None:
    several = (
        npm(TOOL, "1.0.0"),
        npm("ms", "2.1.2"),
        dataclasses.replace(npm("ms", "1.0.0"), path="node_modules/x/node_modules/ms"),
    )
    (row,) = find_outdated(LOCK, dataclasses.replace(LOCK, npm={"tool": several}))
    assert (row.name, row.update) == ("ms", "1.0.0, 2.1.2")
