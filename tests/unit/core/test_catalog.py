"""The catalogue is checked file by file and as a whole; the real one parses and resolves."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.core.catalog import parse_catalog
from builder.core.resolve import resolve_config
from builder.errors import ConfigError
from tests.unit.core.builders import FACTS, FILES, SUM, make_catalog, make_config

ROOT = Path(__file__).resolve().parents[3]


def test_the_small_catalogue_is_valid() -> None:
    catalog = make_catalog()
    assert catalog.providers("vnc-server") == ("tigervnc", "tightvnc")
    assert list(catalog.tools["node"].versions.choices) == ["18", "20", "22"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("tools/x", "apt: [a]", "images/tools/x.yaml:1:1: summary: the key `summary` is missing"),
        ("tools/x", "summary: x\nrequire: [git]", "images/tools/x.yaml:2:1: require: unknown key `require`"),
        ("tools/x", "summary: x\nrequires: [gti]", "images/tools/x.yaml:2:12: requires[0]: unknown tool `gti`"),
        ("tools/x", "summary: x\nrequires: [x]", "these require each other: x -> x"),
        ("tools/x", "summary: x\nrootfs: [inot]", "tools/x.yaml:2:10: rootfs[0]: unknown part of images/rootfs `inot`"),
        ("tools/x", "summary: x\napt_by_base: {debian-9: [ab]}", "unknown base `debian-9`"),
        ("tools/x", "summary: x\nenv: {A: '{verson}'}", "unknown placeholder `verson`"),
        ("tools/x", 'summary: x\nenv: {A: "a\\nb"}', "cannot hold the character U+000A"),
        ("tools/x", "summary: x\nversions: {default: 1, choices: {2: {}}}", "the default is none of the choices"),
        ("tools/x", "summary: x\nversions: {choices: {2: {}}}", "the default is none of the choices"),
        ("tools/x", "summary: x\nversions: {from_base: ruby}", "something that base files state the version of"),
        (
            "tools/x",
            "summary: x\nversions: {default: 1, choices: {1: {needs: {node: '>=18'}}}}",
            "node is not among what the tool requires",
        ),
        ("tools/x", "summary: x\nwheel: {unpack: [{from: a, to: /opt/a}]}", "no requirement"),
        ("tools/x", "summary: x\nwheel: {requirement: a==1, unpack: [{from: a, to: /opt/a}]}", "no sha256"),
        (
            "tools/x",
            "summary: x\nwheel: {requirement: a>=1, unpack: [{from: ../a, to: /opt/a}]}",
            "is not a wheel with",
        ),
        ("tools/x", "summary: x\nwheel: {requirement: a==1, unpack: [{form: a, to: /opt/a}]}", "did you mean `from`?"),
        ("tools/x", "summary: x\nnpm: {package: x, prefix: /opt/x}", "no version"),
        ("tools/x", f"summary: x\narchive: {{url: x, sha256: {SUM}}}", "write either `to` or `unpack`"),
        ("tools/x", "summary: x\narchive: {url: x, sha256: abc, to: /opt/x}", "is not a SHA-256 in hexadecimal"),
        ("tools/x", "summary: x\nchecks: [{run: a, version: 1}]", "is not a version specifier"),
        ("tools/x", "a: @", "images/tools/x.yaml:1:4: not YAML"),
        ("bases/x", "distribution: arch", "is not a distribution"),
        (
            "bases/x",
            "distribution: debian\ncodename: x\nimage: x\nkeyring: x.gpg\npython: 3.11\nsubstitute: y",
            "unknown base `y`",
        ),
        ("profiles/x", "summary: x\ntools: [gti]", "images/profiles/x.yaml:2:9: tools[0]: unknown tool `gti`"),
        ("profiles/x", "summary: x\ntools: {node: 17}", "images/profiles/x.yaml:2:9: tools.node: unknown version `17`"),
        ("profiles/x", "summary: x\ntools: []\nslots: {vnc-server: git}", "unknown tool for the slot vnc-server `git`"),
    ],
)
def test_a_fault_is_named_with_its_file_and_place(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_catalog(**{name: text})
    assert expected in str(caught.value)


def test_faults_of_several_files_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        make_catalog(**{"tools/x": "a: 1", "bases/y": "b: @", "profiles/z": "c: 1"})
    assert all(f"images/{name}.yaml:1:" in str(caught.value) for name in ("tools/x", "bases/y", "profiles/z"))


def test_a_cycle_over_several_tools_is_drawn() -> None:
    with pytest.raises(ConfigError, match="these require each other: a -> b -> c -> a"):
        make_catalog(**{f"tools/{a}": f"summary: x\nrequires: [{b}]" for a, b in (("a", "b"), ("b", "c"), ("c", "a"))})


def test_one_more_file_is_one_more_tool() -> None:
    files = {**FILES, "images/tools/jq.yaml": "summary: jq\napt: [jq]\nports: {docs: 8000}\n"}
    resolved = resolve_config(make_config("tools: [jq]"), parse_catalog(files), FACTS)
    assert "jq" in [tool.name for tool in resolved.tools]
    assert ("docs", 8000) in [(port.name, port.host) for port in resolved.runtime.ports]


# ------------------------------------------------------------------------------------------ the real catalogue


def real_files() -> dict[str, str]:
    found = sorted((ROOT / "images").rglob("*"))
    return {
        str(path.relative_to(ROOT)): path.read_text() if path.suffix == ".yaml" else ""
        for path in found
        if path.is_file()
    }


BASES = sorted(path.stem for path in (ROOT / "images" / "bases").glob("*.yaml"))
PROFILES = sorted(path.stem for path in (ROOT / "images" / "profiles").glob("*.yaml"))


def test_the_catalogue_has_what_the_documentation_promises() -> None:
    assert {"ubuntu-22.04", "ubuntu-24.04", "debian-11", "debian-12", "debian-13"} <= set(BASES)
    assert {"workstation", "headless"} <= set(PROFILES)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_resolves_on_every_base(profile: str, base: str) -> None:
    resolved = resolve_config(make_config(f"profile: {profile}\nbase: {base}"), parse_catalog(real_files()), FACTS)
    assert resolved.tools
    assert resolved.base.name == base
