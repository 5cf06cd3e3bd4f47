"""The container as one value: names, labels, volumes, ports; and when it has to be made anew."""

from __future__ import annotations

import dataclasses
import json

import pytest
from pydantic import ValidationError

from builder.core.service import Site, make_service
from builder.model import BaseAnswer, Plan, PublishedPort, Retrieval, Runtime, ServiceSpec, Substitution
from tests.unit.core.builders import make_resolved

STATIC = """\
service: workstation
volumes: {projects: "/home/{user}/projects", home: "/home/{user}"}
tmpfs: {/run: "rw"}
cap_drop: [ALL]
levels: {dev: {cap_add: [KILL]}, locked: {read_only: true, as_user: true}}
restart: on-failure
restart_retries: 5
stop_grace_s: 5
health: {test: [CMD, /probe], interval_s: 10, timeout_s: 10, start_period_s: 60, retries: 3}
"""
PLAN = Plan(
    id="f" * 64, image="devbox/workstation:ffffffffffff", profile="workstation", requested_base="ubuntu-22.04",
    base=BaseAnswer(name="debian-12", reference="debian:12", how=Retrieval.PULL, identity="x"), steps=(),
    environment={}, path=(), labels={}, user="dev", parts=(), ports={},
    substitutions=(Substitution(what="base", wanted="ubuntu-22.04", got="debian-12", reason="no route"),),
)  # fmt: skip


def runtime(text: str = "base: debian-12") -> Runtime:
    return make_resolved(text).runtime


def spec_of(
    text: str = "base: debian-12", *, plan: Plan = PLAN, shift: int = 0, secrets: str = "/s", static: str = STATIC
) -> ServiceSpec:
    wanted = runtime(text)
    ports = {port.name: port.host + shift for port in wanted.ports}
    return make_service(plan, wanted, Site(workspace="/home/me/my-app", secrets_dir=secrets, ports=ports), static)


def spec_id(spec: ServiceSpec) -> str:
    return spec.labels["dev.devbox.spec"]


def test_names_are_those_that_compose_would_give() -> None:
    spec = spec_of("name: shop")
    assert (spec.container_name, spec.network) == ("shop-workstation-1", "shop_default")
    assert [(volume.key, volume.name, volume.target) for volume in spec.volumes] == [
        ("home", "shop_home", "/home/dev"),
        ("projects", "shop_projects", "/home/dev/projects"),
    ]


def test_at_the_level_locked_the_user_is_pid_1_and_run_and_tmp_are_its_own() -> None:
    dev, locked = spec_of(), spec_of("base: debian-12\nsecurity: locked")
    assert (dev.user, dev.read_only, dev.cap_add, dev.tmpfs) == (None, False, ("KILL",), {"/run": "rw"})
    assert (locked.user, locked.read_only, locked.cap_add) == ("1234:1235", True, ())
    assert locked.tmpfs == {"/run": "rw,uid=1234,gid=1235"}


def test_volumes_follow_the_name_of_the_user() -> None:
    assert [volume.target for volume in spec_of("user: me").volumes] == ["/home/me", "/home/me/projects"]


def test_ports_are_published_where_they_were_found_free() -> None:
    assert spec_of("profile: headless\nports: {dev: false}", shift=1).ports == (
        PublishedPort(name="ssh", container=2222, host=2223, bind="127.0.0.1"),
    )


def test_labels_tell_what_was_asked_for_and_what_stands_in_its_place() -> None:
    labels = spec_of().labels
    assert labels["dev.devbox.requested-base"] == "ubuntu-22.04"
    assert json.loads(labels["dev.devbox.substitutions"])[0]["got"] == "debian-12"
    assert labels["dev.devbox.workspace"] == "/home/me/my-app"
    assert labels["dev.devbox.plan"] == PLAN.id


def test_no_label_and_no_variable_holds_a_secret() -> None:
    spec = spec_of()
    assert "/s" not in {*spec.labels.values(), *spec.environment.values()}
    assert not any("PASSWORD" in name for name in spec.environment)


@pytest.mark.parametrize(
    "text",
    [
        "name: other",
        "ports: {vnc: 6901}",
        "bind: 127.0.0.2",
        "environment: {EDITOR: vim}",
        "mounts: [{source: ./data, target: /srv/data}]",
        "resources: {memory: 4g}",
        "timezone: Asia/Tokyo",
        "desktop: {geometry: 1280x720}",
    ],
)
def test_another_way_to_run_is_another_spec(text: str) -> None:
    assert spec_id(spec_of(text)) != spec_id(spec_of())


def test_another_image_request_or_stand_in_is_another_spec() -> None:
    (stand_in,) = PLAN.substitutions
    for changes in ({"id": "e" * 64}, {"requested_base": "debian-12"}, {"substitutions": ()}):
        assert spec_id(spec_of(plan=dataclasses.replace(PLAN, **changes))) != spec_id(spec_of())
    other_words = dataclasses.replace(PLAN, substitutions=(dataclasses.replace(stand_in, reason="timed out"),))
    assert spec_id(spec_of(plan=other_words)) == spec_id(spec_of())


def test_the_static_part_is_part_of_the_spec() -> None:
    assert spec_id(spec_of(static=STATIC.replace("[KILL]", "[KILL, CHOWN]"))) != spec_id(spec_of())


@pytest.mark.parametrize("static", ["service: x", STATIC + "privileged: true\n"], ids=["missing", "unknown"])
def test_a_wrong_static_part_is_noticed(static: str) -> None:
    with pytest.raises(ValidationError):
        spec_of(static=static)
