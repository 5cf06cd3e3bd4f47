"""A build inside a company: its own mirror behind TLS, a proxy that re-signs, an authority that nobody else knows.

One image is made through all of it, without any cache of the builder. What was asked for is what the servers saw; that
nothing of the company stays is looked up in every layer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from builder.adapters.aptsources import find_mirrors
from builder.adapters.assets import load_assets
from builder.adapters.engine.client import Engine
from builder.adapters.hostinfo import NetworkSettings
from builder.adapters.sources import HostSources
from builder.core.catalog import parse_catalog
from builder.core.config import parse_config
from builder.core.render import render_helper
from builder.core.resolve import resolve_config
from builder.model import BaseAnswer, RenderedFile, Retrieval
from tests.engine.addresses import find_gateway
from tests.engine.conftest import Workstation, make_factory
from tests.engine.corporate import Authority, mirror, resigning_proxy, serve_tls
from tests.engine.listeners import Listener, registry, serve
from tests.unit.core.builders import FACTS

pytestmark = pytest.mark.engine_26

ASSETS = load_assets()

TAG = "devbox/headless:corporate"
MOMENT = "20240115T000000Z"
INSTALLED = "devbox/headless:corporate-installed"
PROJECT = """
[build-system]
requires = ["setuptools"]
[project]
name = "tools"
version = "1"
scripts = {tools = "tools:main"}
[tool.setuptools]
py-modules = ["tools"]
"""


@dataclass(slots=True)
class Company:
    authority: Authority
    packages: Listener  # the mirror of apt, and of archives
    images: Listener
    proxy: Listener
    workstation: Workstation
    api: Any

    def config(self, ca: str = "ca_bundle: ./company-ca.pem", npm: str = "is-number@7.0.0") -> str:
        place = f"https://{self.packages.address}:{self.packages.port}"
        return f"""
