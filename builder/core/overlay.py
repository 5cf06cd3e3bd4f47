"""devbox.yaml read loosely, and which folders of a person's own lie over the catalogue: its `catalogue:`.

For what is needed before devbox.yaml is parsed, and by verbs that never do. A mistake in the file means that nothing
stands in it here; who parses it tells. Imports next to nothing: the fastest answers ask, too.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from builder.errors import ConfigError


def find_catalogues(written: bytes | None, *, file: str) -> tuple[str, ...]:
    """The folders as they are written."""
    named = read_loosely(written or b"", "catalogue", file=file)
    items = named if isinstance(named, list) else [named]
    return tuple(str(item) for item in items if isinstance(item, str) and getattr(item, "value", item) is not None)


def read_loosely(written: bytes, key: str, *, file: str) -> object:
    """What stands at a key of devbox.yaml. Who does not use the key pays nothing."""
    return _parse(written, file).get(key) if key.encode() in written else None


@functools.lru_cache(maxsize=1)
def _parse(written: bytes, file: str) -> Mapping[str, object]:
    from builder.core.source import decode_source, parse_source

    try:
        data = parse_source(decode_source(written, file=file), file=file).data
    except ConfigError:
        return {}
    return data if isinstance(data, dict) else {}
