"""Layers are told by the step of the plan that made them, as long as the templates write steps as they do."""

from __future__ import annotations

import re

import pytest

from builder.core.layer_steps import name_steps
from builder.core.layers import EntryKind, Layer, LayerEntry
from builder.core.progress import read_steps
from tests.golden.rendering import Rendered, render

CONFIGS = {
    "default": None,
    "headless": "profile: headless\n",
    "added": "apt: [zzz-plain]\nnpm: ['@angular/cli@17.3.0', typescript@5.4.5]\n"
    "framework: {git: https://example.org/x.git, rev: v1}\n",
}


def make_layer(*paths: str) -> Layer:
    return Layer(digest="", entries=tuple(LayerEntry(path=path, kind=EntryKind.FOLDER) for path in paths))


def history(rendered: Rendered) -> list[tuple[str, Layer, str]]:
    """(instruction as an engine keeps it, layer, step) of every layer above the base's."""
    found = []
    prefixes = {step.options.get("stage"): str(step.options.get("prefix")) for step in rendered.plan.steps}
    for where, instruction, step in read_steps(rendered.dockerfile, rendered.plan):
        if where not in ("base", "packages", "workstation") or not instruction.startswith(("COPY", "RUN")):
            continue
        source = re.match(r"COPY --from=(\S+) ", instruction)
        text = re.sub(r"--(from|mount)=\S+\s+", "", instruction).replace("RUN ", "RUN /bin/sh -euc ")
        stage = source[1] if source and source[1] in prefixes else None  # of an image else: its folder tells the step
        layer = make_layer("opt", prefixes[stage].lstrip("/")) if stage else make_layer()
        found.append((f"{text} # buildkit", layer, step.name if step else "base"))
    return found


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_layer_of_a_build_is_told_by_its_step(config: str | None) -> None:
    rendered = render(config)
    made = history(rendered)
    names = name_steps(
        ["", *(text for text, _, _ in made)], rendered.plan.labels, [make_layer(), *(layer for _, layer, _ in made)]
    )
    assert names == ("base", *(step for _, _, step in made))
    assert {"base", "apt", "node", "rootfs", "configure"} <= set(names)


def test_layers_of_a_foreign_image_are_told_by_their_instruction_or_number() -> None:
    made = ["ADD rootfs.tar / # buildkit", "", f"RUN {'x' * 100}"]
    names = name_steps(made, {}, [make_layer()] * 3)
    assert names == ("ADD rootfs.tar /", "layer 2", f"RUN {'x' * 65}...")


@pytest.mark.parametrize("label", ["two", "[]", '{"apt": 1}', '{"apt": ["0"]}', "[" * 100_000])
def test_a_label_of_steps_that_is_not_of_devbox_is_none(label: str) -> None:
    made = ["COPY rootfs / # buildkit"]
    assert name_steps(made, {"dev.devbox.steps": label}, [make_layer()]) == name_steps(made, {}, [make_layer()])


def test_an_update_is_the_apt_step() -> None:
    query = "$(dpkg-query --show --showformat='${Package} ')"
    made = [f"RUN /bin/sh -euc DEVBOX_PACKAGES=x /usr/lib/devbox/apt-install {query} tree vim # buildkit"]
    labels = {"dev.devbox.steps": '{"apt": ["0", "tree vim"], "apt:htop": ["1", "htop"]}'}
    assert name_steps(made, labels, [make_layer()]) == ("apt",)
