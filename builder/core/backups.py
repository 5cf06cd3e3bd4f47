"""`backup:` of devbox.yaml, where it leads to, and the nouns of backups.

Owns the shape of that key, and the meaning of an address. Must not look anything up: files and credentials of this
machine are an adapter's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BeforeValidator, Field

from builder.core.fields import HostPath, Name, no_escape
from builder.core.validation import WHOLE, Section, Text, as_list

_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_SFTP: Final = rf"sftp://(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?{_HOST}(?::[0-9]{{1,5}})?/[A-Za-z0-9._~/+-]+"
_S3: Final = rf"s3:(?:https?://)?{_HOST}(?::[0-9]{{1,5}})?/[a-z0-9][a-z0-9.-]*(?:/[A-Za-z0-9._/-]*)?"
_GS: Final = r"gs:[a-z0-9][a-z0-9._-]*:/[A-Za-z0-9._/-]*"
_FOLDER: Final = r"[^\s:\\-][^:\\]*"

Place = Annotated[
    str,
    Text(
        "a place for backups", f"{_SFTP}|{_S3}|{_GS}|{_FOLDER}", 1000, "/srv/backups or sftp://me@nas.example/backups"
    ),
    AfterValidator(no_escape),
]
Pattern = Annotated[
    str,
    Text(
        "a pattern of paths", r"[A-Za-z0-9._?*+@ ][A-Za-z0-9._?*+@ -]*(?:/[A-Za-z0-9._?*+@ -]+)*", 200, "node_modules"
    ),
    AfterValidator(no_escape),
]


class BackupChoice(Section):
    """Where the volumes are backed up to, and what is kept there. A plain text is `to`."""

    short_form: ClassVar[str | None] = "to"
    to: Place | None = None
    keep_days: Annotated[int, Field(ge=1, le=36_500), WHOLE] = 90
    keep_last: Annotated[int, Field(ge=1, le=10_000), WHOLE] = 3
    volumes: Annotated[tuple[Name, ...], BeforeValidator(as_list), Field(max_length=20)] = ()
    exclude: Annotated[tuple[Pattern, ...], BeforeValidator(as_list), Field(max_length=100)] = ()
    identity: HostPath | None = None


# ------------------------------------------------------------------------------------------------------ places


class Kind(Enum):
    FOLDER = "folder"
    SFTP = "sftp"
    S3 = "s3"
    GS = "gs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A place, taken apart. `address` is how restic is told it."""

    kind: Kind
    address: str
    folder: str = ""  # of this machine
    login: str = ""  # user@host, or the host alone
    port: int | None = None

    @property
    def shown(self) -> str:
        return self.folder or self.address


FOLDER_INSIDE: Final = "/repository"


def parse_place(text: str, folder: str) -> Repository:
    """What `to` means; `folder` is the absolute path of a plain one. As in Git's addresses an sftp path is absolute,
    unless it begins with ~."""
    if match := re.fullmatch(r"sftp://([^/:]+)(?::(\d+))?(/.*)", text):
        login, port, path = match.groups()
        path = path.removeprefix("/~/") if path.startswith("/~/") else path
        return Repository(kind=Kind.SFTP, address=f"sftp:{login}:{path}", login=login, port=int(port) if port else None)
    if text.startswith("s3:"):
        return Repository(kind=Kind.S3, address=text)
    if text.startswith("gs:"):
        return Repository(kind=Kind.GS, address=text)
    return Repository(kind=Kind.FOLDER, address=FOLDER_INSIDE, folder=folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What opens a place: handed in for one run, kept nowhere. The files lie in memory inside, by name."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    options: Sequence[str] = ()  # words of restic; nothing secret


# ----------------------------------------------------------------------------------------------------- helpers


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """A container that works on volumes for a moment."""

    name: str  # for messages
    image: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)  # target -> name
    read_only: bool = True  # the volumes
    folders: Mapping[str, str] = field(default_factory=dict)  # target -> folder of this machine
    tmpfs: Mapping[str, str] = field(default_factory=dict)  # target -> options
    capabilities: Sequence[str] = ()
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A backup that is there."""

    id: str  # 64 digits; eight are enough
    time: str  # RFC 3339
    name: str  # of the workstation
    volumes: Sequence[str]  # `home`, `projects`


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A backup that was just made."""

    snapshot: str  # its id
    repository: str  # the place
    files: int  # how many
    bytes: int  # in them
    added: int  # bytes that are new in the place
    unreadable: Sequence[str]  # files that could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A snapshot in volumes of its own, held to its manifest."""

    snapshot: Snapshot
    volumes: Mapping[str, str]  # key -> name
    files: int
    bytes: int
    moved: int  # files that changed while they were backed up: not compared
    differences: Sequence[str]  # the first of them, in words
    differ: int


