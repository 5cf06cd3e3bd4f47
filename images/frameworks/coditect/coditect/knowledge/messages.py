"""One line of the messages file as the rules see it: what was said, which tools were called, what they returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from coditect.records import Record, message_id, parse_record, read_blocks, read_time

if TYPE_CHECKING:
    from collections.abc import Iterator

# More than a person writes, and more than an error message needs: the middle of a paste or of a log is not read.
LONGEST_PROSE: Final = 8_000
RESULT_ENDS: Final = 3_000


@dataclass(frozen=True)
class Call:
    """A tool that was called. `command` for a shell, `path` for a tool that writes a file."""

    id: str
    tool: str
    command: str
    path: str


@dataclass(frozen=True)
class Result:
    """`failed` is what the record itself says, None where it does not."""

    call: str
    failed: bool | None
    text: str


@dataclass(frozen=True)
class Message:
    line: bytes
    role: str
    session: str
    project: str
    time: float | None
    prose: str
    calls: tuple[Call, ...]
    results: tuple[Result, ...]

    @property
    def id(self) -> str:
        return message_id(self.line).hex()


def read_message(line: bytes) -> Message | None:
    """None for what nobody said: summaries, notes of the program to itself. Raises BrokenRecordError."""
    record = parse_record(line)
    inner = record.get("message")
    message: Record = inner if isinstance(inner, dict) else record
    role = _first_text(message.get("role"), record.get("role"), record.get("type"))
    if role not in ("user", "assistant", "tool") or record.get("isMeta") or record.get("isCompactSummary"):
        return None
    content = inner if isinstance(inner, str) else message.get("content")
    blocks = list(read_blocks(content))
    return Message(
        line=line,
        role=role,
        session=_first_text(record.get("sessionId"), record.get("session_id"), record.get("session")),
        project=_first_text(record.get("cwd"), record.get("project")),
        time=read_time(record.get("timestamp", record.get("created_at", record.get("time")))),
        prose="" if role == "tool" else _prose(blocks),
        calls=tuple(_call(block) for block in blocks if block.get("type") == "tool_use"),
        results=tuple(_results(role, message, blocks)),
    )


def _first_text(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")


def _prose(blocks: list[Record]) -> str:
    texts = (block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str))
    return "\n\n".join(texts)[:LONGEST_PROSE]


def _call(block: Record) -> Call:
    arguments: Any = block.get("input")
    given = arguments if isinstance(arguments, dict) else {}
    return Call(
        id=_first_text(block.get("id")),
        tool=_first_text(block.get("name")),
        command=_first_text(given.get("command")),
        path=_first_text(given.get("file_path"), given.get("notebook_path"), given.get("path")),
    )


def _results(role: str, message: Record, blocks: list[Record]) -> Iterator[Result]:
    if role == "tool":
        yield Result(_first_text(message.get("tool_call_id"), message.get("tool_use_id")), None, _ends(blocks))
        return
    for block in blocks:
        if block.get("type") == "tool_result":
            flag = block.get("is_error")
            failed = flag if isinstance(flag, bool) else None
            yield Result(_first_text(block.get("tool_use_id")), failed, _ends(list(read_blocks(block.get("content")))))


def _ends(blocks: list[Record]) -> str:
    """The first and the last of a long result: that is where programs say what went wrong."""
    text = "\n".join(block["text"] for block in blocks if isinstance(block.get("text"), str))
    return text if len(text) <= 2 * RESULT_ENDS else f"{text[:RESULT_ENDS]}\n{text[-RESULT_ENDS:]}"
