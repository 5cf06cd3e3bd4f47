"""Broken where it takes a measure or a while: substitutions, size, memory, start, health."""

from __future__ import annotations

from typing import Final

from tests.engine.mutations.ways import (
    PROBE,
    WM,
    XFDESKTOP,
    Edit,
    Mutation,
    budget,
    impatient,
    keep_running,
    one_substitution,
    only_service,
    profile_budget,
    untold,
)

MEASURES: Final = (
    Mutation(
        id="a substitution that no label tells",
        groups=("degraded",),
        caught=("degraded.told",),
        promise=one_substitution,
        spec=untold,
    ),
    Mutation(
        id="a substitution, strictly",
        groups=("degraded",),
        caught=("degraded.fonts",),
        promise=one_substitution,
        strict=True,
    ),
    Mutation(
        id="a fat layer",
        groups=("resources",),
        caught=("resources.image_mb",),
        promise=profile_budget("image_mb"),
        layer="RUN head -c 300000000 /dev/zero >/fat",
    ),
    Mutation(
        id="something eats memory",
        groups=("resources",),
        caught=("resources.idle_mb",),
        promise=profile_budget("idle_mb"),
        inside=keep_running('eaten = b"x" * 200_000_000'),
    ),
    Mutation(
        id="something eats the processor",
        groups=("resources",),
        caught=("resources.idle_cpu",),
        promise=budget(idle_cpu=10.0),
        inside="setsid sh -c 'while :; do :; done' >/dev/null 2>&1 &",
    ),
    Mutation(
        id="a slow start",
        groups=("timing",),
        caught=("timing.painted_s",),
        promise=profile_budget("painted_s"),
        edits=(Edit(file=f"{XFDESKTOP}/run", old="exec 2>&1\n", new="exec 2>&1\nsleep 3\n"),),
    ),
    Mutation(
        id="starts that do not succeed",
        groups=("timing",),
        caught=("timing.starts",),
        promise=budget(),
        edits=(Edit(file=f"{WM}/run", old="xfwm4 --", new="sleep 600 --"), impatient(WM, "20")),
    ),
    Mutation(
        id="a health probe that is always green",
        groups=("health",),
        caught=("health.xfwm4",),
        promise=only_service("xfwm4"),
        edits=(Edit(file=PROBE, old="    red = look_at_all(phases)\n", new="    red = {}\n"),),
    ),
    Mutation(
        id="a service that does not come back in time",
        groups=("health",),
        caught=("health.xfwm4",),
        promise=only_service("xfwm4"),
        edits=(
            Edit(file=f"{WM}/run", old="exec 2>&1\n", new="exec 2>&1\n[ ! -e /run/devbox/started ] || sleep 600\n"),
            Edit(file=f"{WM}/deadline", old="20\n", new="5\n"),
        ),
    ),
)
