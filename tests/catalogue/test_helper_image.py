"""The image in which restic runs, rendered from what ships: its build finds all that it copies."""

from __future__ import annotations

import dockerfile

from builder.adapters.assets import load_assets
from builder.core.render import render_helper
from builder.model import BaseAnswer, RenderedFile, Retrieval


def test_all_that_the_helper_copies_and_calls_is_in_its_context() -> None:
    assets = load_assets()
    base = BaseAnswer(name="debian-12", reference="debian:12-slim", how=Retrieval.LOCAL, identity="sha256:0")
    program = {"inside.py": RenderedFile(data=b"")}
    tree = render_helper(base, program, label="one", rootfs=assets.rootfs, templates=assets.templates)
    copies = [item for item in dockerfile.parse_string(tree["Dockerfile"].data.decode()) if item.cmd == "COPY"]
    sources = [source for item in copies for source in item.value[:-1]]
    assert sources
    assert [source for source in sources if not any(path.startswith(source) for path in tree)] == []
    assert {"base/usr/lib/devbox/apt-install", "base/usr/lib/devbox/settle"} <= tree.keys()
