"""What the measures share: our workstation, the same one under Docker Compose, and the naive image.

Each is made when a measure first asks for it. Owns no cleaning: that is the stand's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from bench.handmade import DEFAULT_BASE, Handmade, make_handmade
from bench.recipe import Recipe, recipe_naive, recipe_of
from builder.adapters.engine.client import Engine, connect_engine

if TYPE_CHECKING:
    from bench.figures import Grid, Share, Timeline
    from bench.stand import Stand, Workstation


@dataclass
class Pair:
    """Ours and what it is compared with. `fresh`: the naive image is made from nothing, since that is measured."""

    stand: Stand
    fresh: bool = False
    notes: list[str] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)

    @cached_property
    def engine(self) -> Engine:
        return connect_engine(os.environ)

    @cached_property
    def ours(self) -> Workstation:
        ours = self.stand.new("ours")
        ours.devbox("up")
        ours.wait_healthy()
        return ours

    @cached_property
    def theirs(self) -> Workstation:
        """Rendered by devbox, started by Compose."""
        self.ours.wait_healthy()  # its image is the one that is started here
        theirs = self.stand.new("theirs")
        theirs.devbox("render")
        theirs.compose("up", "-d")
        return theirs

    @cached_property
    def naive(self) -> Handmade:
        base = str(self.stand.common.get("base", DEFAULT_BASE))
        made = make_handmade(self.engine, self.stand.folder, base, fresh=self.fresh)
        self.stand.extra_images.update({made.image, made.base})
        return made

    @cached_property
    def recipes(self) -> tuple[Recipe, Recipe]:
        """Ours and the naive one, to be started in turns."""
        password = self.ours.devbox("password").stdout.strip()
        return recipe_of(self.ours.container, password), recipe_naive(self.naive.image)

    def in_turns(self, rounds: int) -> Iterator[Recipe]:
        """Each recipe `rounds` times; who begins changes, so that neither always follows the other."""
        for number in range(rounds):
            yield from self.recipes if number % 2 == 0 else reversed(self.recipes)

    def note(self, text: str) -> None:
        """Something that the reader of the table must know."""
        print(f"note: {text}", file=sys.stderr, flush=True)
        self.notes.append(text)
