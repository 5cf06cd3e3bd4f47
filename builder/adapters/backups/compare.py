"""Whether what was restored is what was backed up: the manifest, what restic says of its snapshot, and the new files.

Runs inside the helper container, as `manifest` does. Pure: lists come in, differences go out.

The workstation may have run while it was backed up, so that a file changed between the scan and the copy. The snapshot
itself tells: the ctime that restic found is another one than that of the manifest. Such a file is counted, not
compared; its bytes are what restic's own hashes say. All others have to be the same in everything.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from builder.adapters.backups.manifest import Entry

Times = Mapping[str, "set[int]"]  # path as `plain` makes it -> the ctimes that restic found there
FACTS = ("kind", "mode", "uid", "gid", "size", "sha256", "target", "mtime")


class Difference(NamedTuple):
    path: str
    what: str


class Comparison(NamedTuple):
    differences: Sequence[Difference]
    compared: int
    moved: int  # files that changed while they were backed up


def compare(expected: Sequence[Entry], times: Times, found: Iterable[Entry]) -> Comparison:
    """Hold `found` to `expected`, where the snapshot holds the very file that was scanned."""
    wanted = {entry.path: entry for entry in expected if entry.ctime in times.get(plain(entry.path), ())}
    there = {entry.path: entry for entry in found}
    differences = [Difference(path, "is missing") for path in wanted if path not in there]
    in_snapshot = set(times)
    differences += [Difference(path, "was not in the backup") for path in there if plain(path) not in in_snapshot]
    both = [path for path in wanted if path in there]
    twins, new_twins = _twins(wanted[path] for path in both), _twins(there[path] for path in both)
    for path in both:
        differences += [Difference(path, what) for what in _differ(wanted[path], there[path])]
        if twins.get(path) != new_twins.get(path):
            differences.append(Difference(path, "is linked to other files"))
    return Comparison(differences=differences, compared=len(both), moved=len(expected) - len(wanted))


def _differ(old: Entry, new: Entry) -> Iterable[str]:
    for name in FACTS:
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            shown = (oct(before), oct(now)) if name == "mode" else (before, now)
            yield f"{name} is {shown[1]}, was {shown[0]}"
    if dict(old.xattrs) != dict(new.xattrs):
        yield f"extended attributes are {', '.join(new.xattrs) or 'none'}, were {', '.join(old.xattrs) or 'none'}"


def _twins(entries: Iterable[Entry]) -> Mapping[str, str]:
    """Path -> the first path that is the same file."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        if entry.twin:
            groups.setdefault(entry.twin, []).append(entry.path)
    return {path: min(paths) for paths in groups.values() if len(paths) > 1 for path in paths}


# ------------------------------------------------------------------------------------------- what restic says


def read_times(nodes: Iterable[Mapping[str, object]], folder: str) -> Times:
    """From the lines of `restic ls --json`: the ctimes of what lies below `folder`, which itself is ""."""
    found: dict[str, set[int]] = {}
    for node in nodes:
        path = str(node.get("path", ""))
        if path == folder or path.startswith(f"{folder}/"):
            inner = plain(path[len(folder) + 1 :])
            found.setdefault(inner, set()).add(nanoseconds(str(node.get("ctime", ""))))
    return found


def plain(path: str) -> str:
    """JSON of restic has U+FFFD for what is no UTF-8; however many, it is one here, so that both sides meet."""
    decoded = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return re.sub("\ufffd+", "\ufffd", decoded)


def nanoseconds(text: str) -> int:
    """RFC 3339 with up to nine digits of a second, as nanoseconds since 1970; 0 for what is none."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", text)
    if match is None:
        return 0
    moment, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    seconds = timegm((datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S") - offset).timetuple())
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
