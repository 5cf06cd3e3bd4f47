"""stop, start, down, status, logs, exec, password: what is done to a workstation that is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from builder.errors import ConfigError, EngineError, HostError, NotReadyError
from builder.model import ExecResult, Secret
from builder.tasks.access import (
    find_endpoint,
    find_password,
    find_place,
    read_logs,
    renew_password,
    renew_web_password,
    run_inside,
)
from builder.tasks.interfaces import Context
from builder.tasks.lifecycle import start_workstation, stop_workstation, take_down
from builder.tasks.status import (
    describe_container,
    describe_state,
    describe_summary,
    list_statuses,
    make_endpoints,
    read_status,
)
from tests.unit.tasks.fakes import FakeEngine, World, make_container

PORTS = {5901: 5903, 6080: 6080, 2222: 2222, 3000: 3000, 5173: 8080}
PROBE = "run /usr/lib/devbox/probe wait --timeout 120"


def running(state: str = "running", labels: dict[str, str] | None = None) -> World:
    ours = {"dev.devbox.workspace": "/home/me/my-app"} if labels is None else labels
    container = make_container(state=state, ports=PORTS, labels=ours)
    return World(engine=FakeEngine(containers={"my-app": container}))


@pytest.mark.parametrize(
    "act",
    [
        lambda context: stop_workstation(context, "my-app"),
        lambda context: start_workstation(context, "my-app"),
        lambda context: find_endpoint(context, "my-app", "web"),
        lambda context: list(read_logs(context, "my-app", service=None, follow=False, tail=None)),
        lambda context: run_inside(context, "my-app", "dev", [], workdir="/", environment={}),
    ],
    ids=["stop", "start", "open", "logs", "exec"],
)
@pytest.mark.parametrize("owner", [None, "/somewhere/else"], ids=["absent", "foreign"])
def test_a_workstation_that_is_not_ours_is_refused(act: Callable[[Context], object], owner: str | None) -> None:
    world = World(engine=FakeEngine())
    if owner:
        world.engine.containers["my-app"] = make_container(labels={"dev.devbox.workspace": owner})
    with pytest.raises(EngineError, match=f"belongs to another folder, {owner}" if owner else "there is no") as caught:
        act(world.context())
    assert caught.value.hint is not None
    assert world.engine.acts == []


def test_stop_and_start_again() -> None:
    world = running()
    assert stop_workstation(world.context(), "my-app")
    assert not stop_workstation(world.context(), "my-app")
    assert start_workstation(world.context(), "my-app") == {"x": 0.2, "frame": 0.9}
    assert world.engine.acts == ["stop id-my-app", "start id-my-app", PROBE]
    assert world.workspace.locks == ["stop", "stop", "start"]


def test_down_keeps_the_volumes() -> None:
    world = running()
    world.engine.volume_names = ["my-app_home", "my-app_projects"]
    assert take_down(world.context(), "my-app")
    assert world.engine.acts == ["stop id-my-app", "remove id-my-app", "remove network my-app"]
    assert world.engine.volumes("my-app") == ("my-app_home", "my-app_projects")


def test_down_removes_exactly_the_volumes_it_is_told() -> None:
    world = running()
    world.engine.volume_names = ["my-app_home", "my-app_projects", "other_home"]
    take_down(world.context(), "my-app", volumes=("my-app_home",))
    assert world.engine.volume_names == ["my-app_projects", "other_home"]


def test_down_forgets_the_secrets_only_with_the_data() -> None:
    world = running()
    take_down(world.context(), "my-app")
    assert world.keys.forgotten == []
    take_down(world.context(), "my-app", volumes=(), secrets=True)
    assert world.keys.forgotten == ["my-app"]


def test_down_twice_is_no_error() -> None:
    assert not take_down(World(engine=FakeEngine()).context(), "my-app")


def test_down_refuses_the_workstation_of_another_folder() -> None:
    world = running(labels={"dev.devbox.workspace": "/somewhere/else"})
    with pytest.raises(EngineError, match="belongs to another folder"):
        take_down(world.context(), "my-app", volumes=("my-app_home",), secrets=True)
    assert (world.engine.acts, world.keys.forgotten) == ([], [])


# -------------------------------------------------------------------------------------------------- status


def test_the_status_of_nothing_is_absent() -> None:
    status = read_status(World(engine=FakeEngine()).context(), "my-app")
    assert (status.name, status.state, status.endpoints, status.ready) == ("my-app", "absent", {}, {})


def test_the_status_holds_what_was_asked_for_and_what_is_there() -> None:
    labels = {
        "com.docker.compose.project": "my-app",
        "dev.devbox.base": "debian-12",
        "dev.devbox.requested-base": "ubuntu-22.04",
        "dev.devbox.substitutions": '[{"what": "base"}]',
        "dev.devbox.workspace": "/home/me/my-app",
    }
    world = running(labels=labels)
    phases = json.dumps({"phases": {"x": 0.25, "frame": 1}}).encode()
    world.engine.answers["cat"] = ExecResult(code=0, stdout=phases, stderr=b"")
    status = read_status(world.context(), "my-app")
    assert (status.base, status.requested_base) == ("debian-12", "ubuntu-22.04")
    assert status.substitutions == ({"what": "base"},)
    assert status.ready == {"x": 0.25, "frame": 1.0}
    assert status.endpoints["vnc"] == "127.0.0.1:5903"


def test_a_workstation_that_is_still_starting_has_no_phases() -> None:
    assert read_status(running().context(), "my-app").ready == {}
    assert read_status(running(state="exited").context(), "my-app").ready == {}


def test_a_workstation_that_is_not_well_says_what_is_wrong() -> None:
    world = running()
    world.engine.containers["my-app"] = replace(world.engine.containers["my-app"], health="unhealthy")
    world.engine.answers["/usr/lib/devbox/probe"] = ExecResult(
        code=1, stdout=b'{"usable": false, "red": {"wm": "xfwm4: no window manager"}}\n', stderr=b""
    )

    status = read_status(world.context(), "my-app")

    assert status.red == {"wm": "xfwm4: no window manager"}
    proved = read_status(world.context(), "my-app", proved={"x": 0.3})
    assert (proved.red, proved.ready) == ({}, {"x": 0.3}), "`up` has just looked"
    assert describe_state(status).startswith(
        "my-app-workstation-1 is running (unhealthy)\n  wm: xfwm4: no window manager\n\n"
    )


def test_a_probe_that_says_nothing_of_use_is_told_as_it_is() -> None:
    world = running()
    world.engine.containers["my-app"] = replace(world.engine.containers["my-app"], health="unhealthy")

    assert read_status(world.context(), "my-app").red == {"probe": "no such file"}


@pytest.mark.parametrize(("reason", "told"), [("", "b"), ("no mirror", "b (no mirror)")])
def test_what_stands_in_for_something_is_told_with_a_reason_where_there_is_one(reason: str, told: str) -> None:
    label = {"dev.devbox.substitutions": f'[{{"what":"base","wanted":"b","got":"a","reason":"{reason}"}}]'}
    status = describe_container(make_container(labels=label))
    assert describe_summary(status).endswith(f"instead   base: a in place of {told}")


def test_an_exposed_workstation_says_under_which_address_and_what_to_trust() -> None:
    label = {"dev.devbox.exposed": '{"name":"box.example","trust":"/state/ca.pem"}'}
    everywhere = dict.fromkeys((5901, 2222), "127.0.0.1") | {6080: "0.0.0.0"}  # noqa: S104
    status = describe_container(make_container(ports=PORTS, labels=label, addresses=everywhere))
    assert (status.endpoints["web"], status.endpoints["vnc"]) == ("https://box.example:6080/", "127.0.0.1:5903")
    assert status.trust == "/state/ca.pem"
    assert "devbox password web" in describe_summary(status)
    assert "/state/ca.pem" in describe_summary(status)


def test_an_exposed_workstation_without_a_name_is_called_by_its_address() -> None:
    label = {"dev.devbox.exposed": '{"name":"","trust":""}'}
    for bound, shown in {"0.0.0.0": "127.0.0.1", "::": "[::1]", "127.0.0.2": "127.0.0.2"}.items():  # noqa: S104
        container = make_container(ports={6080: 6081}, labels=label, addresses={6080: bound})
        assert make_endpoints(container) == {"web": f"https://{shown}:6081/"}


def test_endpoints_are_named_by_their_door() -> None:
    assert make_endpoints(make_container(ports=PORTS)) == {
        "ssh": "ssh://127.0.0.1:2222",
        "dev": "http://127.0.0.1:3000/",
        "dev-5173": "http://127.0.0.1:8080/",
        "vnc": "127.0.0.1:5903",
        "web": "http://127.0.0.1:6080/",
    }


def test_the_list_has_all_of_them() -> None:
    engine = FakeEngine(containers={"a": make_container("a"), "b": make_container("b", state="exited")})
    assert [item.state for item in list_statuses(World(engine=engine).context())] == ["running", "exited"]


# -------------------------------------------------------------------------------------------------- access


def test_a_command_runs_as_the_user_and_its_code_comes_back() -> None:
    world = running()
    assert run_inside(world.context(), "my-app", "dev", ["ls", "-l"], workdir="/home/dev", environment={}) == 7
    assert run_inside(world.context(), "my-app", "dev", [], workdir="/home/dev", environment={}) == 7
    assert world.engine.acts == ["attach dev /home/dev ls -l", "attach dev /home/dev /bin/zsh -l"]


def test_a_stopped_workstation_says_how_to_start_it() -> None:
    with pytest.raises(EngineError, match="is exited, not running") as caught:
        run_inside(running(state="exited").context(), "my-app", "dev", [], workdir="/", environment={})
    assert caught.value.hint == "`devbox start` starts it"


def test_logs_of_one_service() -> None:
    world = running()
    world.engine.answers["ls"] = ExecResult(code=0, stdout=b"xvnc\nsshd\n", stderr=b"")
    list(read_logs(world.context(), "my-app", service="xvnc", follow=False, tail=5))
    assert world.engine.acts == ["run tail -n 5 /run/devbox/log/xvnc/current"]


@pytest.mark.parametrize("service", ["nope", "../../../etc/shadow", ""])
def test_an_unknown_service_names_those_there_are(service: str) -> None:
    world = running()
    world.engine.answers["ls"] = ExecResult(code=0, stdout=b"xvnc\nsshd\n", stderr=b"")
    with pytest.raises(ConfigError) as caught:
        list(read_logs(world.context(), "my-app", service=service, follow=False, tail=None))
    assert caught.value.hint == "the services are sshd, xvnc"


def test_doors_that_are_not_there() -> None:
    headless = World(engine=FakeEngine(containers={"my-app": make_container(ports={2222: 2222})}))
    with pytest.raises(ConfigError, match="this workstation has no web") as caught:
        find_endpoint(headless.context(), "my-app", "web")
    assert caught.value.hint == "it has ssh"
    with pytest.raises(HostError, match="publishes no port for vnc"):
        find_place(headless.context(), "my-app", "vnc")
    assert find_place(headless.context(), "my-app", "ssh") == ("127.0.0.1", 2222)


def test_a_new_password_is_taken_over_at_once() -> None:
    world = running()
    world.engine.answers["/usr/lib/devbox/take-password"] = ExecResult(code=0, stdout=b"", stderr=b"")
    assert renew_password(world.context(), "my-app").reveal() == "second"
    world.engine.answers.clear()
    with pytest.raises(NotReadyError, match="did not take the new password"):
        renew_password(world.context(), "my-app")


def test_a_password_can_be_renewed_while_nothing_runs() -> None:
    assert renew_password(World(engine=FakeEngine()).context(), "my-app").reveal() == "second"


def test_a_new_web_password_starts_the_web_door_anew() -> None:
    world = running()
    world.engine.answers["s6-svc"] = ExecResult(code=0, stdout=b"", stderr=b"")
    assert renew_web_password(world.context(), "my-app").reveal() == "second of the web"
    assert world.engine.commands == ["s6-svc -wr -T 10000 -r /run/service/web"]
    assert world.engine.acts == [PROBE]


def test_each_door_with_a_password_has_its_own() -> None:
    keys = World().keys.ensure("my-app", World().workspace.root, ())
    exposed = replace(keys, web_password=Secret("of the web"))
    assert find_password(exposed, "vnc").reveal() == "first"
    assert find_password(exposed, "web").reveal() == "of the web"
    with pytest.raises(ConfigError, match="is not exposed"):
        find_password(keys, "web")
