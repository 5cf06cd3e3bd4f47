"""The two plain ways to keep each distinct message once, to measure ours against.

naive loads everything and then looks for what is the same; streaming goes line by line, but parses every one of them.
Neither survives a kill, reads only what is new, or minds a broken line. Both write what `coditect sessions` writes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final


def naive(folder: Path, target: Path) -> None:
    messages = [json.loads(line) for path in _files(folder) for line in path.read_bytes().splitlines()]
    unique: dict[str, Any] = {}
    for message in messages:
        unique.setdefault(hash_line(_canonical(message)), message)
    with (target / "unified_messages.jsonl").open("wb") as file:
        file.writelines(_canonical(message) + b"\n" for message in unique.values())
    (target / "unified_hashes.json").write_text(json.dumps(sorted(unique)))


def streaming(folder: Path, target: Path) -> None:
    seen: set[str] = set()
    with (target / "unified_messages.jsonl").open("wb") as file:
        for line in _lines(folder):
            canonical = _canonical(json.loads(line))
            name = hash_line(canonical)
            if name not in seen:
                seen.add(name)
                file.write(canonical + b"\n")
    (target / "unified_hashes.json").write_text(json.dumps(sorted(seen)))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jsonl"))


def _lines(folder: Path) -> Iterator[bytes]:
    for path in _files(folder):
        with path.open("rb") as file:
            yield from file


def _canonical(message: dict[str, Any]) -> bytes:
    return json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def hash_line(canonical: bytes) -> str:
    return hashlib.sha256(canonical).hexdigest()


BASELINES: Final = {"naive": naive, "streaming": streaming}

if __name__ == "__main__":
    BASELINES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
