"""What `up` decides: nothing to do, start again, make anew, build; and what it says when it cannot be used."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from builder.core.canonical import canonical_json
from builder.errors import BuildError, EngineError, LostEngineError, NotReadyError
from builder.model import BuildEvent, ExecResult, Note, PhaseReached, RenderedFile, StepProgress, TaskEnded
from builder.tasks.prepare import prepare
from builder.tasks.up import Outcome, bring_up
from tests.unit.tasks.fakes import World, make_container, make_image, probe_line

NAME = "my-app-workstation-1"
PROBE = "run /usr/lib/devbox/probe wait --timeout 120"
CREATE = [f"create {NAME}", "start id-my-app"]
RESTART = "s6-svc -wr -T 10000 -r /run/service/web"
VOLUMES = ["network my-app_default", "volume my-app_home", "volume my-app_projects"]
NEXT = f"{NAME}.next"
SWITCH = [f"create {NEXT}", "stop id-my-app", f"start id-{NEXT}", PROBE, "remove id-my-app", f"rename id-{NEXT} {NAME}"]


def up(world: World, *, recreate: bool = False) -> tuple[Outcome, list[str]]:
    """The outcome, and the acts of this `up` alone."""
    before = len(world.engine.acts)
    outcome = bring_up(world.context(), fingerprint="f", recreate=recreate)
    return outcome, world.engine.acts[before:]


@pytest.fixture
def world() -> World:
    """With a workstation that is up."""
    world = World()
    up(world)
    world.events.clear()
    return world


def test_from_nothing_it_pulls_builds_creates_starts_and_waits() -> None:
    outcome, acts = up(world := World())
    assert acts == ["pull ubuntu:22.04", "build", *VOLUMES, *CREATE, PROBE]
    assert outcome.changed
    assert outcome.phases == {"x": 0.2, "frame": 0.9}
    assert [event.phase for event in world.told(PhaseReached)] == ["x", "frame"]
    assert world.workspace.locks == ["up"]


def test_the_files_are_written_and_the_host_adds_its_own_to_the_build_alone(world: World) -> None:
    """What may hold a login is no file at all: steps ask for it by its name."""
    assert {"Dockerfile", "compose.yaml"} <= set(world.workspace.tree)
    (built,) = world.engine.built.values()
    assert world.engine.secrets == {"apt.conf": b"secret"}
    assert set(built) <= set(world.workspace.tree)


def test_what_was_found_is_remembered(world: World) -> None:
    state = world.workspace.state
    outcome, _ = up(world)
    assert (state.fingerprint, state.plan) == ("f", outcome.plan.id)
    assert state.spec == outcome.spec.labels["dev.devbox.spec"]
    assert state.ports == {"vnc=5901": 5901, "web=6080": 6080, "ssh=2222": 2222, "dev=3000": 3000}


def test_a_second_time_there_is_nothing_to_do(world: World) -> None:
    outcome, acts = up(world)
    assert acts == [PROBE]
    assert not outcome.changed


def test_what_was_stopped_is_started_again(world: World) -> None:
    world.engine.stop(NAME, 0)
    outcome, acts = up(world)
    assert acts == ["start id-my-app", PROBE]
    assert outcome.changed


def test_another_way_to_run_makes_the_container_anew_and_builds_nothing(world: World) -> None:
    world.config = "environment: {EDITOR: vim}"
    _, acts = up(world)
    assert acts[:-1] == [*VOLUMES, *SWITCH]
    assert acts[-1].startswith("tag ")
    assert f"{NAME} is made anew; its volumes are kept" in world.notes


def test_a_new_certificate_or_password_starts_the_web_door_anew_and_nothing_else(world: World) -> None:
    world.keys.web_is_new = True
    world.engine.answers["s6-svc"] = ExecResult(code=0, stdout=b"", stderr=b"")
    outcome, acts = up(world)
    assert not outcome.changed
    assert (world.engine.commands, acts) == ([RESTART], [PROBE])


def test_a_container_that_is_made_anew_reads_its_secrets_by_itself(world: World) -> None:
    world.keys.web_is_new = True
    up(world, recreate=True)
    assert world.engine.commands == []


def test_a_web_door_that_does_not_start_anew_is_told(world: World) -> None:
    world.keys.web_is_new = True
    world.engine.answers["s6-svc"] = ExecResult(code=111, stdout=b"", stderr=b"no such service")
    with pytest.raises(NotReadyError, match="the web desktop did not start anew"):
        up(world)


def test_it_can_be_made_anew_on_request(world: World) -> None:
    _, acts = up(world, recreate=True)
    assert acts == [*VOLUMES, *SWITCH]


def test_another_tool_builds_before_it_touches_what_runs_and_says_why(world: World) -> None:
    old = world.engine.containers["my-app"]
    steps = {step.name: [step.id[:12], step.summary] for step in up(world)[0].plan.steps}
    world.engine.images[old.image_id] = make_image(old.image_id, {"dev.devbox.steps": canonical_json(steps)})
    world.config = "apt: [htop]"
    _, acts = up(world)
    kept = f"tag {old.image_id} devbox/previous:my-app"
    assert acts == ["build", *VOLUMES, *SWITCH, kept]
    assert "apt:htop is new: htop" in world.notes


def test_an_edited_file_of_the_image_builds_anew(world: World) -> None:
    world.rootfs["init/usr/lib/devbox/init"] = RenderedFile(data=b"other", executable=True)
    assert "build" in up(world)[1]


def test_a_failed_build_leaves_what_runs_alone_and_names_where_the_step_comes_from(world: World) -> None:
    world.config = "apt: [htop]"
    vertex = vertex_of(world, "apt:htop")
    world.engine.build_events = (
        BuildEvent(vertex=vertex), BuildEvent(vertex=vertex, log="0 upgraded, 3 newly installed, 0 to remove"),
        BuildEvent(vertex=vertex, log="Unpacking htop (1) ..."), BuildEvent(vertex=vertex, state="failed", seconds=2.0),
    )  # fmt: skip
    world.engine.build_error = BuildError("exit code 100", where=vertex, detail="E: no such package")
    before = len(world.engine.acts)
    with pytest.raises(BuildError, match="the step `apt:htop` failed: exit code 100") as caught:
        up(world)
    assert (caught.value.where, caught.value.detail) == ("devbox.yaml", "E: no such package")
    assert world.engine.acts[before:] == ["build"]
    assert world.engine.containers["my-app"].state == "running"
    assert (3, "packages") in {(event.total, event.unit) for event in world.told(StepProgress)}
    assert world.told(TaskEnded)[-1].failed


def test_what_a_program_of_ours_says_in_a_build_is_told(world: World) -> None:
    world.config = "apt: [htop]"
    vertex = vertex_of(world, "apt:htop")
    world.engine.build_events = (
        BuildEvent(vertex=vertex, log="devbox: not every mirror answered"),
        BuildEvent(vertex=vertex, log="W: devbox: of somebody else"),
    )
    up(world)
    assert [note.text for note in world.told(Note) if note.level == "warning"] == [
        "apt:htop: not every mirror answered"
    ]


def vertex_of(world: World, step: str) -> str:
    """The instruction of a step, the way BuildKit names it."""
    dockerfile = prepare(world.context()).image_tree["Dockerfile"].data.decode()
    block = next(block for block in dockerfile.split("\n\n") if block.startswith(f"# {step}:"))
    return f"[debian 3/9] {block.partition(chr(10))[2]}".replace("\\\n", "")


def test_the_workstation_of_another_folder_is_refused() -> None:
    world = World()
    world.engine.containers["my-app"] = make_container(labels={"dev.devbox.workspace": "/somewhere/else"})
    with pytest.raises(EngineError, match="belongs to another folder, /somewhere/else") as caught:
        up(world)
    assert caught.value.hint is not None
    assert world.engine.acts == ["pull ubuntu:22.04"]


def test_a_port_that_our_container_holds_is_kept(world: World) -> None:
    world.ports.busy = {5901: "docker-proxy", 6080: "docker-proxy", 2222: "docker-proxy", 3000: "docker-proxy"}
    assert up(world)[1] == [PROBE]
    assert world.warnings == []


def test_what_another_machines_workstation_of_this_folder_has_changes_nothing_here(world: World) -> None:
    there = {name: port + 7 for name, port in world.workspace.state.ports.items()}
    world.workspace.state = replace(world.workspace.state, ports=there)
    assert up(world)[1] == [PROBE]


def test_a_port_that_leads_to_another_program_is_left_to_it(world: World) -> None:
    world.ports.busy, world.ports.lost = {6080: "python"}, {6080}
    outcome, acts = up(world)
    assert outcome.changed
    assert world.warnings[0].endswith(": 6081 instead")
    assert "create my-app-workstation-1" in " ".join(acts)


def test_what_stands_in_is_said_every_time() -> None:
    world = World()
    world.sources.no_archive = {"oh-my-zsh": "no route"}
    for _ in range(2):
        world.events.clear()
        up(world)
        assert world.warnings == ["oh-my-zsh: plain zsh in place of oh-my-zsh"]


# ------------------------------------------------------------------------------------------------- not ready


def test_a_phase_that_failed_is_told_with_its_reason_and_log() -> None:
    world = World()
    world.engine.probe = [
        probe_line(phase="x", seconds=0.2),
        probe_line(phase="panel", failed="no window after 20 s", log=["xfce4-panel: cannot open display"]),
        probe_line(phase="web", failed="connection refused"),
    ]
    with pytest.raises(NotReadyError) as caught:
        up(world)
    assert caught.value.message == (
        f"{NAME} runs, but cannot be used: panel: no window after 20 s; web: connection refused"
    )
    assert caught.value.detail == "xfce4-panel: cannot open display"
    assert caught.value.hint is not None
    assert "--recreate" in caught.value.hint
    assert world.workspace.state.fingerprint == "", "a workstation that is not usable must not be taken for one"


def test_what_the_probe_notes_is_told() -> None:
    world = World()
    world.engine.probe = [probe_line(note="/home/dev is full: nothing can be saved there"), probe_line(ready=True)]

    up(world)

    assert "/home/dev is full: nothing can be saved there" in world.notes


def test_what_init_did_to_the_home_is_told_to_whoever_started_it() -> None:
    world = World()
    told = "the home has 5 default(s) of this image in the place of older or missing ones"
    world.engine.probe = [probe_line(note=told, of="start"), probe_line(ready=True)]
    up(world)
    assert world.notes.count(told) == 1
    bring_up(world.context(), fingerprint="another")  # the long way, to a workstation that runs
    assert world.notes.count(told) == 1


def test_a_container_that_ended_is_told_apart() -> None:
    world = World()
    world.engine.probe = [probe_line(phase="x", seconds=0.2)]
    with pytest.raises(NotReadyError, match="ended before it was ready"):
        up(world)


def test_a_container_that_ends_under_the_probe_is_told_with_its_log() -> None:
    world = World()
    world.engine.probe, world.engine.probe_error = [], EngineError("the probe cannot be run")
    with pytest.raises(NotReadyError, match="ended before it was ready") as caught:
        up(world)
    assert caught.value.detail == "a line"


def test_a_probe_that_cannot_be_run_in_a_container_that_lives_is_told() -> None:
    world = World()
    world.engine.probe, world.engine.probe_error = [], EngineError("the probe cannot be run")
    world.engine.lives_on = True
    with pytest.raises(EngineError, match="the probe cannot be run"):
        up(world)


def test_a_connection_that_breaks_under_the_probe_is_told_at_once() -> None:
    world = World()
    world.engine.probe, world.engine.probe_error = [], LostEngineError("the connection broke")
    with pytest.raises(LostEngineError):  # the fake container ends, and nobody waits for that
        up(world)


def test_an_interrupted_up_is_finished_by_the_next_one() -> None:
    world = World()
    up(world)
    world.engine.containers["my-app"] = dataclasses.replace(world.engine.containers["my-app"], state="created")
    assert up(world)[1] == ["start id-my-app", PROBE]


def test_each_act_is_written_down_before_it_is_done() -> None:
    world = World()
    up(world)
    (plan,) = world.engine.built
    assert world.workspace.acts == [
        "looking for what can be had here",
        "asking the package mirror",
        "gathering what the image is made of",
        f"building {plan}",
        "making its network and volumes",
        f"making {NAME}",
        f"starting {NAME}",
        "waiting until it can be used",
    ]
    world.workspace.acts.clear()
    up(world, recreate=True)
    assert f"removing the {NAME} of before" in world.workspace.acts


def test_nothing_is_written_that_was_not_looked_at_before() -> None:
    """A file of somebody else's in its place would be found only when the image is there."""
    world = World(config="ca_bundle: {path: ./ca.pem, install: true}")
    world.catalogue["images/tools/own-ca.yaml"] = "summary: certificates\nrootfs: [own-ca]\n"
    world.rootfs["own-ca/usr/lib/devbox/configure.d/15-ca"] = RenderedFile(data=b"#!/bin/sh\n")
    world.sources.bundle = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    up(world)
    assert [path for path in world.workspace.tree if path.endswith("devbox-01.crt")]
    assert world.workspace.tree.keys() == world.workspace.checked
