"""Packages are counted from apt's own words, and every instruction finds the step that it was rendered from."""

from __future__ import annotations

from builder.core.progress import AptProgress, count_instructions, map_steps
from builder.model import EMPTY, BaseAnswer, Plan, Retrieval, Step

APT = """\
Reading package lists...
1 upgraded, 2 newly installed, 0 to remove and 3 not upgraded.
Get:1 http://mirror bookworm/main amd64 a amd64 1 [1 kB]
Selecting previously unselected package a.
Preparing to unpack .../a_1_amd64.deb ...
Unpacking a (1) ...
Unpacking libb:amd64 (1:2.3-4+b1) ...
Unpacking c (2) over (1) ...
Setting up a (1) ...
Setting up libb:amd64 (1:2.3-4+b1) ...
Processing triggers for man-db (2) ...
Setting up c (2) ...
"""


def test_apt_counts_a_package_half_when_it_is_unpacked() -> None:
    progress = AptProgress()
    seen = [(progress.done, progress.total) for line in APT.splitlines() if progress.read(line)]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_second_apt_of_the_same_step_adds_up() -> None:
    progress = AptProgress()
    for line in (APT + APT).splitlines():
        progress.read(line)
    assert (progress.done, progress.total) == (6, 6)


def test_more_packages_than_announced_never_exceed_the_total() -> None:
    progress = AptProgress()
    for line in ["0 upgraded, 1 newly installed, 0 to remove", *["Setting up x (1) ..."] * 9]:
        progress.read(line)
    assert (progress.done, progress.total) == (1, 1)


def step(name: str, kind: str) -> Step:
    return Step(name=name, kind=kind, id=name, summary=name, origin=f"images/{name}.yaml", options={}, parents=())


DOCKERFILE = """\
# Made by devbox.
FROM devbox/base:1 AS base
# A comment of the template.
RUN rm -f /x

# claude-code: images/claude-code.yaml
FROM base AS npm-claude
SHELL ["/bin/sh", "-euc"]
RUN --mount=type=cache,target=/root/.npm \\
    npm install \\
        # inside
        --global claude

FROM base AS workstation
# apt: images/apt.yaml
RUN apt-get update \\
    && apt-get install \\
        a \\
        b
# apt:htop: images/apt:htop.yaml
RUN apt-get update
COPY --from=npm-claude /out/ /
"""


def make_plan(*steps: Step) -> Plan:
    fields = dict.fromkeys(Plan.__dataclass_fields__)
    base = BaseAnswer(name="debian-12", reference="b", how=Retrieval.LOCAL, identity="i")
    return Plan(**{**fields, "base": base, "steps": steps, "environment": EMPTY, "labels": EMPTY})  # type: ignore[arg-type]


def test_only_instructions_that_the_builder_tells_of_are_counted() -> None:
    plan = make_plan(step("claude-code", "npm"), step("apt", "apt"), step("apt:htop", "apt"))
    assert count_instructions(DOCKERFILE, plan) == {"claude-code": 1, "apt": 1, "apt:htop": 2}


def test_instruction_is_known_by_its_stage_and_text() -> None:
    find = map_steps(DOCKERFILE, make_plan(step("claude-code", "npm"), step("apt", "apt"), step("apt:htop", "apt")))

    def name(vertex: str) -> str | None:
        found = find(vertex)
        return found.name if found else None

    npm = "RUN --mount=type=cache,target=/root/.npm     npm install         --global claude"
    assert name(f"[npm-claude 1/1] {npm}") == "claude-code"
    assert name("[workstation 1/3] RUN apt-get update     && apt-get install         a         b") == "apt"
    assert name("[workstation 2/3] RUN apt-get update") == "apt:htop"
    assert name("[workstation 3/3] COPY --from=npm-claude /out/ /") == "apt:htop"
    assert name("[base 2/2] RUN rm -f /x") is None
    assert name("[internal] load build definition from Dockerfile") is None
    assert name("exporting to image") is None
