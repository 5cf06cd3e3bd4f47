"""The page of devbox.yaml, from its model and from what editors show for each key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from builder.core.config import Config
from builder.core.schema import make_schema
from builder.core.schema_words import KEYS
from builder.core.validation import model_at
from docsite.tables import describe_kind, make_table

# Where a key is told at length.
GUIDES: Final = {
    "backup": "../backup.md",
    "budgets": "../verify.md#budgets",
    "ca_bundle": "../corporate-network.md#an-authority-of-your-own",
    "cache": "../shared-images.md",
    "host": "../remote-host.md",
    "apt.snapshot": "../corporate-network.md#packages-as-they-were-on-a-day",
    "mirrors": "../corporate-network.md",
    "verify": "../verify.md#checks-of-your-own",
}
HEAD: Final = """\
# devbox.yaml

Every key may be left out. All mistakes are told at once, with file, line, column and the path of the key. `devbox init`
writes a commented file, `devbox config` prints the whole configuration as it is understood, and with `--explain` where
each setting comes from. Text is taken as it is written: `1.10` stays `1.10`.

"""
AFTER: Final = """
Changing `ports`, `desktop` (but for `server` and `opengl`), `environment`, `mounts`, `resources`, `timezone`, `shell`,
`ssh`, `security`, `expose`, `framework.ingest` or `user.uid` makes a new container from the same image. Volumes are
kept in any case.

The same as a JSON Schema, for editors: `devbox schema`.
"""


def render_keys() -> str:
    head = ("key", "takes", "default", "meaning")
    return HEAD + make_table(head, _rows(make_schema())) + AFTER


def _rows(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for path, words in KEYS.items():
        found = _find(schema, path)
        meaning, default = _split_default(words)
        if not default and isinstance(found.get("default"), (str, int, float)):
            default = (
                f"`{str(found['default']).lower()}`" if isinstance(found["default"], bool) else f"`{found['default']}`"
            )
        if path in GUIDES:
            meaning += f" [More]({GUIDES[path]})"
        yield f"`{path}`", describe_kind(found, schema["$defs"]), default, meaning


def _split_default(words: str) -> tuple[str, str]:
    match = re.search(r" ?Default: (.+?)\.(?= [A-Z]|$)", words)
    return (words[: match.start()] + words[match.end() :], match[1]) if match else (words, "")


def _find(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema of one key; of a section that has short forms, that of its mapping holds it."""
    *above, name = path.split(".")
    model = model_at(Config, tuple(above))
    section = schema if model is Config else schema["$defs"][model.__name__]
    for part in [section, *section.get("anyOf", ())]:
        if name in part.get("properties", {}):
            found: dict[str, Any] = part["properties"][name]
            return found
    raise KeyError(path)