def read_snapshots(told: Sequence[Mapping[str, object]]) -> tuple[Snapshot, ...]:
    """From restic's own list, the newest last."""
    found = [
        Snapshot(
            id=str(item["id"]), time=str(item["time"]), name=str(item["hostname"]), volumes=_volumes(item.get("paths"))
        )
        for item in told
    ]
    return tuple(sorted(found, key=lambda item: (item.time, item.id)))


def _volumes(paths: object) -> tuple[str, ...]:
    names = [str(path).removeprefix("/source/") for path in paths] if isinstance(paths, list) else []
    return tuple(sorted(name for name in names if name != "manifest.gz"))


# ------------------------------------------------------------------------------------------ what restic means


class Trouble(Enum):
    ABSENT = "there is no backup yet"
    PASSWORD = "the password does not open it"  # noqa: S105
    LOCKED = "another restic works on it"
    NETWORK = "it cannot be reached"
    DENIED = "access was refused"
    SESSION = "no session over SSH"
    SPACE = "there is no room left for it"
    SNAPSHOT = "there is no such snapshot"
    MANIFEST = "this snapshot has no manifest that can be read"
    VERSION = "it was made by a newer restic"
    DAMAGED = "it is damaged"
    OTHER = "restic failed"


_DENIED: Final = (
    r"host key verification failed|permission denied|access ?denied|invalidaccesskeyid|signaturedoesnotmatch|\b403\b"
    r"|forbidden|could not find default credentials"
)
_NETWORK: Final = (
    r"dial tcp|no such host|connection (?:refused|reset|timed out|closed)|network is unreachable|i/o timeout"
    r"|could not resolve|tls handshake|no route to host|retrying after"
)
_ABSENT: Final = (
    r"config file.*(?:no such file|does not exist|doesn't exist)|key does not exist|nosuchbucket|bucket does not exist"
)
_DAMAGED: Final = (
    r"ciphertext verification failed|invalid data returned|does not match|unexpected eof|pack .* not found"
)
# What restic says (0.11 to 0.18; exit codes of their own only since 0.17) -> what it means. First match counts.
_MEANINGS: Final[tuple[tuple[int, str, Trouble], ...]] = (
    (12, r"wrong password|no key found", Trouble.PASSWORD),
    (11, r"already locked|unable to create lock", Trouble.LOCKED),
    (0, r"unsupported (?:repository )?version|repository version", Trouble.VERSION),
    (0, r"no space left|disk quota|quota exceeded", Trouble.SPACE),
    (0, _DENIED, Trouble.DENIED),
    (0, _NETWORK, Trouble.NETWORK),
    (0, r"unable to start the sftp session", Trouble.SESSION),
    (10, _ABSENT, Trouble.ABSENT),
    (0, r"no snapshot|no matching id|multiple ids with prefix|invalid id", Trouble.SNAPSHOT),
    (0, _DAMAGED, Trouble.DAMAGED),
)


def understand(command: str, code: int, said: str) -> Trouble:
    if command == "manifest":
        return Trouble.MANIFEST
    return next(
        (
            trouble
            for known, pattern, trouble in _MEANINGS
            if code == known or re.search(pattern, said, re.IGNORECASE | re.DOTALL)
        ),
        Trouble.OTHER,
    )


def first_fatal(said: str) -> str:
    """The line of restic's words that says most: ssh's last one, else the first fatal one."""
    lines = [line for line in said.splitlines() if line.strip()]
    by_ssh = [line.removeprefix("subprocess ssh: ") for line in lines if line.startswith("subprocess ssh: ")]
    fatal = [line.removeprefix("Fatal: ") for line in lines if line.startswith("Fatal:")]
    return (by_ssh[-1:] or fatal or lines or ["it said nothing"])[0].strip()


def readable(path: str) -> str:
    """A file's name on one line, whatever is in it."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in path)
