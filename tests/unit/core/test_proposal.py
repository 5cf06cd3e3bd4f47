"""What `devbox init` makes of the files that lie in a folder: each row of a table is a folder and what comes of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.clues import KNOWN_FILES, read_clues
from builder.core.config import Config
from builder.core.config_template import render_config_template
from builder.core.proposal import Proposal, make_proposal
from builder.core.resolve import resolve_config
from builder.core.selection import exact_version
from tests.golden import rendering
from tests.unit.core.builders import FACTS, make_catalog, make_config

CATALOG = make_catalog()
PACKAGE, PROJECT, CONTAINER = "package.json", "pyproject.toml", ".devcontainer/devcontainer.json"


def propose(files: dict[str, str]) -> Proposal:
    return make_proposal(read_clues(files), CATALOG, FACTS)


def read_back(proposal: Proposal) -> Config:
    """The configuration that comes of it: what devbox itself makes of the file."""
    return make_config(render_config_template(proposal.answers))


def engines(asked: str) -> dict[str, str]:
    return {PACKAGE: json.dumps({"engines": {"node": asked}})}


def requires(asked: str) -> dict[str, str]:
    return {PROJECT: f'[project]\nname = "x"\nrequires-python = "{asked}"\n'}


@pytest.mark.parametrize(
    ("files", "version", "warned"),
    [
        ({".nvmrc": "v20.13.0\n"}, "20", False),
        ({".nvmrc": "20"}, "20", False),
        ({".nvmrc": "20.11.1"}, "20", True),  # of the same line
        ({".nvmrc": "19"}, "20", True),  # the next one
        ({".nvmrc": "26"}, "22", True),  # the last one
        ({".nvmrc": "lts/*"}, "22", False),
        ({".nvmrc": "lts/iron"}, "20", False),
        ({".nvmrc": "# which\n\nlatest"}, "22", False),
        ({".node-version": "22.1.0"}, "22", False),
        ({".tool-versions": "nodejs 20.13.0 # for now\nruby 3.2.2\n"}, "20", False),
        (engines(">=16"), "18", False),  # the default will do
        (engines("^20.0.0 || >=22"), "20", False),
        (engines("20.x"), "20", False),
        (engines(">=18.0.0 <19"), "18", False),
        (engines(">=99"), "22", True),
        (engines("no range at all"), "18", True),
        ({PACKAGE: '{"volta": {"node": "20.13.0"}, "engines": {"node": ">=18"}}'}, "20", False),
        ({".nvmrc": "20", **engines(">=22")}, "20", True),  # the first file decides, the other is told
        ({CONTAINER: '{"features": {"ghcr.example/features/node:1": {"version": "22"}}}'}, "22", False),
        ({CONTAINER: '{"image": "registry.example/devcontainers/typescript-node:1-20-bookworm"}'}, "20", False),
    ],
)
def test_the_version_of_node_is_the_one_that_fits_and_another_one_is_said(
    files: dict[str, str], version: str, warned: bool
) -> None:
    found = propose(files)
    assert read_back(found).tools["node"].version == version
    assert bool(found.warnings) == warned
    exact = exact_version(version, CATALOG.tools["node"].versions.choices[version])
    assert all(f"node {exact} is taken" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("files", "base", "warned"),
    [
        (requires(">=3.9"), "ubuntu-22.04", False),  # the default will do
        (requires(">=3.10.2,<4"), "ubuntu-22.04", False),
        (requires("~=3.11"), "debian-12", False),
        (requires("==3.9.*"), "debian-11", False),
        (requires("<3.9"), "ubuntu-22.04", True),
        (requires("nothing"), "ubuntu-22.04", True),
        ({".python-version": "3.11.4\n"}, "debian-12", False),
        ({".python-version": "3.12"}, "ubuntu-22.04", True),
        ({".tool-versions": "python 3.9.2"}, "debian-11", False),
        ({PROJECT: '[tool.poetry.dependencies]\npython = "^3.11"\n'}, "debian-12", False),
        ({CONTAINER: '{"image": "registry.example/devcontainers/python:1-3.11-bookworm"}'}, "debian-12", False),
    ],
)
def test_the_base_is_one_whose_python_fits_and_another_one_is_said(
    files: dict[str, str], base: str, warned: bool
) -> None:
    found = propose(files)
    assert read_back(found).base.name == base
    assert bool(found.warnings) == warned
    assert all(f"{base} with Python {CATALOG.bases[base].python}" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("manager", "package"),
    [
        ("pnpm@9.1.0+sha512.abc", ("pnpm@9.1.0",)),
        ("yarn@1.22.19", ("yarn@1.22.19",)),
        ("yarn@4.1.0", ("@yarnpkg/cli-dist@4.1.0",)),
        ("npm@10.2.0", ()),
        ("bun@1.1.0", ("bun@1.1.0",)),
        ("pnpm@latest", ()),  # told as a remark: devbox.yaml takes exact versions
        ("evil-pkg@1.0.0", ()),  # so is one that Corepack knows nothing of
    ],
)
def test_the_package_manager_comes_with_its_version(manager: str, package: tuple[str, ...]) -> None:
    found = propose({PACKAGE: json.dumps({"packageManager": manager})})
    assert read_back(found).npm == package
    assert bool(found.answers.remarks) == (manager in ("pnpm@latest", "evil-pkg@1.0.0"))


COMPOSE = """\
services:
  db: {image: "postgres:16-alpine@sha256:abc"}
  cache: {image: registry.example/library/redis}
  web: {build: .}
