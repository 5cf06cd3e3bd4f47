"""Sidecars on paper: their files, what devbox.yaml says of them, and their containers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from builder.adapters.engine.spec import create_arguments
from builder.core.beside import give_variables, make_sidecar
from builder.core.render import render_compose, render_sidecar
from builder.core.resolve import resolve_config
from builder.core.stamp import spec_content
from builder.errors import ConfigError
from builder.model import BaseAnswer, Resolved, Retrieval, ServiceSpec, Sidecar, SidecarForm
from tests.golden.rendering import assets, catalog
from tests.unit.core.builders import FACTS, make_catalog, make_config
from tests.unit.core.test_service import spec_of

GUIDE = Path(__file__).resolve().parents[3] / "docs/sidecars.md"
DB = """\
summary: a database
version: 2
port: 5432
gives: {DB_URL: "db://dev:{password}@{host}:{port}/dev"}
image: {name: db, volume: /data, health: [is-up]}
build: {apt: [db-server], user: db, volume: /var/lib/db, command: [db, --here], health: [is-up]}
"""


def resolve(text: str, db: str = DB) -> Resolved:
    return resolve_config(make_config(f"base: debian-12\n{text}"), make_catalog(**{"sidecars/db": db}), FACTS)


def sidecar_of(text: str = "sidecars: [db]", db: str = DB) -> Sidecar:
    (found,) = resolve(text, db).runtime.sidecars
    return found


def spec_for(sidecar: Sidecar, form: SidecarForm | None, port: int | None = None) -> ServiceSpec:
    assert form is not None
    return make_sidecar(
        resolve("").runtime,
        sidecar,
        form,
        image=form.image or "devbox/sidecar:db-1",
        workspace="/home/me/my-app",
        secrets="/state/sidecars/db",
        port=port,
        bind="127.0.0.1",
    )


@pytest.mark.parametrize(
    ("text", "image"),
    [("sidecars: [db]", "db:2"), ("sidecars: {db: 3}", "db:3"), ("sidecars: {db: {version: 3-alpine}}", "db:3-alpine")],
)
def test_the_version_is_the_tag_of_the_image(text: str, image: str) -> None:
    form = sidecar_of(text).pulled
    assert form is not None
    assert form.image == form.source == image


def test_a_tag_takes_the_place_of_a_tag_and_never_of_a_port() -> None:
    form = sidecar_of(db=DB.replace("name: db,", '"name": "host.example:5000/a/db:1",')).pulled
    assert form is not None
    assert form.image == "host.example:5000/a/db:2"


def test_an_image_comes_through_the_mirror_and_keeps_its_name() -> None:
    form = sidecar_of("sidecars: [db]\nmirrors: {images: registry.example/m}").pulled
    assert form is not None
    assert (form.image, form.source) == ("db:2", "registry.example/m/library/db:2")


def test_false_leaves_a_sidecar_out() -> None:
    assert resolve("sidecars: {db: false}").runtime.sidecars == ()


@pytest.mark.parametrize("text", ["sidecars: [dbb]", "sidecars: {dbb: true}"])
def test_an_unknown_sidecar_is_refused_with_the_nearest_one(text: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown sidecar `dbb`.*did you mean `db`"):
        raise ConfigError(" ".join(str(error_of(text)).split()))


def error_of(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(text)
    return caught.value


@pytest.mark.parametrize("name", ["db", "db_"])
def test_a_sidecar_cannot_be_called_as_the_workstation_calls_itself(name: str) -> None:
    assert "inside, db is the workstation itself" in str(error_of(f"name: {name}\nsidecars: [db]"))


def test_two_sidecars_cannot_have_one_port_of_this_machine() -> None:
    files = make_catalog(**{"sidecars/db": DB, "sidecars/other": DB})
    config = make_config("base: debian-12\nsidecars: {db: {port: 5432}, other: {port: 5432}}")
    with pytest.raises(ConfigError, match="both ask for port 5432"):
        resolve_config(config, files, FACTS)


def resolve_two(more: str = "") -> Resolved:
    files = make_catalog(**{"sidecars/db": DB, "sidecars/other": DB})
    return resolve_config(make_config(f"base: debian-12\nsidecars: [db, other]\n{more}"), files, FACTS)


def test_a_variable_that_two_sidecars_give_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"devbox.yaml:2:.*db and other both give DB_URL"):
        resolve_two()


def test_where_devbox_yaml_sets_the_variable_itself_both_may_give_it() -> None:
    assert [sidecar.name for sidecar in resolve_two("environment: {DB_URL: here}").runtime.sidecars] == ["db", "other"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("DB_URL", "PATH", r"sidecars/db.yaml:4:\d+.*PATH belongs to the workstation"),
        ("DB_URL", "TZ", "TZ is set by the key `timezone`"),
        ("DB_URL", "DB-URL", "is not the name of an environment variable"),
        ("{password}", "{secret}", "unknown placeholder"),
        ("version: 2\n", "", "an image without a tag"),
        ("health: [is-up]}\nbuild", "health: []}\nbuild", "too few entries"),
        ("image: {", "picture: {", "unknown key"),
    ],
)
def test_a_mistake_in_a_file_is_told(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_catalog(**{"sidecars/db": DB.replace(old, new)})


def test_a_file_that_brings_no_image_is_refused() -> None:
    with pytest.raises(ConfigError, match="it cannot be had"):
        make_catalog(**{"sidecars/db": "summary: x\nport: 1\n"})


@pytest.mark.parametrize("name", ["workstation", "localhost", "a_b", "-a", "db-built"])
def test_a_file_whose_name_no_host_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name of a sidecar"):
        make_catalog(**{f"sidecars/{name}": DB})


def test_a_sidecar_has_no_more_rights_than_it_needs() -> None:
    sidecar = sidecar_of()
    spec = spec_for(sidecar, sidecar.built)
    assert (spec.cap_drop, spec.cap_add, spec.security_opt) == (("ALL",), (), ("no-new-privileges:true",))
    assert spec.read_only
    assert spec.memory == 512 << 20
    assert spec.pids == 256
    assert spec.ports == ()


def test_each_image_of_a_sidecar_has_data_of_its_own() -> None:
    sidecar = sidecar_of()
    names = [spec_for(sidecar, form).volumes[0].name for form in (sidecar.pulled, sidecar.built)]
    assert names == ["my-app_sidecar-db", "my-app_sidecar-db-built"]


def test_what_stands_in_is_in_a_label() -> None:
    sidecar = sidecar_of()
    told = [
        json.loads(spec_for(sidecar, form).labels["dev.devbox.substitutions"])
        for form in (sidecar.pulled, sidecar.built)
    ]
    assert [[item["wanted"] for item in items] for items in told] == [[], ["db:2"]]


def dockerfile_of(db: str) -> str:
    sidecar = sidecar_of(db=db)
    assert sidecar.built is not None
    base = BaseAnswer(name="debian-12", reference="debian@sha256:1", how=Retrieval.PULL, identity="1")
    tree = render_sidecar(sidecar, sidecar.built, base, rootfs=assets().rootfs, templates=assets().templates)
    return tree["Dockerfile"].data.decode()


def test_a_server_that_is_built_is_asked_to_end_as_its_file_says() -> None:
    said = dockerfile_of(DB.replace("build: {", "build: {stop_signal: SIGINT, "))
    assert [line for line in said.splitlines() if line not in dockerfile_of(DB)] == ["STOPSIGNAL SIGINT"]


def test_a_published_port_is_another_container_and_on_loopback() -> None:
    sidecar = sidecar_of("sidecars: {db: {port: 5433}}")
    plain, published = spec_for(sidecar, sidecar.built), spec_for(sidecar, sidecar.built, port=5433)
    assert [(port.bind, port.host, port.container) for port in published.ports] == [("127.0.0.1", 5433, 5432)]
    assert plain.labels["dev.devbox.spec"] != published.labels["dev.devbox.spec"]


def test_the_password_is_in_what_is_handed_in_alone() -> None:
    resolved = resolve("sidecars: [db]")
    assert give_variables(resolved.runtime, {"db": "s3cret"}) == {"DB_URL": "db://dev:s3cret@db:5432/dev"}
    sidecar = sidecar_of()
    specs = [spec_of(), spec_for(sidecar, sidecar.built)]
    text = render_compose(specs[0], specs[1:], templates=assets().templates, version="1")["compose.yaml"].data
    assert b"  db:\n" in text
    assert b"sidecar-db-built" in text
    assert b"DB_URL" not in text


def test_compose_and_the_engine_are_told_the_same_of_a_sidecar() -> None:
    sidecar = sidecar_of("sidecars: {db: {port: 5433}}", DB.replace("user: db,", "user: db, tmpfs: [/tmp],"))
    spec = spec_for(sidecar, sidecar.built, port=5433)
    text = render_compose(spec_of(), [spec], templates=assets().templates, version="1")["compose.yaml"].data
    told, made = yaml.safe_load(text)["services"]["db"], create_arguments(spec, "sha256:1")
    assert (told["command"], told["user"], told["image"]) == (made["Cmd"], made["User"], made["Image"])
    assert told["ports"] == ["127.0.0.1:5433:5432"]
    assert told["cap_drop"] == made["HostConfig"]["CapDrop"] == ["ALL"]
    assert (told["mem_limit"], told["pids_limit"]) == (made["HostConfig"]["Memory"], made["HostConfig"]["PidsLimit"])
    assert [item.partition(":")[0] for item in told["tmpfs"]] == list(made["HostConfig"]["Tmpfs"])
    assert [item["target"] for item in told["volumes"]] == [item["Target"] for item in made["HostConfig"]["Mounts"]]
    assert "environment" not in told


def test_a_workstation_without_sidecars_keeps_the_id_that_it_had() -> None:
    """Else an update of devbox would make every container anew."""
    assert "command" not in spec_content(spec_of())
    assert "command" in spec_content(replace(spec_of(), command=("x",)))


def test_the_example_of_the_guide_is_accepted() -> None:
    (text,) = re.findall(r"^(# sidecars/mail.yaml\n.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert sidecar_of(db=text).built is not None


def test_the_files_that_come_with_devbox_can_be_built_from_packages() -> None:
    """A machine without a registry has them, too."""
    assert {"postgres", "redis"} <= catalog().sidecars.keys()
    assert all(file.build is not None for file in catalog().sidecars.values())
