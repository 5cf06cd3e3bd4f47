"""`devbox up` with nothing to do, and `devbox status`: answered by one question to the engine.

A composition root beside `wiring`, for answers that a person asks for all day: it may import neither typer, pydantic,
the SDK nor `model`, which together take four times as long as the answer. Whatever is not plain here (an option, a
damaged file, a container that is not healthy) is left to the long way, which explains it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.adapters.installation import find_own_files, stamp_assets, stamp_catalogue, stamp_code
from builder.adapters.remote.choice import choose_host
from builder.core.overlay import find_catalogues, read_loosely
from builder.errors import DevboxError
from builder.recall import keep

if TYPE_CHECKING:
    from builder.tasks.status import Beside, Status
    from builder.views import ContainerView

CONFIG, LOCKED = "devbox.yaml", "devbox-lock.json"
MAX_CONFIG, MAX_STATE = 1 << 20, 16 << 20  # more is refused the long way
DAY_S = 86400
MONTH_S = 30 * DAY_S
ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


def answer(words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What `devbox WORDS` prints, where it is `[-C FOLDER] up` or `status` and a look is enough; else None."""
    match words:
        case [verb]:
            directory = Path()
        case ["-C" | "--directory", folder, verb]:
            directory = Path(folder)
        case _:
            return None
    if verb not in ("up", "status"):
        return None
    try:
        if not directory.is_dir():
            return None
        environment = find_environment(directory, environment)
        return _answer_up(directory.resolve(), environment) if verb == "up" else _answer_status(directory, environment)
    except (DevboxError, OSError):
        return None  # the long way meets it again, where it is told


def find_environment(directory: Path, environment: Mapping[str, str], *, host: str | None = None) -> Mapping[str, str]:
    """`environment`, with the engine that `host` (of --host) or devbox.yaml names."""
    return choose_host(environment, _read_plain(directory / CONFIG, MAX_CONFIG), file=CONFIG, asked=host)


def _answer_up(directory: Path, environment: Mapping[str, str]) -> str | None:
    from builder.tasks.status import describe_unchanged

    began = time.time_ns()
    found = _look_at_unchanged(directory, take_fingerprint(directory, environment), environment)
    if not found:
        return None
    workstation, sidecars = found
    text = describe_unchanged(_describe(workstation, sidecars))
    if not sidecars and (socket := _find_plain_socket(directory, environment)):
        files = (*_find_plain_files(directory, environment), *find_own_files())
        kept = (socket, workstation.id, text)
        keep(str(directory), environment, kept, began_ns=began, files=files)
    return text


def _find_plain_socket(directory: Path, environment: Mapping[str, str]) -> str | None:
    """Where the engine of this machine listens, if `_find_plain_files` tell whether the answer still holds: there is no
    context of Docker's, no other machine, and nothing that `take_fingerprint` looks at beyond these files."""
    from builder.adapters.engine.host import find_host

    written = _read_plain(directory / CONFIG, MAX_CONFIG)
    beyond = (_stamp_framework, _stamp_exposure, _stamp_authorities, _stamp_catalogues)
    host = find_host(environment)
    plain = (
        host.source in ("DOCKER_HOST", "default socket")
        and not host.remote
        and environment.get("HOME")
        and not any(line for stamp in beyond for line in stamp(directory, written))
        and read_loosely(written, "env_file", file=CONFIG) is None
    )
    return str(host.socket) if plain and host.socket else None


def _find_plain_files(directory: Path, environment: Mapping[str, str]) -> Iterator[str]:
    folder = directory / ".workstation"
    docker = Path(environment.get("DOCKER_CONFIG") or Path(environment["HOME"], ".docker"))
    own = (directory / CONFIG, directory / LOCKED, directory / ".env", folder / "state.json", folder / "lock")
    yield from map(str, (*own, *_find_git_settings(environment), docker / "config.json"))


def _answer_status(directory: Path, environment: Mapping[str, str]) -> str | None:
    from builder.tasks.status import describe_state

    seen = look_at_workstation(directory, environment, inside=False)
    return describe_state(seen) if seen else None


