"""The page of what `--json` prints, from the dataclasses that are printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, get_args

from builder import model
from builder.adapters.remote.steps import SubStep
from builder.core.backups import Snapshot, Taken
from builder.core.compare import Comparison
from builder.core.cost import Costs
from builder.core.difference import Difference
from builder.core.explain import Setting
from builder.core.leftovers import Leftover
from builder.core.load import Load
from builder.core.outdated import Outdated
from builder.core.tool_view import ToolView
from builder.core.updates import Change
from builder.model import Plan
from builder.suite.cis import ExceptionNote
from builder.suite.results import Report
from builder.tasks.doctor import Finding
from builder.tasks.fetch import Fetched
from builder.tasks.hosts import Machine
from builder.tasks.registry import Shared
from builder.tasks.relock import Relocked
from builder.tasks.status import Status
from builder.tasks.uninstall import Belongings
from docsite.shapes import find_fields, find_words
from docsite.tables import make_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What one verb prints: an object of `shape` or a list of them; `words` say what is not in the shape."""

    shape: type | None = None
    many: bool = False
    words: str = ""
    more: tuple[type, ...] = ()  # of which `words` speak


OUTPUTS: Final = {
    "backup": Output(shape=Taken),
    "backups": Output(shape=Snapshot, many=True),
    "build": Output(words="An object: `image` is its tag, `how` is `here`, `pulled`, `built` or `sent`."),
    "compare": Output(shape=Comparison),
    "config": Output(
        words="The whole of [devbox.yaml](config.md) with every default. With `--explain` an object: `settings` is a "
        "list of [Setting](#setting), `security` an object with `level` and `exceptions`, a list of "
        "[ExceptionNote](#exceptionnote).",
        more=(Setting, ExceptionNote),
    ),
    "cp": Output(words="An object: `source`, `target` (where it lies now), and `bytes`, of the tar that went over."),
    "devcontainer": Output(words="An object: `file` is the path of what was written."),
    "diff": Output(shape=Difference),
    "doctor": Output(shape=Finding, many=True),
    "down": Output(
        words="An object: `name`, `changed` (whether there was anything), volumes as `destroyed` and `kept`, and "
        "`backup`, a [Taken](#taken) or null. With `--volumes` it wants `--yes`.",
        more=(Taken,),
    ),
    "explain": Output(shape=Costs),
    "fetch": Output(shape=Fetched),
    "host check": Output(
        words="An object: `address`, `steps`, a list of those that are done, each a [SubStep](#substep), and `failed`, "
        "the name of the one that is not, or null.",
        more=(SubStep,),
    ),
    "hosts": Output(shape=Machine, many=True),
    "list": Output(shape=Status, many=True),
    "load": Output(words="An object: `image` is its tag, `plan` the id of what it was made of."),
    "lock": Output(shape=Relocked),
    "outdated": Output(words="An object: `outdated` is a list of [Outdated](#outdated).", more=(Outdated,)),
    "plan": Output(shape=Plan),
    "prune": Output(
        words="An object: `items` is a list of [Leftover](#leftover), `removed` says whether they were removed, and "
        "`freed_bytes` what came free. It asks, unless `--yes` or `--dry-run` stands there.",
        more=(Leftover,),
    ),
    "pull": Output(shape=Shared),
    "push": Output(shape=Shared),
    "render": Output(words="An object: `files`, by their paths in this folder."),
    "rollback": Output(
        shape=Status,
        words="And `rollback`: `image` and `made` (when) of what was gone back to, `differs` (whether devbox.yaml asks "
        "for something else), `stays` (whether `up` stays there).",
    ),
    "save": Output(words="An object: `file` and `bytes`."),
    "screenshot": Output(words="An object: `file`, `width` and `height`."),
    "start": Output(shape=Status),
    "status": Output(shape=Status),
    "stop": Output(words="An object: `name`, and `changed` (whether it ran)."),
    "tool show": Output(shape=ToolView),
    "tools": Output(shape=ToolView, many=True),
    "top": Output(shape=Load, many=True),
    "tunnel status": Output(
        words="A list of objects: `address`; `state`, `connected` or `connecting`; `trouble`, why it is not connected; "
        "`process`, its id; `since`, seconds since 1970; `lost`, how often the connection broke; `server`, its SSH "
        "server; `dials`, whether the engine is reached by a docker client there; `facts` of the machine; `ports`, "
        "each with `address`, `here`, `host`, `there` and `open`, the connections that it carries now."
    ),
    "uninstall": Output(
        words="An object: `found` and `left`, before and after, are [Belongings](#belongings), `removed` says whether "
        "they were removed. It asks, unless `--yes` or `--dry-run` stands there.",
        more=(Belongings,),
    ),
    "up": Output(
        shape=Status,
        words="With `--update` also `update`: `changed` (whether anything was switched), `from` (the image before) and "
        "`packages`, a list of [Change](#change).",
        more=(Change,),
    ),
    "verify": Output(shape=Report),
    "version": Output(words="An object: `devbox` and `python`, each a version."),
}
HEADS: Final = ("field", "kind", "content")
HEAD: Final = """\
# What --json prints

On stdout, one value and nothing else; talk goes to stderr. What is promised of it from one version to the next:
[versions](../versions.md).

"""
AFTER: Final = """
## Progress as JSON

With `--log json` every event is an object on a line of stderr, and `event` names its kind.

"""


def render_outputs() -> str:
    rows = [(f"`{verb} --json`", _describe(output)) for verb, output in sorted(OUTPUTS.items())]
    shapes = [_render(shape) for shape in _all_shapes()]
    return "".join([HEAD, make_table(("verb", "prints"), rows), *shapes, AFTER, _events()])


def _describe(output: Output) -> str:
    if output.shape is None:
        return output.words
    link = f"[{output.shape.__name__}](#{output.shape.__name__.lower()})"
    return f"{'a list of ' if output.many else ''}{link}. {output.words}".strip()


def _all_shapes() -> list[type]:
    """Each once, in the order of their names, with what they are made of."""
    found: dict[str, type] = {}
    waiting = [shape for output in OUTPUTS.values() for shape in (output.shape, *output.more) if shape]
    while waiting:
        shape = waiting.pop()
        if found.setdefault(shape.__name__, shape) is not shape:
            raise ValueError(f"two shapes are called {shape.__name__}")
        waiting += [inner for item in find_fields(shape) for inner in item.inner if inner.__name__ not in found]
    return [found[name] for name in sorted(found)]


def _render(shape: type) -> str:
    rows = ((f"`{item.name}`", item.kind, item.words) for item in find_fields(shape))
    words = find_words(shape)
    return "\n".join([f"\n## {shape.__name__}\n", *([f"{words}\n"] if words else []), make_table(HEADS, rows)])


def _events() -> str:
    fields = {event: ", ".join(f"`{item.name}`" for item in find_fields(event)) for event in get_args(model.Event)}
    rows = ((f"`{event.__name__}`", names, find_words(event)) for event, names in fields.items())
    return make_table(("event", "fields", "when"), rows)


def shapes_without_words() -> Iterator[str]:
    """Fields that say nothing of themselves."""
    for shape in _all_shapes():
        for item in find_fields(shape):
            if not item.words and not item.inner:
                yield f"{shape.__name__}.{item.name}"
