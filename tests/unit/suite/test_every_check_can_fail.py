"""No check that cannot fail: each is in the mutation table, or its failing case is here. Both lists are derived."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import builder.suite
from builder.model import Level
from builder.suite import desktop
from builder.suite.cases import Case
from builder.suite.registry import GROUPS
from builder.suite.results import Verdict
from builder.suite.subject import Subject
from tests.engine.mutations import MUTATIONS
from tests.golden.rendering import resolve
from tests.unit.suite.fakes import FakeEngine, make_subject, result_of

CONFIGS = (
    None,
    "profile: headless\n",
    "expose: true\n",
    "desktop: {server: tightvnc}\n",
    "tools: [locales]\nnpm: [typescript@5.4.5]\nbudgets: {idle_cpu: 1}\n",
)
CAUGHT = {id for mutation in MUTATIONS for id in mutation.caught}
MACHINE = {"uname -m": (0, "x86_64")}  # testinfra insists on it before it looks for a file
# What a tool declares, and what is made of that for each service, is one check with many names.
DECLARED = ("tooling", "health")
# Not to be broken on purpose on a real engine (privileged, the host's network, its socket): in test_cis, and here.
TOLD = ("cis",)
# What only a workstation that chose it has: broken on purpose there, in tests/engine/test_choices.py.
CHOSEN = ("desktop.browser", "desktop.browser-sandbox", "desktop.keyboard")


def registered() -> Iterator[Case]:
    """Every check that any of the configurations calls for; `own` has those of a person only."""
    for text in CONFIGS:
        resolved = resolve(text)
        subject = replace(make_subject(), resolved=resolved)
        for make in GROUPS.values():
            yield from make(subject)


def written() -> Iterator[Case]:
    """Every check that is a function of its own, whether a group knows of it or not."""
    for module in pkgutil.iter_modules(builder.suite.__path__, "builder.suite."):
        if module.name != "builder.suite.pytest_plugin":
            yield from (
                value for value in vars(importlib.import_module(module.name)).values() if isinstance(value, Case)
            )


CASES = {case.id: case for case in (*registered(), *written())}
OUTSIDE = sorted(set(CASES) - CAUGHT)


def nothing_works() -> Subject:
    """Every command fails, every phase is red, and no service is awaited for long."""
    red = json.dumps({"usable": False, "red": dict.fromkeys(desktop.PHASES, "it is gone")})
    services = "\n".join(f"{id.partition('.')[2]}/deadline:0.01" for id in CASES if id.startswith("health."))
    answers = {"probe check": (1, red), "*/deadline": (0, services), **MACHINE, "": (1, "")}
    engine = FakeEngine(
        answers=answers, told=everything_wrong(), image={}, history=("FROM x", "RUN apt update", "ADD x /")
    )
    subject = make_subject(engine)
    locked = replace(subject.resolved.runtime, level=Level.LOCKED, closed=("ssh",))
    return replace(subject, resolved=replace(subject.resolved, runtime=locked))


def everything_wrong() -> dict[str, Any]:
    """What the engine tells of a container that is wide open."""
    names = ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")
    socket = {"Type": "bind", "Source": "/etc", "Destination": "/run/docker.sock", "Propagation": "shared"}
    return {
        "Config": {"Env": []},
        "HostConfig": {
            **dict.fromkeys(names, "host"),
            "Privileged": True,
            "SecurityOpt": ["seccomp=unconfined"],
            "Devices": [{"PathOnHost": "/dev/kvm"}],
            "CgroupParent": "/",
        },
        "Mounts": [socket],
        "NetworkSettings": {"Networks": {"bridge": {}}, "Ports": {"22/tcp": [{"HostIp": "::", "HostPort": "22"}]}},
    }


def test_only_what_tools_declare_is_outside_the_mutation_table() -> None:
    assert [id for id in OUTSIDE if CASES[id].group not in (*DECLARED, *TOLD)] == list(CHOSEN)


@pytest.mark.parametrize("id", OUTSIDE)
def test_a_check_outside_the_mutation_table_fails_where_nothing_works(id: str) -> None:
    result = result_of(CASES[id], replace(nothing_works(), fresh=True))

    assert result.verdict is Verdict.FAILED
    assert "the check itself broke" not in result.found


def test_every_group_has_a_mutation_and_every_mutation_a_check() -> None:
    assert {id.partition(".")[0] for id in CAUGHT} == set(GROUPS)
    # Made by their mutations, of a substitution and of a declared check that nobody else has.
    assert sorted(CAUGHT - set(CASES)) == ["degraded.fonts", "framework.check.memory", "own.interpreter"]


def test_a_mutation_runs_the_groups_that_catch_it() -> None:
    for mutation in MUTATIONS:
        assert {id.partition(".")[0] for id in mutation.caught} <= set(mutation.groups), mutation.id
