"""What `down --volumes` is about to destroy, for the person who is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.backups import Helper
from builder.core.labels import LABEL_PLAN
from builder.errors import EngineError
from builder.model import Note

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context

PYTHON: Final = ("/usr/bin/python3", "-X", "utf8", "-ISE", "-c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    bytes: int
    files: int
    top: Sequence[str]

    def __str__(self) -> str:
        names = ", ".join(self.top) or "nothing"
        return f"{self.bytes / 1e6:,.1f} MB in {self.files} files: {names}"


def look_into(context: Context, project: str, names: Sequence[str]) -> Mapping[str, Contents]:
    """Volume -> what is in it. Nothing where no image of ours is left to look with: that is said, and no hindrance."""
    image = _find_image(context, project)
    if image is None:
        context.report(Note(text="there is no image to look into the volumes with", level="warning"))
        return {}
    helper = Helper(
        name="a look into the volumes",
        image=image,
        command=(*PYTHON, context.backups.looker()),
        volumes={f"/source/{name}": name for name in names},
        tmpfs={"/source": "rw,nosuid,nodev,mode=755,size=1m"},
        capabilities=("DAC_READ_SEARCH",),
    )
    with closing(context.engine().ask_helper(helper, {"volumes": list(names)})) as answers:
        told = next(iter(answers), None)
    if told is None:
        raise EngineError("the look into the volumes ended without an answer", hint="run the same command again")
    return {
        name: Contents(bytes=int(item["bytes"]), files=int(item["files"]), top=tuple(item["top"]))
        for name, item in told["volumes"].items()
    }


def _find_image(context: Context, project: str) -> str | None:
    container = context.engine().find_container(project)
    if container is not None:
        return container.image_id
    return next((image.id for image in context.engine().find_image_ids(LABEL_PLAN)), None)