profile: headless
base: debian-12
tools: {{claude-code: false, sshd: false, sudo: false}}
npm: [{npm}]
framework: {{path: ./tools}}
mirrors:
  apt: {{debian: "{place}/debian"}}
  archives: "{place}/archives/{{host}}"
  images: 127.0.0.1:{self.images.port}/mirror
{ca}
"""


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, session_folder: Path, environment: Mapping[str, str], engine: Engine
) -> Iterator[Company]:
    api: Any = docker.APIClient(base_url=engine.host.url)
    gateway = find_gateway(api)
    own = find_mirrors("debian")
    places = {"/debian/": f"{own.main[0]}/", "/debian-security/": f"{(own.security or own.main)[0]}/"}
    places |= {f"/archive{place}{MOMENT}/": address for place, address in places.items()}
    with ExitStack() as stack:
        for make in make_factory(session_folder, environment):
            workstation = make("corporate")
            authority = Authority(workstation.folder)
            company = Company(
                authority=authority,
                packages=stack.enter_context(serve_tls(gateway, authority, mirror(places))),
                images=stack.enter_context(serve("127.0.0.1", registry)),
                proxy=stack.enter_context(serve(gateway, resigning_proxy(authority))),
                workstation=workstation,
                api=api,
            )
            through = f"http://{gateway}:{company.proxy.port}"
            settings = {"http_proxy": through, "https_proxy": through, "no_proxy": f"127.0.0.1,localhost,{gateway}"}
            workstation.environment = {**environment, **settings}
            assert authority.bundle.is_file()
            (workstation.folder / "tools").mkdir()
            (workstation.folder / "tools/pyproject.toml").write_text(PROJECT)
            (workstation.folder / "tools/tools.py").write_text("def main(): print('here')\n")
            workstation.write(company.config())
            done = workstation.run("build", "--no-cache", "--tag", TAG)
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            stack.callback(engine.remove_image, TAG, force=True)
            yield company


def test_every_source_was_asked_through_what_the_company_has(company: Company) -> None:
    packages = [path for path, _ in company.packages.seen]
    assert "/debian/dists/bookworm/InRelease" in packages
    assert "/debian-security/dists/bookworm-security/InRelease" in packages
    assert [path for path in packages if path.endswith(".deb")]
    assert [path for path in packages if path.startswith("/archives/") and path.endswith(".tar.gz")]
    through = [path for path, _ in company.proxy.seen]
    assert [path for path in through if "/is-number/-/is-number-7.0.0.tgz" in path]
    assert [path for path in through if "/simple/setuptools/" in path]
    assert [path for path in through if company.packages.address in path] == []  # by `no_proxy`


def test_a_base_that_is_not_there_is_asked_for_at_the_mirror_of_images(company: Company) -> None:
    """Which wants a login, and is told no name before it has one."""
    base = "base: {name: ubuntu-24.04, image: 'nobody/none:1', substitute: false}"
    company.workstation.write(company.config().replace("base: debian-12", base))
    company.images.seen.clear()
    done = company.workstation.run("plan")
    assert [path for path, _ in company.images.seen] != []
    assert f"127.0.0.1:{company.images.port}/mirror/nobody/none:1 cannot be pulled" in done.stderr


def test_no_layer_holds_the_authority_the_mirror_or_the_proxy(company: Company) -> None:
    marks = make_marks(company)
    assert find_marks(company.api.get_image(TAG), marks) == set()
    about = json.dumps([company.api.inspect_image(TAG), company.api.history(TAG)]).encode()
    assert find_marks([about], marks) == set()


def test_the_authority_is_inside_only_when_asked_and_makes_another_image(company: Company, engine: Engine) -> None:
    workstation = company.workstation
    workstation.write(company.config())
    before = json.loads(workstation.ok("plan", "--json"))["id"]
    workstation.write(company.config(ca="ca_bundle: {path: ./company-ca.pem, install: true}"))
    assert json.loads(workstation.ok("plan", "--json"))["id"] != before
    workstation.ok("build", "--tag", INSTALLED)
    try:
        marks = make_marks(company)
        assert find_marks(company.api.get_image(INSTALLED), marks) == {"authority"}
        wanted = "etc/ssl/certs/ca-certificates.crt"
        trusted = {file.path: file.data for file in engine.read_files(INSTALLED, lambda path: path == wanted)}[wanted]
        assert marks["authority"] in trusted
    finally:
        engine.remove_image(INSTALLED, force=True)


def test_without_the_bundle_the_error_names_the_cause_and_the_key(company: Company) -> None:
    workstation = company.workstation
    workstation.write(company.config(ca=""))
    refused = workstation.run("build")
    assert refused.returncode == 8, refused.stderr
    assert "its certificate is not trusted here" in refused.stderr
    assert "hint: `ca_bundle` in devbox.yaml" in refused.stderr
    # With this machine's own mirror, by the proxy, it is npm, inside, that meets the company first. This package is
    # asked for in no build that succeeds.
    plain = "\n".join(line for line in company.config(ca="", npm="is-odd@3.0.1").splitlines() if "debian:" not in line)
    workstation.write(plain)
    failed = workstation.run("build")
    assert failed.returncode == 5, failed.stderr
    assert "npm:is-odd" in failed.stderr
    assert "`ca_bundle` in devbox.yaml" in failed.stderr


def test_config_explains_where_the_network_comes_from(company: Company) -> None:
    company.workstation.write(company.config())
    told = json.loads(company.workstation.ok("config", "--explain", "--json"))["settings"]
    origins = {item["key"]: item["origin"] for item in told}
    assert origins["mirrors.apt.debian"] == "devbox.yaml:8"
    assert origins["ca_bundle.path"].startswith("devbox.yaml:")
    assert origins["https_proxy"] == "https_proxy of the environment"


@pytest.mark.long
def test_packages_of_a_moment_come_from_a_service_of_snapshots(
    company: Company, engine: Engine, tmp_path: Path
) -> None:
    """By the step that every image has, on any base: that of a moment would have to be bootstrapped first."""
    service = f"https://{company.packages.address}:{company.packages.port}/archive/{{archive}}/{{timestamp}}"
    settings = NetworkSettings(ca_bundle=company.authority.bundle.read_bytes(), snapshots={"debian": service})
    base = resolve_config(
        parse_config(f"base: debian-12\napt: {{snapshot: {MOMENT}}}", file="devbox.yaml", defaults=FACTS),
        parse_catalog(ASSETS.listing),
        FACTS,
    ).base
    secrets = HostSources(tmp_path, settings=lambda: settings).host_secrets(base, pytest.fail)
    images = engine.find_image_ids("dev.devbox.base=debian-12")
    reference = next(tag for image in images for tag in image.tags if tag.startswith("devbox/base:"))
    answer = BaseAnswer(name=base.name, reference=reference, how=Retrieval.BOOTSTRAP, identity="any")
    tree = render_helper(answer, {}, label="dev.devbox.test", rootfs=ASSETS.rootfs, templates=ASSETS.templates)
    dockerfile = tree["Dockerfile"].data.replace(b"COPY helper/", b"#")
    tag = "devbox/test:moment"
    company.packages.seen.clear()
    engine.build(
        {**tree, "Dockerfile": RenderedFile(data=dockerfile)}, {}, tag, lambda event: None, secrets=secrets, fresh=True
    )
    try:
        asked = [path for path, _ in company.packages.seen]
        assert asked
        assert [path for path in asked if MOMENT not in path] == []
        assert [path for path in asked if path.endswith(".deb")]
    finally:
        engine.remove_image(tag, force=True)


@pytest.mark.long
def test_a_lock_of_a_moment_is_asked_and_built_from_its_snapshot_alone(company: Company, engine: Engine) -> None:
    """From the base on, which is bootstrapped as it was then."""
    service = f"https://{company.packages.address}:{company.packages.port}/archive/{{archive}}/{{timestamp}}"
    moment = f"apt: {{snapshot: {MOMENT}}}\nmirrors:\n  snapshot: {{debian: '{service}'}}\n"
    config = company.config(npm="").replace("framework: {path: ./tools}", "framework: none")
    workstation = company.workstation
    before = (workstation.folder / "devbox.yaml").read_text()
    workstation.write(config.replace("mirrors:\n", moment))
    company.packages.seen.clear()
    lock: dict[str, Any] = {}
    try:
        workstation.ok("lock")
        lock = json.loads((workstation.folder / "devbox-lock.json").read_text())
        workstation.ok("build", "--frozen")
        asked = [path for path, _ in company.packages.seen if path.startswith(("/debian", "/archive"))]
        assert [path for path in asked if MOMENT not in path] == []
        assert [path for path in asked if path.endswith(".deb")]
        assert (lock["wanted"]["snapshot"], lock["base"]["how"]) == (MOMENT, "bootstrap")
        engine.remove_image(json.loads(workstation.ok("plan", "--frozen", "--json"))["image"])
    finally:
        if lock:
            engine.remove_image(lock["base"]["image"])
        workstation.write(before)


def make_marks(company: Company) -> dict[str, bytes]:
    return {
        "authority": company.authority.bundle.read_bytes().splitlines()[1],
        "mirror": f"{company.packages.address}:{company.packages.port}".encode(),
        "proxy": f"{company.proxy.address}:{company.proxy.port}".encode(),
    }


def find_marks(chunks: Any, marks: Mapping[str, bytes]) -> set[str]:
    found, end = set(), b""
    for chunk in chunks:
        found |= {name for name, mark in marks.items() if mark in end + chunk}
        end = chunk[-200:]
    return found