def take_fingerprint(directory: Path, environment: Mapping[str, str]) -> str:
    """One hash over all that `up` reads here, cheap to take: unchanged, the last plan still holds."""
    written = _read_plain(directory / CONFIG, MAX_CONFIG)
    digest = hashlib.sha256(written)
    zone = (environment.get("TZ", ""), os.path.realpath("/etc/localtime"))
    facts = [str(directory.resolve()), str(os.getuid()), str(os.getgid()), sys.version, os.uname().nodename, *zone]
    engine = [f"{name}={environment.get(name, '')}" for name in ENGINE_VARIABLES]
    of_this_machine = (
        *_stamp_framework(directory, written),
        *_stamp_exposure(directory, written),
        *_stamp_authorities(directory, written),
        *_stamp_git(environment),
        *_stamp_catalogues(directory, written),
        *_stamp_env_files(directory, written),
    )
    for line in (*facts, *engine, *stamp_code(), *stamp_assets(), *of_this_machine):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _read_plain(path: Path, limit: int) -> bytes:
    """What is in a file. Where there is none, or one that the long way has to complain of (a pipe, a huge one), what no
    file of ours holds."""
    try:
        if path.is_file() and path.stat().st_size <= limit:
            return path.read_bytes()
        return b"\0odd" if path.exists() else b"\0none"
    except OSError:
        return b"\0odd"


def _stamp_framework(directory: Path, written: bytes) -> list[str]:
    """Name, size and time of every file of a framework that devbox.yaml takes from this machine's disk."""
    asked = _read_section(written, "framework")
    named = asked.get("path") or asked.get("wheel")
    if not isinstance(named, str):
        return []
    from builder.adapters.projects import stamp_project

    return stamp_project(_find_file(directory, named))


def _stamp_exposure(directory: Path, written: bytes) -> list[str]:
    """A given certificate, its key and the day: it may be over. Else the month: our own has to be renewed in time."""
    if b"expose" not in written:
        return []
    asked = _read_section(written, "expose")
    given = [named for key in ("certificate", "key") if isinstance(named := asked.get(key), str)]
    period = DAY_S if given else MONTH_S
    return [f"period {time.time() // period}", *_stamp_each(_find_file(directory, named) for named in given)]


def _stamp_catalogues(directory: Path, written: bytes) -> Iterator[str]:
    """Every file that is read of the folders that lie over the catalogue."""
    for folder in find_catalogues(written, file=CONFIG):
        yield from stamp_catalogue(str(_find_file(directory, folder)))


def _stamp_authorities(directory: Path, written: bytes) -> Iterator[str]:
    """A CA bundle that goes into the image."""
    named = _read_section(written, "ca_bundle").get("path")
    return _stamp_each((_find_file(directory, named),) if isinstance(named, str) else ())


def _stamp_git(environment: Mapping[str, str]) -> Iterator[str]:
    """Where the person's Git name is written: it is handed in."""
    return _stamp_each(_find_git_settings(environment))


def _find_git_settings(environment: Mapping[str, str]) -> tuple[Path, Path]:
    home = Path(environment.get("HOME") or "/")
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return home / ".gitconfig", settings / "git/config"


def _stamp_env_files(directory: Path, written: bytes) -> Iterator[str]:
    """Files with variables that are handed in."""
    named = read_loosely(written, "env_file", file=CONFIG) or ".env"
    files = named if isinstance(named, list) else [named]
    return _stamp_each(_find_file(directory, name) for name in files if isinstance(name, str))