"""


def test_the_clients_of_the_services_of_a_compose_file_are_installed() -> None:
    found = propose({"compose.yaml": COMPOSE})
    assert read_back(found).apt.packages == ("postgresql-client", "redis-tools")
    text = render_config_template(found.answers)
    assert "# the client of postgres, which compose.yaml starts as db.\n" in text


@pytest.mark.parametrize(
    ("files", "sidecars", "reason"),
    [
        ({"compose.yaml": COMPOSE}, ["postgres", "redis"], "compose.yaml starts postgres as db."),
        ({PACKAGE: '{"dependencies": {"pg": "^8"}}'}, ["postgres"], "package.json names pg."),
        ({PACKAGE: '{"devDependencies": {"ioredis": "5"}}'}, ["redis"], "package.json names ioredis."),
        ({PROJECT: '[project]\nname = "x"\ndependencies = ["psycopg[binary] >=3"]'}, ["postgres"], "names psycopg."),
        ({PROJECT: '[tool.poetry.dependencies]\nRedis = "*"'}, ["redis"], "pyproject.toml names Redis."),
        ({PACKAGE: '{"dependencies": {"pgx": "1"}}'}, [], ""),
        ({"compose.yaml": "services: {db: {image: mysql}}"}, [], ""),  # there is no sidecar of that name
    ],
)
def test_a_sidecar_that_the_folder_may_want_is_a_comment_which_becomes_true_without_its_mark(
    files: dict[str, str], sidecars: list[str], reason: str
) -> None:
    found = make_proposal(read_clues(files), rendering.catalog(), FACTS)
    text = render_config_template(found.answers)
    assert make_config(text).sidecars == {}
    assert not sidecars or f"{reason}\n" in text
    assert bool(found.answers.sidecars) == bool(sidecars)
    wanted = make_config(text.replace("# sidecars:", "sidecars:")).sidecars
    assert sorted(wanted) == (sidecars or ["postgres", "redis"])


@pytest.mark.parametrize(
    ("folder", "compose", "name", "network"),
    [
        ("my-app", COMPOSE, "my-app-box", "my-app_default my-app-box-workstation-1"),
        ("my-app", "name: other\n" + COMPOSE, "my-app", "other_default my-app-workstation-1"),
        ("My App", COMPOSE, "my-app", "myapp_default my-app-workstation-1"),  # Compose leaves the blank out
        ("a" * 41, COMPOSE, "a" * 37 + "-box", f"{'a' * 41}_default {'a' * 37}-box-workstation-1"),
    ],
)
def test_a_workstation_does_not_take_the_name_of_a_compose_project(
    folder: str, compose: str, name: str, network: str
) -> None:
    facts = dataclasses.replace(FACTS, folder=folder)
    found = make_proposal(read_clues({"docker-compose.yml": compose}), CATALOG, facts)
    assert read_back(found).name == name
    assert f"docker network connect {network}" in " ".join(found.answers.remarks)


def test_a_dev_container_gives_its_ports_and_variables_and_the_rest_is_said() -> None:
    text = """{
      // as editors write it
      "name": "x", "image": "debian:12",
      "forwardPorts": [5173, "8000", "db:5432", 80],
      "containerEnv": {"EDITOR": "vim", "LOCAL": "${localEnv:HOME}", "PATH": "/opt", "API_TOKEN": "geheim"}, /* more */
      "features": {"ghcr.example/features/rust:1": {}},
      "postCreateCommand": "npm ci // all",
      "mounts": [],
    }"""
    found = propose({CONTAINER: text})
    config = read_back(found)
    assert [port.container for port in config.ports.dev] == [5173, 8000]
    assert config.environment == {"EDITOR": "vim"}
    told = " ".join(found.answers.remarks)
    assert "geheim" not in render_config_template(found.answers)
    for part in (
        "`db:5432`",
        "`80` is not taken over",
        "LOCAL",
        "PATH",
        "`API_TOKEN`, which looks like a secret",
        "rust",
        "npm ci // all",
        "mounts",
    ):
        assert part in told


@pytest.mark.parametrize("port", [6080, 5901, 2222])
def test_a_port_that_the_workstation_itself_listens_on_is_left_out_and_said(port: int) -> None:
    text = json.dumps({"forwardPorts": [port, 8000]})
    found = make_proposal(read_clues({CONTAINER: text}), rendering.catalog(), rendering.FACTS)
    assert found.answers.ports == (8000,)
    assert f"`{port}` is not taken over: ports.dev[0]: port {port} of the workstation is" in found.answers.remarks[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://me:hunter2@db/x"),
        ("GITHUB_PAT", "ghp_hunter2"),
        ("MYSQL_PWD", "hunter2"),
        ("DB_PASS", "hunter2"),
        ("SETTINGS", "_authToken=hunter2"),
    ],
)
def test_a_secret_is_left_out_by_its_name_or_by_what_it_holds(name: str, value: str) -> None:
    found = propose({CONTAINER: json.dumps({"containerEnv": {name: value, "EDITOR": "vim"}})})
    assert found.answers.environment == {"EDITOR": "vim"}
    assert f"`{name}`, which looks like a secret" in found.answers.remarks[0]
    assert "hunter2" not in render_config_template(found.answers)


def test_what_is_more_than_devbox_yaml_takes_is_left_out_and_said() -> None:
    variables = {f"V{number}": "x" for number in range(501)}
    found = propose({CONTAINER: json.dumps({"forwardPorts": list(range(7001, 7053)), "containerEnv": variables})})
    config = read_back(found)
    assert (len(config.ports.dev), len(config.environment)) == (50, 500)
    assert [remark.split(" is not taken over")[0] for remark in found.answers.remarks] == [
        f"{CONTAINER}: `7051`", f"{CONTAINER}: `7052`", f"{CONTAINER}: the variable V500",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (PACKAGE, "{"), (PACKAGE, "[" * 100_000), (PROJECT, "[project"), ("compose.yaml", "a: [\n"), (CONTAINER, "no"),
        ("compose.yaml", "services: [1, 2"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_said_and_hinders_nothing(file: str, text: str) -> None:
    found = propose({file: text})
    assert found.answers.remarks[0].startswith(f"{file} is there and cannot be read")
    assert read_back(found) == make_config(None)


def test_without_any_file_the_answers_are_the_defaults() -> None:
    found = propose({})
    assert (found.taken, found.warnings) == ((), ())
    assert read_back(found) == make_config(None)


def test_a_tool_that_the_catalogue_lacks_is_said() -> None:
    found = propose({".tool-versions": "ruby 3.2.2\n"})
    assert ".tool-versions asks for ruby `3.2.2`: devbox has no tool of that name" in found.answers.remarks[0]


# -------------------------------------------------------------------------------------- whatever a file says

TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(["3.12", ">=18", "latest", "x\ny: z", "\u2028", "# a", "${A}"]))
VALUES: Any = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
PACKAGES = st.fixed_dictionaries(
    {},
    optional={
        "engines": st.one_of(VALUES, st.fixed_dictionaries({"node": TEXTS})),
        "dependencies": VALUES,
        "packageManager": st.one_of(VALUES, TEXTS.map(lambda text: f"pnpm@{text}")),
        "volta": st.one_of(VALUES, st.fixed_dictionaries({"node": TEXTS})),
    },
)
PORTS = st.integers(0, 99_999) | st.sampled_from([6080, 5901, 2222])  # these are the workstation's own
CONTAINERS = st.fixed_dictionaries(
    {},
    optional={
        "image": VALUES,
        "features": st.one_of(VALUES, st.dictionaries(TEXTS, VALUES, max_size=2)),
        "forwardPorts": st.one_of(VALUES, st.lists(st.one_of(VALUES, PORTS), max_size=3)),
        "containerEnv": st.one_of(VALUES, st.dictionaries(TEXTS, TEXTS, max_size=2)),
        "postCreateCommand": VALUES,
    },
)
COMPOSES = st.fixed_dictionaries(
    {}, optional={"name": VALUES, "services": st.dictionaries(TEXTS, st.just({"image": "postgres"}), max_size=2)}
)


@given(PACKAGES, CONTAINERS, COMPOSES, TEXTS)
def test_whatever_the_files_say_the_proposal_is_accepted_and_can_be_built(
    package: Any, container: Any, compose: Any, line: str
) -> None:
    files = {
        PACKAGE: json.dumps(package), CONTAINER: json.dumps(container), "compose.yaml": json.dumps(compose),
        ".tool-versions": f"nodejs {line}\npython {line}\n", PROJECT: line,
    }  # fmt: skip
    found = make_proposal(read_clues(files), rendering.catalog(), rendering.FACTS)
    resolve_config(read_back(found), rendering.catalog(), rendering.FACTS)


@pytest.mark.parametrize("file", KNOWN_FILES)
@pytest.mark.parametrize("text", ["", "\0", "null", "1", "[]", '"x"', "\n\n", "a b c", "{}", "- x"])
def test_any_known_file_may_hold_anything(file: str, text: str) -> None:
    assert read_back(propose({file: text}))


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("node", ["18", "20", "22", "24"])
def test_every_pair_of_versions_that_the_catalogue_has_can_be_built(version: str, node: str) -> None:
    found = make_proposal(
        read_clues({".python-version": version, ".nvmrc": node}), rendering.catalog(), rendering.FACTS
    )
    assert found.warnings == ()
    resolve_config(read_back(found), rendering.catalog(), rendering.FACTS)
