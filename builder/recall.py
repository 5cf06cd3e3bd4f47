"""The last answer of `devbox up` with nothing to do, given again while all that it was made of is as it was.

As the index of Git does it: the size and time of a file tell whether it changed, its content is not read; the engine is
asked for the one container. A file for each folder, in the person's own cache. `shortcut` finds the answer and has it
kept; it is asked again when one thing is not as it was, and always where more than files and `VARIABLES` decide.

Imports nothing but what Python has loaded when it begins, and `_socket`: `socket`, `json`, `pathlib` or `typing` take
longer each than this answer.
"""

from __future__ import annotations

import _socket
import os
import sys

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = "devbox answer 1"
VARIABLES = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("HOME", "TZ", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"),
)
ABSENT = "absent"
YOUNG_NS = 1_000_000_000  # files carry the time of a clock that ticks a few hundred times a second
ANSWER_S = 2.0
CHUNK = 1 << 16


def recall(words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What `devbox WORDS` prints, where that is known to be what it printed last; else None."""
    match words:
        case ["up"]:
            folder = "."
        case ["-C" | "--directory", named, "up"]:
            folder = named
        case _:
            return None
    try:
        with open(_find_place(folder, environment), encoding="utf-8", errors="surrogateescape") as file:
            facts, witnesses, address, container, text = file.read().split("\0")
        if facts != _tell_facts(folder, environment):
            return None
        for witness in witnesses.split("\n"):
            path, _, told = witness.rpartition("\t")
            if _stamp(path) != told:
                return None
        return text if _is_well(address, container) else None
    except (OSError, ValueError):
        return None  # there is none, or a damaged one, or no engine: the long way says what there is to say


def keep(
    folder: str, environment: Mapping[str, str], answer: tuple[str, str, str], *, began_ns: int, files: Iterable[str]
) -> None:
    """Keep an answer: the path of the engine's socket, the id of the container, the text. It was found since `began_ns`
    (of time.time_ns) and made of `files`; if one of them is not older, it may have changed meanwhile: nothing is kept.

    Where it cannot be written, the answer is found the long way again.
    """
    witnesses = [f"{path}\t{_stamp(path)}" for path in files]
    if any("\0" in item or item.count("\n") for item in witnesses) or _is_young(witnesses, began_ns):
        return
    parts = (_tell_facts(folder, environment), "\n".join(witnesses), *answer)
    try:
        place = _find_place(folder, environment)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with open(f"{place}.{os.getpid()}", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\0".join(parts))
        os.replace(file.name, place)
    except OSError:
        return


def _find_place(folder: str, environment: Mapping[str, str]) -> str:
    cache = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '')}/.cache"
    found = os.stat(folder)
    return f"{cache}/devbox/recalled/{found.st_dev}-{found.st_ino}"


def _tell_facts(folder: str, environment: Mapping[str, str]) -> str:
    """What else an answer depends on. The folder, too: a new one can get the number of one that is gone."""
    places = map(os.path.realpath, (folder, "/etc/localtime"))
    process = (sys.version, sys.prefix, os.uname().nodename, os.getuid(), os.getgid())
    return repr((FORMAT, *places, *process, *map(environment.get, VARIABLES)))


def _stamp(path: str) -> str:
    """Not of the time of its content, which anybody can set back."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    return f"{found.st_mode} {found.st_ino} {found.st_size} {found.st_ctime_ns}"


def _is_young(witnesses: Iterable[str], began_ns: int) -> bool:
    stamps = (witness.rpartition("\t")[2] for witness in witnesses)
    return any(stamp != ABSENT and int(stamp.split()[3]) > began_ns - YOUNG_NS for stamp in stamps)


def _is_well(address: str, container: str) -> bool:
    """Whether the engine says that it runs and is healthy. What is looked for is no part of a string of JSON, in which
    quotes are escaped."""
    engine = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        engine.settimeout(ANSWER_S)
        engine.connect(address)
        asked = f"/containers/json?filters=%7B%22id%22%3A%5B%22{container}%22%5D%7D"
        engine.sendall(f"GET {asked} HTTP/1.0\r\nHost: engine\r\n\r\n".encode())
        answer = b"".join(iter(lambda: engine.recv(CHUNK), b"")).decode()
    finally:
        engine.close()
    status = answer.partition('"Status":"')[2].partition('"')[0]
    return f'"Id":"{container}"' in answer and '"State":"running"' in answer and status.endswith("(healthy)")