def _stamp_each(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue  # where it has to be there, the long way says what is wrong with it
        yield f"{path} {status.st_size} {status.st_mtime_ns}"


def _read_section(written: bytes, key: str) -> Mapping[str, object]:
    """What stands below a key of devbox.yaml, if it is a mapping."""
    asked = read_loosely(written, key, file=CONFIG)
    return asked if isinstance(asked, dict) else {}


def _find_file(directory: Path, named: str) -> Path:
    if not f"{named}/".startswith("~/"):
        return directory / named
    from builder.adapters.hostinfo import find_home

    return find_home() / named[2:]


def find_unchanged(directory: Path, fingerprint: str, environment: Mapping[str, str]) -> Status | None:
    """The workstation, when nothing that `up` reads changed since it was made and it runs and is healthy."""
    found = _look_at_unchanged(directory, fingerprint, environment)
    return _describe(*found) if found else None


def _describe(workstation: ContainerView, sidecars: tuple[Beside, ...]) -> Status:
    from builder.tasks.status import describe_container

    return replace(describe_container(workstation), sidecars=sidecars)


def _look_at_unchanged(
    directory: Path, fingerprint: str, environment: Mapping[str, str]
) -> tuple[ContainerView, tuple[Beside, ...]] | None:
    from builder.adapters.engine_look import look_containers
    from builder.core.labels import LABEL_SPEC
    from builder.tasks.status import part_services

    if _read_unfinished(directory):
        return None  # what a killed one left is not known before the long way was gone
    told = _remembered(directory, fingerprint)
    if told is None:
        return None
    beside = dict(told.get("sidecars", {}))
    # With sidecars by the project: the engine takes no two values of one label.
    label = f"com.docker.compose.project={told['project']}" if beside else f"{LABEL_SPEC}={told['spec']}"
    found = look_containers(environment, label) or ()
    if beside and {view.labels.get(LABEL_SPEC) for view in found} != {told["spec"], *beside.values()}:
        return None
    workstation, sidecars = part_services(found)
    if workstation is None or len(sidecars) != len(beside) or any(view.health != "healthy" for view in found):
        return None
    if not _lead_there(
        environment, {(view.address(inside), port) for view in found for inside, port in view.ports.items()}
    ):
        return None
    return workstation, sidecars


def _lead_there(environment: Mapping[str, str], places: Set[tuple[str, int]]) -> bool:
    """Whether the tunnel to another machine holds the ports that are published there."""
    from builder.adapters.engine.host import find_host

    if not (remote := find_host(environment).remote):
        return True
    from builder.adapters.remote.client import find_doors

    return places <= find_doors(remote, environment)


def _remembered(directory: Path, fingerprint: str) -> dict[str, Any] | None:
    """What the containers were made of, if state.json is of this fingerprint and of the lock that is there now. Its
    format is owned by `adapters.state`."""
    lock = hashlib.sha256(_read_plain(directory / LOCKED, MAX_STATE)).hexdigest()
    try:
        told = json.loads(_read_plain(directory / ".workstation" / "state.json", MAX_STATE))
        return dict(told) if (told["fingerprint"], told["lock"]) == (fingerprint, lock) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # the long way reads the file strictly, and says what is wrong with it


def _read_unfinished(directory: Path) -> str:
    """What a killed process left here, in words. Most locks are empty, which is seen without a look inside."""
    lock = directory / ".workstation" / "lock"
    if not lock.is_file() or lock.stat().st_size == 0:
        return ""
    from builder.adapters.holder import find_unfinished

    left = find_unfinished(lock)
    return left.describe_end() if left else ""


def look_at_workstation(directory: Path, environment: Mapping[str, str], *, inside: bool) -> Status | None:
    """The workstation made from this folder, whatever its devbox.yaml says by now; its phases with a look `inside`."""
    from builder.adapters.engine_look import look_at_output, look_containers
    from builder.core.labels import LABEL_WORKSPACE
    from builder.tasks.status import READY_FILE, describe_container, is_well, parse_phases, part_services

    found = look_containers(environment, f"{LABEL_WORKSPACE}={directory.resolve()}")
    workstation, sidecars = part_services(found or ())
    if workstation is None or len(found or ()) != 1 + len(sidecars):
        return None
    if not is_well(describe_container(workstation)):
        return None  # the long way asks inside what is wrong
    asks = inside and workstation.state == "running"
    written = look_at_output(environment, workstation.id, ["cat", READY_FILE]) if asks else b""
    if written is None:
        return None
    status = describe_container(workstation, parse_phases(written) if written else {})
    return replace(status, unfinished=_read_unfinished(directory), sidecars=sidecars)
