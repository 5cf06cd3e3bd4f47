"""The naive image: bench/naive/Dockerfile on a plain debootstrap, as a person would make it by hand.

Owns the making of it and the seconds that took. The machine's mirrors, proxy and CA reach the build as they reach
devbox's own; nothing of them is in a file that is kept.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import take_seconds
from bench.stand import run
from builder.adapters.aptsources import find_mirrors, probe_archives
from builder.adapters.assets import load_assets
from builder.adapters.bootstrap import bootstrap_base
from builder.adapters.buildcontext import read_context
from builder.adapters.buildkit import build_image
from builder.adapters.handover import render_build_secrets
from builder.adapters.hostinfo import find_network_settings
from builder.core.canonical import content_id
from builder.core.catalog import Catalog, parse_catalog
from builder.model import Base, BuildEvent, RenderedFile

if TYPE_CHECKING:
    from builder.adapters.engine.client import Engine

SOURCE: Final = Path(__file__).parent / "naive"
COMPOSE_FILE: Final = SOURCE / "compose.yaml"
LABELS: Final = {"dev.devbox.bench": "naive"}
DEFAULT_BASE: Final = "debian-12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handmade:
    """The image, and what making it took; None for a part that was there already."""

    image: str
    base: str
    bootstrap_s: float | None
    build_s: float | None

    @property
    def seconds(self) -> float | None:
        return None if self.bootstrap_s is None or self.build_s is None else self.bootstrap_s + self.build_s


def make_handmade(engine: Engine, folder: Path, base_name: str, *, fresh: bool) -> Handmade:
    """The naive image of this Dockerfile on that base: found on the engine, or made; with `fresh` made from nothing."""
    files = {path.name: path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file()}
    version = content_id({name: data.decode() for name, data in files.items()})[:12]
    image, base = f"devbox-bench/naive:{base_name}-{version}", f"devbox-bench/base:{base_name}"
    if not fresh and engine.image_exists(image):
        return Handmade(image=image, base=base, bootstrap_s=None, build_s=None)
    bootstrap_s = None
    if fresh or not engine.image_exists(base):
        print("bootstrapping the base of the naive image", file=sys.stderr, flush=True)
        bootstrap_s = take_seconds(lambda: _make_base(engine, folder, _find_base(base_name), base))
    print("building the naive image", file=sys.stderr, flush=True)
    tools = _catalog().tools["tigervnc"].apt_by_base.get(base_name, ())  # Debian 11 has no such package
    arguments = {"BASE": base, "VNC_TOOLS": " ".join(tools)}
    build_s = take_seconds(lambda: _build(engine, files, image, arguments, fresh=fresh))
    return Handmade(image=image, base=base, bootstrap_s=bootstrap_s, build_s=build_s)


def _build(engine: Engine, files: dict[str, bytes], image: str, arguments: dict[str, str], *, fresh: bool) -> None:
    tree = {
        name: RenderedFile(data=data, executable=name.endswith(".sh"))
        for name, data in files.items()
        if name != COMPOSE_FILE.name
    }
    settings = find_network_settings()
    build_image(
        engine,
        lambda: read_context(tree, {}),
        tag=image,
        on_event=_ignore,
        labels=LABELS,
        arguments=arguments,
        fresh=fresh,
        secrets=render_build_secrets(settings),
    )


def _ignore(event: BuildEvent) -> None:
    """A failure comes as an error with the end of its log; the rest is of no interest here."""


def find_bases() -> list[str]:
    """The bases of the catalogue, by name."""
    return sorted(_catalog().bases)


def _catalog() -> Catalog:
    return parse_catalog(load_assets().listing)


def _find_base(name: str) -> Base:
    """As the catalogue says it; where it is pulled from is of no interest here."""
    file = _catalog().bases[name]
    return Base(
        name=name,
        distribution=file.distribution,
        codename=file.codename,
        image="",
        components=file.components,
        keyring=file.keyring,
        python=file.python,
        substitute=None,
    )


def _make_base(engine: Engine, folder: Path, base: Base, tag: str) -> None:
    """debootstrap's minbase as it is, without what devbox leaves out; mmdebstrap's where there is no debootstrap."""
    tar = folder / "naive-base.tar"
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program and os.geteuid() == 0:
        _debootstrap(program, base, folder / "naive-root", tar)
    else:
        mirrors = find_mirrors(base.distribution)
        bootstrap_base(base, arch=_arch(engine), mirrors=mirrors, target=tar, on_line=lambda line: None)
    engine.import_tar(tar, tag, LABELS)
    tar.unlink()


def _debootstrap(program: str, base: Base, root: Path, tar: Path) -> None:
    archives = probe_archives(base, find_mirrors(base.distribution))
    # A mount namespace of its own: what debootstrap mounts below its root ends with it, also when it is interrupted.
    run(
        [
            *("unshare", "--mount", "--propagation=private", "--", program, "--variant=minbase"),
            *(f"--keyring=/usr/share/keyrings/{base.keyring}", base.codename, str(root), archives.mirror),
        ],
        os.environ,
    )
    (root / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in archives.lines))
    run(["tar", "--create", "--one-file-system", f"--file={tar}", f"--directory={root}", "."], os.environ)
    shutil.rmtree(root)


def _arch(engine: Engine) -> str:
    return engine.version().arch
