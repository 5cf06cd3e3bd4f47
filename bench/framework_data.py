"""Session files for the bench of the framework: deterministic, of the shape that the original was measured with.

107,893 messages in 1.6 GB, 93 % of them seen before: conversations that are exported again and again, each time a bit
further. Sizes are spread like those of sessions (many small messages, few large tool results); a few of the repeated
lines are spelled otherwise (order of keys, blanks), as another tool would write them.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MESSAGES: Final = 107_893
BYTES: Final = 1_600_000_000
DISTINCT: Final = 0.07
RESPELLED: Final = 0.02
SPOKEN: Final = 150  # messages of a conversation
SPREAD: Final = 1.6  # of the logarithm of the sizes
LARGEST: Final = 200.0  # times the median
WORDS: Final = (
    *("the test fails because of a timeout in fetch", "def load(path):\n    return json.loads(path.read_text())\n"),
    *(
        "I will change",
        "error: cannot find module",
        "größer als",
        "→ fixed in",
        '"name": "value",\n',
        "\tif err != nil {\n",
    ),
    *(
        "commit 3f2a91c",
        "2026-01-12T10:11:12Z",
        "src/components/Button.tsx",
        "0123456789abcdef",
        "日本語のテキスト",
        "\\d+\\s*",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How much to make. The totals are met: messages exactly, bytes to a few per mille."""

    messages: int = MESSAGES
    bytes: int = BYTES
    distinct: float = DISTINCT

    @property
    def distinct_messages(self) -> int:
        return round(self.messages * self.distinct)


def write_sessions(folder: Path, shape: Shape) -> None:
    """Write the files of one data set below a folder that is there and empty."""
    chance = random.Random(4)  # noqa: S311 (data, no secrets)
    text = _make_text(chance)
    sizes = _make_sizes(chance, text, shape)
    copies, left = divmod(shape.messages, len(sizes))
    for number, start in enumerate(range(0, len(sizes), SPOKEN)):
        lines = [_make_line(chance, text, number, size) for size in sizes[start : start + SPOKEN]]
        extra = lines[:left]
        left -= len(extra)
        project = folder / f"project-{number % 20:02}"
        project.mkdir(exist_ok=True)
        for copy, chosen in enumerate([lines] * copies + [extra] * bool(extra)):
            with (project / f"{number:05}-{copy:03}.jsonl").open("wb") as file:
                file.writelines(_respell(chance, line) if copy else line for line in chosen)


def _make_text(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=200_000))


def _make_sizes(chance: random.Random, text: str, shape: Shape) -> list[int]:
    """Characters of text for each distinct message, so that the lines come to the bytes wanted."""
    sizes = [min(chance.lognormvariate(0, SPREAD), LARGEST) for _ in range(shape.distinct_messages)]
    envelope = len(_make_line(chance, text, 0, 0))
    wanted = (shape.bytes / shape.messages - envelope) * len(sizes)
    written = len(json.dumps(text, ensure_ascii=False).encode()) / len(text)
    scale = wanted / written / sum(sizes)
    return [round(size * scale) for size in sizes]


def _make_line(chance: random.Random, text: str, number: int, size: int) -> bytes:
    """As Claude Code writes it: no blanks, keys in an order of their own."""
    start = chance.randrange(len(text) - size)
    part = text[start : start + size]
    block: dict[str, Any] = {"type": "text", "text": part}
    if size > 20_000:
        block = {"type": "tool_result", "tool_use_id": f"toolu_{chance.getrandbits(64):016x}", "content": part}
    record = {
        "parentUuid": f"{chance.getrandbits(128):032x}", "isSidechain": False, "userType": "external",
        "cwd": f"/home/user/project-{number % 20:02}", "sessionId": f"{number:032x}", "version": "2.0.1",
        "gitBranch": "main", "type": chance.choice(("user", "assistant")),
        "message": {"role": "user", "content": [block]}, "uuid": f"{chance.getrandbits(128):032x}",
        "timestamp": f"2026-01-{chance.randint(1, 28):02}T{chance.randint(10, 23)}:10:11.{chance.randint(100, 999)}Z",
    }  # fmt: skip
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _respell(chance: random.Random, line: bytes) -> bytes:
    """Now and then the same message in another spelling."""
    if chance.random() >= RESPELLED:
        return line
    return json.dumps(json.loads(line), sort_keys=True).encode() + b"\n"
