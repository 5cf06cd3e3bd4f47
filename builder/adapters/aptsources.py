"""The mirrors that this machine's own apt settings name, snapshots of them, and what they offer for a release.

Reads apt's files and the head of `InRelease`; runs nothing and writes nothing. No mirror is known to us by name.
"""

from __future__ import annotations

import email.utils
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.urls import Unreachable, is_loopback, open_url, translated
from builder.errors import HostError

if TYPE_CHECKING:
    from builder.model import Base

APT: Final = Path("/etc/apt")
OS_RELEASE: Final = Path("/etc/os-release")
HEAD_BYTES: Final = 8192
PROBE_S: Final = 4.0
PROBES: Final = 3  # candidates asked at most, which bounds the whole question
MOMENT: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")  # as services of snapshots write it in their addresses
SNAPSHOT_ID: Final = "@SNAPSHOTID@"  # as an archive writes it, sources.list(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One archive, suite and its components, as apt's settings have it."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Candidates for one distribution, best first: the main archive and the one for security updates."""

    main: tuple[str, ...]
    security: tuple[str, ...]
    dated: bool = False  # snapshots: what they say may be older than they promised
    ca: bytes | None = None  # certificates to trust, beside this machine's own

    def away(self) -> Mirrors:
        """Those that a build step can reach, too: loopback is its own there."""
        main, security = (tuple(uri for uri in uris if not is_loopback(uri)) for uris in (self.main, self.security))
        return replace(self, main=main, security=security)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """What a release is installed from: one-line sources, what had to be left out, and the archive's own date."""

    mirror: str
    lines: tuple[str, ...]
    notes: tuple[str, ...]
    epoch: int  # seconds since 1970, for SOURCE_DATE_EPOCH
    dated: bool = False


# ---------------------------------------------------------------------------------------------------- parsing


def parse_one_line(text: str) -> Iterator[Entry]:
    """Entries of a `.list` file: `deb [options] uri suite component...`; see sources.list(5)."""
    for line in text.splitlines():
        match = re.fullmatch(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<rest>\S.*)", line.split("#")[0].strip())
        if match is None:
            continue
        uri, *words = match["rest"].split()
        signed = re.search(r"signed-by=(\S+)", match["options"] or "")
        if words:
            yield Entry(uri=uri, suite=words[0], components=tuple(words[1:]), signed_by=signed[1] if signed else "")


def parse_deb822(text: str) -> Iterator[Entry]:
    """Entries of a `.sources` file, stanza by stanza; a disabled one or one of sources only gives none."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", plain):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Entry(
                    uri=uri,
                    suite=suite,
                    components=tuple(fields.get("components", "").split()),
                    signed_by=fields.get("signed-by", ""),
                )


def _fields(stanza: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            found[name] = f"{found.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            found[name] = value.strip()
    return found


def load_entries(folder: Path = APT) -> tuple[Entry, ...]:
    """All entries of this machine, in apt's own order; none where there is no apt."""
    parts = folder / "sources.list.d"
    files = [folder / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]
    found: list[Entry] = []
    for file in files:
        if file.suffix not in {".list", ".sources"} or not file.is_file():
            continue
        parse = parse_deb822 if file.suffix == ".sources" else parse_one_line
        found.extend(parse(file.read_text(encoding="utf-8", errors="replace")))
    return tuple(found)


# ---------------------------------------------------------------------------------------------------- choosing


def find_mirrors(
    distribution: str, *, override: str | None = None, folder: Path = APT, os_release: Path = OS_RELEASE
) -> Mirrors:
    """Mirrors of `distribution` (debian, ubuntu) in the settings of this machine, or the one given instead.

    A third party's archive can look like the real one here; `probe_archives` asks each for its origin.
    """
    if override is not None:
        given = override.rstrip("/")
        # Debian's security updates are an archive of their own, which mirrors keep beside the main one.
        return Mirrors(main=(given,), security=(f"{given}-security", given) if distribution == "debian" else (given,))
    host = _shell_file(os_release)
    main: list[str] = []
    security: list[str] = []
    for entry in load_entries(folder):
        if not _belongs(entry, distribution, host):
            continue
        target = security if _is_security(entry.suite) else main
        target.extend(uri.rstrip("/") for uri in _plain_uris(entry.uri))
    return Mirrors(main=tuple(dict.fromkeys(main)), security=tuple(dict.fromkeys(security)))


def _is_security(suite: str) -> bool:
    return suite.endswith(("-security", "/updates"))


def _belongs(entry: Entry, distribution: str, host: Mapping[str, str]) -> bool:
    if entry.components and "main" not in entry.components:
        return False
    path = urllib.parse.urlsplit(entry.uri).path.lower()
    if distribution in path or f"{distribution}-archive" in entry.signed_by:
        return True
    release = re.split(r"[-/]", entry.suite)[0]
    return host.get("ID") == distribution and host.get("VERSION_CODENAME") == release


def _plain_uris(uri: str) -> Iterator[str]:
    """http(s) URIs behind one of apt's; cloud images say mirror+file:/a/list, see apt-transport-mirror(1)."""
    if uri.startswith(("http://", "https://")):
        yield uri
    elif uri.startswith("mirror+file:"):
        listed = Path(urllib.parse.urlsplit(uri.removeprefix("mirror+")).path)
        if listed.is_file():
            words = (line.split() for line in listed.read_text(encoding="utf-8").splitlines())
            yield from (line[0] for line in words if line and line[0].startswith(("http://", "https://")))


