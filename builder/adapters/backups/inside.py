"""The program of the helper container: runs restic on the volumes that are mounted below /source or /restore.

Runs on the Python of the container's base (3.9 or newer), where it is the only process: nothing here calls it. The
request is the first line of standard input. Answers are JSON lines on standard output, the last one is `ended` or
`failed`. When the input ends, so does this, and restic with it, which takes its lock out of the repository then: that
is how a devbox that was killed leaves nothing behind.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from builder.adapters.backups.compare import compare, read_times
from builder.adapters.backups.manifest import Entry, is_text, read_manifest, scan, write_manifest

SOURCE, RESTORE = "/source", "/restore"
MANIFEST = f"{SOURCE}/manifest.gz"
PRIVATE = "/run/backup"  # where the request's files are
SSH_LOG = "ssh.log"  # there: what ssh complained of, where the repository is behind one
TAG = "devbox"
OPEN_S = 60  # restic itself would try for a quarter of an hour
SAID = 100  # last lines of restic's complaints that are kept
SHOWN = 200  # differences and unreadable files that are named
Request = Mapping[str, Any]


class Failed(Exception):
    """A command of restic that did not do its work."""

    def __init__(self, command: str, code: int, said: Sequence[str]) -> None:
        super().__init__(command)
        self.told = {"event": "failed", "command": command, "code": code, "said": "\n".join(said)}


class Restic:
    """One repository. `stop` ends what runs, from another thread."""

    def __init__(self, request: Request) -> None:
        self._words = ["restic", *request["options"], *([] if request["cache"] else ["--no-cache"])]
        self._environment = {
            **os.environ,
            **request["environment"],
            "HOME": PRIVATE,
            "RESTIC_REPOSITORY": request["repository"],
            "RESTIC_PASSWORD_FILE": f"{PRIVATE}/password",
            "RESTIC_CACHE_DIR": "/cache",
        }
        self._running: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._running is None:
                os._exit(130)  # nothing but our own reading, which leaves nothing behind
            self._running.send_signal(signal.SIGINT)

    def _leave(self) -> NoReturn:
        """A restic that was asked to end while it took its lock left that behind. Here `unlock` knows that its process
        has ended, and takes no other one."""
        with suppress(subprocess.SubprocessError):
            subprocess.run([*self._words, "unlock"], env=self._environment, stdout=subprocess.DEVNULL, timeout=OPEN_S)
        os._exit(130)

    def run(
        self,
        *words: str,
        on_line: Callable[[str], None] = lambda line: None,
        fine: Sequence[int] = (0,),
        limit_s: float | None = None,
        sink: int = subprocess.PIPE,
    ) -> Sequence[str]:
        """Run a command to its end, hand over its lines; what it complained of. Raises Failed."""
        with self._lock:
            process = self._running = subprocess.Popen(
                [*self._words, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        said: list[str] = []
        listener = threading.Thread(target=self._listen, args=(process, said), daemon=True)
        listener.start()
        timer = threading.Timer(limit_s or 0, process.send_signal, [signal.SIGINT])
        if limit_s:
            timer.start()
        for line in process.stdout or ():
            on_line(line)
        code = process.wait()
        timer.cancel()
        listener.join()
        with self._lock:
            self._running = None
        if self._stopped:
            self._leave()
        if code not in fine:
            raise Failed(words[0], code, [*said[-SAID:], *_read_ssh()])
        return said

    def _listen(self, process: subprocess.Popen[str], said: list[str]) -> None:
        for line in process.stderr or ():
            said.append(line.rstrip())
            if "retrying" in line:
                tell(event="note", text=line.strip())

    def read(self, *words: str, limit_s: float | None = None) -> str:
        lines: list[str] = []
        self.run(*words, on_line=lines.append, limit_s=limit_s)
        return "".join(lines)

    def save(self, file: str, *words: str) -> None:
        with open(file, "wb") as sink:
            self.run(*words, sink=sink.fileno())


def main(request: Request) -> None:
    """Do what `request` asks for, and tell how it ended."""
    _write_private(request)
    restic = Restic(request)
    threading.Thread(target=_watch_input, args=(restic,), daemon=True).start()
    try:
        answer = ACTS[request["act"]](restic, request)
    except Failed as failed:
        tell(**failed.told)
        return
    tell(event="ended", **answer)


def _read_ssh() -> Sequence[str]:
    """What ssh complained of until now, as restic would have handed it on."""
    with suppress(FileNotFoundError), open(f"{PRIVATE}/{SSH_LOG}", encoding="utf-8", errors="replace") as file:
        return [f"subprocess ssh: {line.rstrip()}" for line in file][-SAID:]
    return []


def _write_private(request: Request) -> None:
    """What is secret, where nothing but memory holds it."""
    files = {"password": request["password"].encode()}
    files.update({name: base64.b64decode(data) for name, data in request["files"].items()})
    for name, data in files.items():
        with open(os.open(f"{PRIVATE}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)


def _watch_input(restic: Restic) -> None:
    while os.read(0, 4096):
        pass
    restic.stop()


def tell(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


# ---------------------------------------------------------------------------------------------------------- acts


def look(restic: Restic, request: Request) -> Mapping[str, object]:
    """Whether the repository is there and the password opens it: all other acts begin with it."""
    restic.read("cat", "config", limit_s=OPEN_S)
    return {}


def make(restic: Restic, request: Request) -> Mapping[str, object]:
    restic.read("init", limit_s=OPEN_S)
    return {}


def list_snapshots(restic: Restic, request: Request) -> Mapping[str, object]:
    look(restic, request)
    return {"snapshots": json.loads(restic.read("snapshots", "--json", "--tag", TAG)) or []}


def back_up(restic: Restic, request: Request) -> Mapping[str, object]:
    look(restic, request)
    volumes, exclude = request["volumes"], request["exclude"]
    tell(event="phase", text="read what is there")
    counted = write_manifest(MANIFEST, {name: scan(f"{SOURCE}/{name}", exclude) for name in volumes})
    tell(event="phase", text="copy what is new")
    summary: dict[str, Any] = {}
    words = [word for pattern in exclude for word in ("--exclude", pattern)]
    said = restic.run(
        *("backup", "--json", "--host", request["host"], "--tag", TAG, *words),
        *(MANIFEST, *(f"{SOURCE}/{name}" for name in volumes)),
        on_line=lambda line: _hear_backup(line, summary),
        fine=(0, 3),
    )
    return {
        **counted,
        "snapshot": summary.get("snapshot_id", ""),
        "added": summary.get("data_added", 0),
        "unreadable": _unreadable(said),
        "kept": _forget(restic, request),
    }


def _hear_backup(line: str, summary: dict[str, Any]) -> None:
    told = _as_json(line)
    if told.get("message_type") == "status":
        tell(event="progress", done=told.get("bytes_done", 0), total=told.get("total_bytes", 0))
    elif told.get("message_type") == "summary":
        summary.update(told)


def _unreadable(said: Sequence[str]) -> Sequence[str]:
    """What restic could not read: JSON lines with an item, or of older versions plain ones."""
    found: list[str] = []
    for line in said:
        told = _as_json(line)
        item = told.get("item") if told else (re.match(r"error: .*?(/source/.*)$", line) or [""])[-1]
        if item:
            found.append(str(item).replace(f"{SOURCE}/", "", 1))
    return list(dict.fromkeys(found))[:SHOWN]


def _forget(restic: Restic, request: Request) -> str:
    """Let old snapshots go. The new one is safe already: what stands in the way is said, and no failure."""
    words = ("--host", request["host"], "--tag", TAG, "--group-by", "host,tags", "--json")
    keep = ("--keep-within", f"{request['keep_days']}d", "--keep-last", str(request["keep_last"]))
    try:
        told = _unlocked(restic, "forget", *words, *keep)
        if any(group.get("remove") for group in json.loads(told or "[]") or ()):
            tell(event="phase", text="remove what no snapshot needs any more")
            _unlocked(restic, "prune")
    except Failed as failed:
        return str(failed.told["said"])
    return ""


def _unlocked(restic: Restic, *words: str) -> str:
    """As `read`; locks that nobody holds any more are removed first where they stand in the way. restic tells them from
    live ones: by their process on the same host, and elsewhere by their age of half an hour."""
    try:
        return restic.read(*words)
    except Failed as failed:
        if "already locked" not in str(failed.told["said"]):
            raise
        restic.read("unlock")
        return restic.read(*words)


def restore(restic: Restic, request: Request) -> Mapping[str, object]:
    """Bring a snapshot into empty volumes, and hold every file to the manifest that is in it."""
    look(restic, request)
    snapshot = request["snapshot"]
    restic.save("/tmp/manifest.gz", "dump", snapshot, MANIFEST)
    try:
        manifest = read_manifest("/tmp/manifest.gz")
    except (ValueError, OSError, EOFError) as error:
        raise Failed("manifest", 1, [str(error)]) from error
    tell(event="phase", text="fetch the files")
    restic.run("restore", snapshot, "--target", RESTORE, "--exclude", MANIFEST)
    tell(event="phase", text="compare each of them")
    nodes: list[Mapping[str, object]] = []
    restic.run("ls", "--json", snapshot, on_line=lambda line: nodes.append(_pick(line)))
    differences, compared, moved, size = [], 0, 0, 0
    for volume in request["volumes"]:
        expected = manifest.get(volume, [])
        root = f"{RESTORE}{SOURCE}/{volume}"
        for entry in expected:
            size += entry.size
            _mend(f"{root}/{entry.path}", entry)
        found = compare(expected, read_times(nodes, f"{SOURCE}/{volume}"), scan(root))
        differences += [[f"{volume}/{item.path}", item.what] for item in found.differences]
        compared, moved = compared + found.compared, moved + found.moved
    return {
        "differences": differences[:SHOWN],
        "differ": len(differences),
        "files": compared,
        "moved": moved,
        "bytes": size,
    }


def _pick(line: str) -> Mapping[str, object]:
    """The two things that are wanted of a node; there may be a million of them."""
    told = _as_json(line)
    return {"path": told.get("path", ""), "ctime": told.get("ctime", "")}


def _mend(path: str, entry: Entry) -> None:
    """What restic cannot: it writes out the zeros of a sparse file (before 0.15), and knows no target of a link that is
    no UTF-8 (before 0.17). What else became of the file is left for the comparison to see."""
    if entry.sparse and os.path.isfile(path) and not os.path.islink(path):
        with _unchanged_times(path):
            subprocess.run(["fallocate", "--dig-holes", path], check=True)
    elif entry.target and not is_text(entry.target) and os.path.islink(path):
        told = os.lstat(path)
        with _unchanged_times(os.path.dirname(path)):
            os.unlink(path)
            os.symlink(entry.target, path)
        os.chown(path, told.st_uid, told.st_gid, follow_symlinks=False)
        os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns), follow_symlinks=False)


@contextmanager
def _unchanged_times(path: str) -> Iterator[None]:
    told = os.stat(path)
    yield
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def _as_json(line: str) -> Mapping[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


ACTS: Mapping[str, Callable[[Restic, Request], Mapping[str, object]]] = {
    "look": look,
    "make": make,
    "list": list_snapshots,
    "backup": back_up,
    "restore": restore,
}


if __name__ == "__main__":
    main(json.loads(sys.stdin.buffer.readline()))
