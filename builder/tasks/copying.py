"""`devbox cp`: files and folders into the workstation and out of it, by tar on both ends.

Inside, a tar runs as the workstation's user: what comes in is theirs, what they may not read or write is refused, and
every path is reached, also those in memory (/tmp, /run), which the engine's own archive API does not see.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder.core.copying import STREAM, Ends, Kind, Landing, Look, find_landing
from builder.errors import ConfigError, EngineError, HostError
from builder.model import TaskEnded, TaskStarted
from builder.tasks.base import download_progress
from builder.tasks.lifecycle import find_running

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context, Progress

END: Final = bytes(1024)  # what a tar closes with
BROKE_OFF: Final = "the stream broke off"
LAST_WORD: Final = "whole"
PAST: Final = bytes(2 * 10240)  # tar reads a record of 10,240 bytes at once, and so may be behind its end
# What is at "$1" and at the folder it is in; and its bytes, where they are wanted.
LOOK: Final = """
kind() { if [ -d "$1" ]; then echo folder; elif [ -e "$1" ]; then echo file; else echo missing; fi; }
kind "$1"; kind "$(dirname -- "$1")"
if [ "$2" ] && [ -e "$1" ]; then du -sbD -- "$1" 2>/dev/null | cut -f1; fi
"""
# A link that is named itself is followed; a folder on the way in may be a link.
OUT: Final = """
real=$(readlink -f -- "$1") || exit
if [ "$2" ]; then exec tar -c -f - -C "$real" .; fi
exec tar -c -f - -C "$(dirname -- "$real")" -- "$(basename -- "$real")"
"""
# GNU tar is content with a stream that stops between two members, so that its last word has to come, too.
IN: Final = f"""
tar -x -f - --no-overwrite-dir --keep-directory-symlink --warning=no-timestamp -C "$1" || exit
[ "$(tail -c {len(LAST_WORD)})" = {LAST_WORD} ] || {{ echo {BROKE_OFF}; exit 1; }} >&2
"""
TAIL: Final = 2000

Chunks = Iterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the tasks need of this machine's files."""

    look: Callable[..., Look]  # path, measured=...
    pack: Callable[[str, str], Chunks]  # path, name in the tar
    unpack: Callable[..., None]  # chunks, landing, contents=...
    read: Callable[[], Chunks]  # a tar from standard input
    write: Callable[[bytes], None]  # and one to standard output


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    source: str
    target: str  # where it lies now
    bytes: int  # of files, in tar


def copy(context: Context, project: str, user: str, ends: Ends, outside: Outside) -> Copied:
    """Raises ConfigError for what `cp` would refuse, EngineError for failures inside, HostError for those here."""
    container = find_running(context, project)
    inside = _Inside(context=context, container=container.id, user=user)
    began = context.clock.now()
    context.report(TaskStarted(name="cp", text=f"copy {ends.source} {'into' if ends.into else 'out of'} {project}"))
    copied = (_copy_in if ends.into else _copy_out)(inside, ends, outside)
    text = f"{copied.source}: {copied.bytes / 1e6:.1f} MB"
    context.report(TaskEnded(name="cp", text=text, seconds=context.clock.now() - began))
    return copied


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    context: Context
    container: str
    user: str

    @property
    def home(self) -> str:
        return f"/home/{self.user}"

    def look(self, path: str, *, measured: bool = False) -> Look:
        told = b""
        for stream, data in self._run(["sh", "-c", LOOK, "cp", path, "measured" if measured else ""], path):
            told += data if stream == "stdout" else b""
        if told.count(b"\n") < 2:
            raise _failed(path, 0, b"")
        kind, parent, *size = told.decode().split()
        return Look(kind=Kind(kind), parent=Kind(parent), size=int(size[0]) if size else 0)

    def take(self, path: str, *, contents: bool) -> Chunks:
        """The tar of what is there. Raises EngineError at its end where something was wrong."""
        last = b""
        for stream, data in self._run(["sh", "-c", OUT, "cp", path, "contents" if contents else ""], path):
            if stream == "stdout":
                yield data
                last = _last_of(last, data)
        if last != END:  # an engine that could not pass it on lets tar go on, which knows nothing of it
            raise _failed(path, 0, b"")

    def _run(self, command: list[str], path: str) -> Iterator[tuple[str, bytes]]:
        complaint = b""
        for stream, data in self.context.engine().run_frames(
            self.container, command, user=self.user, workdir=self.home
        ):
            if stream == "stderr":
                complaint = (complaint + data)[-TAIL:]
            elif stream == "exit" and data != b"0":
                raise _failed(path, int(data), complaint)
            yield stream, data

    def put(self, chunks: Chunks, folder: str) -> None:
        command = ["sh", "-c", IN, "cp", folder]
        closed = _say_last_word(chunks)
        result = self.context.engine().pour(self.container, command, closed, user=self.user, workdir=self.home)
        if result.code != 0:
            raise _failed(folder, result.code, result.stderr)


