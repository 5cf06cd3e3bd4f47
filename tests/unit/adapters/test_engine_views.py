"""What engines say of a container, in our words."""

from __future__ import annotations

import pytest

from builder.adapters.engine.views import container_view, project_disks


@pytest.mark.parametrize(("state", "held"), [("running", {2222: 2230}), ("created", {}), ("exited", {})])
def test_a_container_that_does_not_run_holds_no_port_though_podman_names_it(state: str, held: dict[int, int]) -> None:
    raw = {
        "Id": "1", "Names": ["/a"], "State": state, "Status": "", "Image": "i", "ImageID": "2", "Created": 0,
        "Ports": [{"IP": "127.0.0.1", "PrivatePort": 2222, "PublicPort": 2230, "Type": "tcp"}],
    }  # fmt: skip
    view = container_view(raw)
    assert view.ports == held
    assert view.addresses.keys() == held.keys()


def test_the_disk_of_a_project_is_what_its_containers_wrote_and_its_volumes() -> None:
    label = {"com.docker.compose.project": "app"}
    raw = {
        "Containers": [{"Labels": label, "SizeRw": 10}, {"Labels": None, "SizeRw": 99}, {"Labels": label}],
        "Volumes": [
            {"Labels": label, "UsageData": {"Size": 200}},
            {"Labels": label, "UsageData": {"Size": -1}},  # not measured
            {"Labels": {"com.docker.compose.project": "other"}, "UsageData": {"Size": 3}},
        ],
    }
    assert project_disks(raw) == {"app": 210, "other": 3}
