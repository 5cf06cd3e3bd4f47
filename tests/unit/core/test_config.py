"""devbox.yaml: defaults, short forms, text kept as written, and errors that say all that is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builder.core.config import Config, config_as_dict, make_name
from builder.core.config_template import InitAnswers, render_config_template
from builder.core.schema import make_schema
from builder.core.source import FORBIDDEN
from builder.errors import ConfigError
from tests.unit.core.builders import FACTS, make_config

FULL = """\
name: my-app
profile: headless
base: {name: debian-11, substitute: false, image: "registry.example:5000/debian@sha256:%s"}
user: {name: me, uid: 4242}
tools: {node: 1.10, git: true, web: false, python: {version: 3.11}}
apt: [htop, g++]
npm: ["@scope/x@1.2.3", typescript@5.4.5-rc.1]
framework: {git: "git@example.org:team/tools.git", rev: v1.2.0, checks: [{name: there, run: [tools, --version]}]}
desktop: {server: tightvnc, geometry: 2560x1440, depth: 16, dpi: 120, opengl: true}
ports: {vnc: 6901, web: {host: 7080, pinned: true}, ssh: false, dev: [3000, "8080:5173", {host: 9000, container: 9001}]}
host: ssh://me@box.example:2222
bind: 127.0.0.2
expose: {address: 192.0.2.7, names: [box.example, box], certificate: ./cert.pem, key: ~/key.pem, ssh: true}
environment: {A: NO, B: 010, C: 22:22, D: true, E: "", F: "${HOME} {{ x }} $(id)"}
mounts: [{source: ~/data, target: /srv/data, read_only: true}]
sidecars: {postgres: {version: 16, port: 5433, substitute: false}, redis: true}
hooks: {on_create: [npm ci, "echo 'a # b'"], on_start: ./go, timeout: 60}
env_file: [.env, ~/team.env]
dotfiles: {git: "git@example.org:me/dotfiles.git", timeout: 30}
resources: {memory: 4g, cpus: 1.5, shm: 1g, pids: 512}
locale: en_US.UTF-8
timezone: America/Argentina/Ushuaia
shell: {theme: robbyrussell}
catalogue: [./own, ~/shared]
sources: {oh-my-zsh: ./omz.tar.gz}
security: dev
ssh: {authorized_keys: [~/.ssh/id_ed25519.pub]}
mirrors: {apt: {debian: "http://mirror.example/debian"}, pypi: "https://mirror.example:8443/simple/"}
ca_bundle: {path: /srv/ca.pem, install: true}
cache: registry.example:5000/team/devbox
backup: {to: "sftp://me@nas.example:2222/b", keep_days: 9, keep_last: 5, volumes: [home], exclude: [.x], identity: ~/k}
budgets: {painted_s: 2.5}
verify: {checks: [{name: git-there, run: [git, --version]}], tests: ./checks}
""" % ("a" * 64)


def test_without_a_file_everything_has_its_default() -> None:
    config = make_config(None)
    assert (config.name, config.profile, config.base.name) == ("my-app", "workstation", "ubuntu-22.04")
    assert (config.user.name, config.user.uid, config.timezone) == ("dev", None, "Europe/Berlin")
    assert [port.container for port in config.ports.dev] == [3000]
    assert config == make_config("") == make_config("# nothing\n")


def test_every_key_can_be_written() -> None:
    written = set(yaml.safe_load(FULL))
    assert written == set(Config.model_fields)
    assert config_as_dict(make_config(FULL))["environment"]["F"] == "${HOME} {{ x }} $(id)"


def test_versions_and_values_are_kept_as_written() -> None:
    config = make_config(FULL)
    assert config.tools["node"].version == "1.10"
    assert config.environment == {
        "A": "NO", "B": "010", "C": "22:22", "D": "true", "E": "", "F": "${HOME} {{ x }} $(id)"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("base: debian-12", "base: {name: debian-12, substitute: true, image: null}"),
        ("user: me", "user: {name: me}"),
        ("tools: [git, node]", "tools: {git: true, node: {enabled: true}}"),
        ("tools: {node: 20}", 'tools: {node: {version: "20"}}'),
        ("tools: {node: }", "tools: {node: true}"),
        ("tools: {node: false}", "tools: {node: {enabled: false}}"),
        ("ports: {vnc: 6000}", "ports: {vnc: {host: 6000, pinned: false}}"),
        ("ports: {vnc: false}", "ports: {vnc: {published: false}}"),
        ("ports: {dev: 4000}", "ports: {dev: [{container: 4000}]}"),
        ("ports: {dev: 8080:3000}", "ports: {dev: [{container: 3000, host: 8080}]}"),
        ("ports: {dev: false}", "ports: {dev: []}"),
        ("apt: htop", "apt: [htop]"),
        ("dotfiles: git@example.org:me/dotfiles.git", "dotfiles: {git: 'git@example.org:me/dotfiles.git'}"),
        ("dotfiles: https://example.org/me/dot", "dotfiles: {git: 'https://example.org/me/dot'}"),
        ("dotfiles: ~/dotfiles", "dotfiles: {path: ~/dotfiles, timeout: 120}"),
        ("sidecars: [postgres, redis]", "sidecars: {postgres: true, redis: {enabled: true}}"),
        ("sidecars: {postgres: 16, redis: false}", 'sidecars: {postgres: {version: "16"}, redis: {enabled: false}}'),
        ("backup: ./b", "backup: {to: ./b}"),
        ("backup: {volumes: home, exclude: .cache}", "backup: {volumes: [home], exclude: [.cache]}"),
        ("tools:\n#  node: 20\ndesktop:\nname:\ntimezone:\n", ""),
    ],
)
def test_a_short_form_means_the_long_one(short: str, long: str) -> None:
    assert make_config(short) == make_config(long)


@pytest.mark.parametrize("text", [None, "", FULL])
def test_the_config_with_its_defaults_reads_back_to_itself(text: str | None) -> None:
    config = make_config(text)
    shown = config_as_dict(config)
    assert make_config(yaml.safe_dump(shown)) == config
    assert make_config(json.dumps(shown)) == config


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My App", "my-app"), ("app", "app"), ("Ünïcode", "unicode"), ("--x--", "x"), ("a" * 80, "a" * 41),
        ("a_b.c", "a-b-c"),
    ],
)  # fmt: skip
def test_the_name_comes_from_the_folder(folder: str, name: str) -> None:
    assert make_name(folder) == name


@given(st.text(max_size=60))
@example("😀")
@example("مشروع")
@example("/")
def test_any_folder_gives_a_valid_name(folder: str) -> None:
    config = make_config(None, dataclasses.replace(FACTS, folder=folder))
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", config.name)


def test_folders_without_latin_letters_do_not_share_a_name() -> None:
    assert make_name("😀") != make_name("مشروع")


def test_an_unknown_zone_of_the_host_is_no_error() -> None:
    assert make_config(None, dataclasses.replace(FACTS, timezone="Local/Odd")).timezone == "UTC"


def test_a_single_error_has_place_excerpt_caret_and_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        make_config("desktop:\n  geometri: 1920x1080\n")
    assert str(caught.value) == (
        "devbox.yaml:2:3: desktop.geometri: unknown key `geometri`\n"
        "    2 |   geometri: 1920x1080\n"
        "      |   ^^^^^^^^\n"
        "hint: did you mean `geometry`?"
    )
    assert (caught.value.where, caught.value.hint) == ("devbox.yaml:2:3", "did you mean `geometry`?")


def test_an_unknown_key_unlike_all_others_lists_them() -> None:
    with pytest.raises(ConfigError, match="the keys here are debian, ubuntu"):
        make_config("mirrors: {apt: {zzzzzz: x}}")


def test_a_long_line_is_shown_around_its_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        make_config("# \n" + "apt: [" + "htop, " * 60 + "-x]")
    excerpt, caret = str(caught.value).split("\n")[1:3]
    assert len(excerpt) < 120
    assert excerpt[caret.index("^") :].startswith("-x")


# --------------------------------------------------------------------------------------------- whole schema


def strings_in(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "string" in schema.get("type", ()):
            yield path, schema
        for key, item in schema.items():
            yield from strings_in(item, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from strings_in(item, f"{path}/{index}")


def test_every_text_of_the_schema_states_a_pattern_and_a_limit() -> None:
    found = dict(strings_in(make_schema()))
    assert len(found) >= 30
    assert [path for path, item in found.items() if not {"pattern", "maxLength"} <= item.keys()] == []


def test_every_number_of_the_schema_states_its_limits() -> None:
    text = json.dumps(make_schema())
    assert '"ge"' not in text
    assert '"minimum": 1024' in text


def leaves_of(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(data, dict):
        for key, item in data.items():
            yield from leaves_of(item, (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from leaves_of(item, (*path, index))
    else:
        yield path


def replaced(data: Any, path: tuple[str | int, ...], value: object) -> Any:
    if not path:
        return value
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


LEAVES = list(leaves_of(yaml.safe_load(FULL)))
HOSTILE = st.sampled_from(["\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff"])


@settings(max_examples=300)
@given(st.sampled_from(LEAVES), st.text(max_size=8), HOSTILE, st.text(max_size=8))
def test_no_field_takes_a_hidden_or_control_character(
    path: tuple[str | int, ...], before: str, hostile: str, after: str
) -> None:
    data = replaced(yaml.safe_load(FULL), path, before + hostile + after)
    with pytest.raises(ConfigError):
        make_config(json.dumps(data))


@settings(max_examples=300)
@given(
    st.sampled_from(LEAVES),
    st.one_of(st.text(max_size=30), st.integers(), st.booleans(), st.lists(st.text(max_size=3), max_size=2)),
)
def test_any_value_anywhere_is_taken_or_refused_with_its_place(path: tuple[str | int, ...], value: object) -> None:
    data = replaced(yaml.safe_load(FULL), path, value)
    config, error = tried(json.dumps(data))
    if config is None:
        assert re.search(r"devbox\.yaml:\d+:\d+: ", error)
    else:
        assert not FORBIDDEN.search("".join(map(str, leaf_values(config_as_dict(config)))))
        assert make_config(yaml.safe_dump(config_as_dict(config), allow_unicode=True)) == config


def tried(text: str) -> tuple[Config | None, str]:
    try:
        return make_config(text), ""
    except ConfigError as error:
        return None, str(error)


def leaf_values(data: Any) -> Iterator[object]:
    for path in leaves_of(data):
        value = data
        for part in path:
            value = value[part]
        yield value


# -------------------------------------------------------------------------------------------------- template


def test_the_template_of_init_reads_back_to_the_defaults() -> None:
    assert make_config(render_config_template(InitAnswers(name="my-app"))) == make_config(None)


def test_the_template_carries_the_answers() -> None:
    answers = InitAnswers(
        name="no", profile="headless", base="debian-12", geometry="1280x720", server="tightvnc",
        tools={"node": "1.10", "git": None}, apt=("htop",),
    )  # fmt: skip
    config = make_config(render_config_template(answers))
    assert (config.name, config.profile, config.base.name) == ("no", "headless", "debian-12")
    assert (config.desktop.geometry, config.desktop.server, config.apt.packages) == ("1280x720", "tightvnc", ("htop",))
    assert config.tools["node"].version == "1.10"
    assert config.tools["git"].version is None


def test_what_the_template_offers_in_comments_is_valid() -> None:
    text = render_config_template(InitAnswers(name="my-app"))
    offered = re.sub(r"^# (?=[a-z]+:|  )", "", text, flags=re.MULTILINE)
    lines = [line for line in offered.split("\n") if re.match(r"[a-z_]+:(?!.* is )|#?  +\S", line)]
    config = make_config("\n".join(line.replace("#  ", "  ", 1) for line in lines))
    assert config.tools["node"].version == "20"
    assert config.ports.web.pinned
    assert config.mounts


@given(st.text(max_size=30))
def test_no_answer_changes_the_shape_of_the_template(name: str) -> None:
    text = render_config_template(InitAnswers(name=name))
    assert yaml.safe_load(text)["name"] == name if not FORBIDDEN.search(name) else "\n" not in name or "\\n" in text


def test_neither_errors_nor_facts_nor_problems_import_pydantic() -> None:
    code = (
        "import sys, builder.core.facts, builder.core.problems, builder.core.source; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "text",
    [
        "mirrors: {{pypi: '{}'}}",
        "mirrors: {{npm: '{}'}}",
        "mirrors: {{apt: {{debian: '{}'}}}}",
        "framework: {{git: '{}', rev: main}}",
        "sources: {{oh-my-zsh: '{}'}}",
        "ca_bundle: '{}'",
        "mirrors: {{archives: '{}'}}",
        "mirrors: {{images: '{}'}}",
        "mirrors: {{snapshot: {{debian: '{}/{{timestamp}}'}}}}",
        "base: {{image: '{}'}}",
    ],
)
@pytest.mark.parametrize("secret", ["geheim-7f3a", "geheim-7f3a" * 9])
def test_an_address_with_a_password_is_refused_and_not_shown(text: str, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(text.format(f"https://me:{secret}@host.example/x"))
    assert "host.example" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "mirrors: {pypi: 'https://host.example/simple?token=geheim'}",
        "framework: {git: 'https://host.example/x.git?private_token=geheim', rev: main}",
        "framework: {git: 'ssh://git:geheim@host.example/x.git', rev: main}",
    ],
)
def test_an_address_with_a_token_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(text)
    assert "geheim" not in str(caught.value)