def _say_last_word(chunks: Chunks) -> Chunks:
    last = b""
    for chunk in chunks:
        yield chunk
        last = _last_of(last, chunk)
    if last == END:
        yield PAST
        yield LAST_WORD.encode()


def _last_of(before: bytes, data: bytes) -> bytes:
    return (before + data[-len(END) :])[-len(END) :]


def _copy_in(inside: _Inside, ends: Ends, outside: Outside) -> Copied:
    source = Look(kind=Kind.FOLDER, parent=Kind.FOLDER)
    if ends.source != STREAM:
        source = outside.look(ends.source, measured=True)
        if source.kind is Kind.MISSING:
            raise HostError("there is no such file or folder", where=ends.source, hint="`ls -l` shows what there is")
    landing = find_landing(ends, source.kind, inside.look(ends.target))
    chunks = outside.read() if ends.source == STREAM else outside.pack(ends.source, landing.name)
    counter = _Counter(progress=download_progress(inside.context, "cp", ends.source), total=source.size)
    inside.put(counter.count(chunks), landing.folder)
    return Copied(source=ends.source, target=f":{_join(landing)}", bytes=counter.done)


def _copy_out(inside: _Inside, ends: Ends, outside: Outside) -> Copied:
    source = inside.look(ends.source, measured=True)
    if source.kind is Kind.MISSING:
        hint = "a path is taken from the home, or begins with a slash; `devbox exec -- ls -la` shows what there is"
        raise ConfigError("there is no such file or folder in the workstation", where=f":{ends.source}", hint=hint)
    counter = _Counter(progress=download_progress(inside.context, "cp", ends.source), total=source.size)
    chunks = counter.count(inside.take(ends.source, contents=ends.contents))
    if ends.target == STREAM:
        for chunk in chunks:
            outside.write(chunk)
        return Copied(source=f":{ends.source}", target=STREAM, bytes=counter.done)
    landing = find_landing(ends, source.kind, outside.look(ends.target))
    outside.unpack(chunks, landing, contents=ends.contents)
    for _ in chunks:  # a tar ends before its program does, which may have something to say
        pass
    return Copied(source=f":{ends.source}", target=_join(landing), bytes=counter.done)


@dataclass(slots=True, kw_only=True)
class _Counter:
    progress: Progress
    total: int
    done: int = 0

    def count(self, chunks: Chunks) -> Chunks:
        for chunk in chunks:
            yield chunk
            self.done += len(chunk)
            self.progress(self.done, max(self.total, self.done) if self.total else 0)


def _join(landing: Landing) -> str:
    return posixpath.normpath(posixpath.join(landing.folder, landing.name))


def _failed(path: str, code: int, complaint: bytes) -> EngineError:
    detail = complaint.decode(errors="replace").strip()
    hint = "what is there may be in the way, or not yours: `devbox exec -- ls -la` shows whose it is"
    if "No space left" in detail:
        hint = "free some space in the workstation: `devbox exec -- df -h` shows where"
    elif not code or BROKE_OFF in detail:
        hint = "run the same command again"
    why = f"tar ended with {code}" if code else BROKE_OFF
    return EngineError(f"it is not copied wholly: {why}", where=f":{path}", detail=detail, hint=hint)