def _shell_file(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
    return {name.strip(): value.strip().strip('"') for name, sep, value in lines if sep}


# --------------------------------------------------------------------------------------------------- snapshots


def find_snapshots(base: Base, moment: str, mirrors: Mirrors, *, pattern: str | None = None) -> Mirrors:
    """The archives of `base` as they were at `moment` (20240115T000000Z).

    By `pattern`, an address with {timestamp} and perhaps {archive}; else by mirrors that are snapshots themselves; else
    by what a mirror says of its snapshots. Raises HostError where nobody knows a service.
    """
    if pattern is not None:
        main, security = (
            pattern.replace("{timestamp}", moment).replace("{archive}", archive).rstrip("/")
            for archive in (
                base.distribution,
                f"{base.distribution}{'-security' if base.distribution == 'debian' else ''}",
            )
        )
        return replace(mirrors, main=(main,), security=(security,), dated=True)
    own = [
        tuple(MOMENT.sub(moment, uri) for uri in uris if MOMENT.search(uri))
        for uris in (mirrors.main, mirrors.security)
    ]
    if own[0]:
        return replace(mirrors, main=own[0], security=own[1], dated=True)
    main_told = _ask_for_snapshots(base, mirrors, mirrors.main, base.codename, moment)
    if not main_told:
        raise HostError(
            f"no service of snapshots of {base.distribution.capitalize()} is known here",
            where=f"apt.snapshot {moment}",
            hint=f"name one: `mirrors: {{snapshot: {{{base.distribution}: https://.../{{timestamp}}}}}}`",
        )
    security_told = _ask_for_snapshots(base, mirrors, mirrors.security, f"{base.codename}-security", moment)
    return replace(mirrors, main=main_told, security=security_told, dated=True)


def _ask_for_snapshots(
    base: Base, mirrors: Mirrors, candidates: tuple[str, ...], suite: str, moment: str
) -> tuple[str, ...]:
    """The field `Snapshots` of a Release file, which newer releases have; its word for none is "no"."""
    try:
        _, head = _first(base, replace(mirrors, dated=True), candidates, suite)
    except Unreachable:
        return ()
    told = head.get("snapshots", "")
    return (told.replace(SNAPSHOT_ID, moment).rstrip("/"),) if SNAPSHOT_ID in told else ()


# ----------------------------------------------------------------------------------------------------- probing


def check_known(base: Base, mirrors: Mirrors) -> None:
    """HostError when there is no mirror to ask."""
    if not mirrors.main:
        raise HostError(
            f"no mirror of {base.distribution.capitalize()} in this machine's apt settings",
            where=base.name,
            hint=f"name one in devbox.yaml (the mirror of {base.distribution})",
        )


def probe_archives(base: Base, mirrors: Mirrors) -> Archives:
    """Ask the mirrors what they have of `base`: HostError when none is known, Unreachable when none serves it.

    The main archive must be there; updates and security are left out with a note when they are not.
    """
    check_known(base, mirrors)
    mirror, head = _first(base, mirrors, mirrors.main, base.codename)
    lines = [_line(mirror, base.codename, base.components)]
    notes: list[str] = []
    extra = ((f"{base.codename}-updates", (mirror,)), (f"{base.codename}-security", mirrors.security or (mirror,)))
    for suite, candidates in extra:
        try:
            uri, _ = _first(base, mirrors, candidates, suite)
            lines.append(_line(uri, suite, base.components))
        except Unreachable as error:
            notes.append(f"{suite} is left out: {error.message}")
    return Archives(
        mirror=mirror, lines=tuple(lines), notes=tuple(notes), epoch=_date(head.get("date", "")), dated=mirrors.dated
    )


def _line(uri: str, suite: str, components: tuple[str, ...]) -> str:
    return f"deb {uri} {suite} {' '.join(components)}"


def _first(base: Base, mirrors: Mirrors, candidates: tuple[str, ...], suite: str) -> tuple[str, dict[str, str]]:
    reasons: list[str] = []
    hint = None
    for uri in candidates[:PROBES]:
        try:
            return uri, _release(base, mirrors, uri, suite)
        except Unreachable as error:
            reasons.append(f"{uri}: {error.message}")
            hint = error.hint or hint
    raise Unreachable("; ".join(reasons), where=suite, hint=hint)


def _release(base: Base, mirrors: Mirrors, uri: str, suite: str) -> dict[str, str]:
    """Head of the suite's InRelease, if it is the distribution's own and valid. http will do: apt checks signatures."""
    url = f"{uri}/dists/{suite}/InRelease"
    with open_url(url, timeout_s=PROBE_S, allow_http=True, ca=mirrors.ca) as answer, translated(url):
        text = answer.stream.read(HEAD_BYTES).decode("utf-8", "replace")
    head = _fields(text.partition("\n\n")[2])
    if head.get("origin", "").lower() != base.distribution:
        raise Unreachable(f"is an archive of {head.get('origin') or 'nobody'}, not {base.distribution}", where=url)
    until = head.get("valid-until")
    if until and not mirrors.dated and _date(until) < time.time():
        raise Unreachable(f"its index is out of date since {until}", where=url)
    return head


def _date(text: str) -> int:
    """Seconds since 1970 of a date as Release files have it; 0 where there is none."""
    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp())
    except (TypeError, ValueError):
        return 0
