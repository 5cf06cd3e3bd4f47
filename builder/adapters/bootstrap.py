"""A base image's root file system, made from an apt mirror with mmdebstrap or debootstrap.

Owns the run of that program and the tar it leaves, which is a slim base as the distributions' own: what an image adds
or leaves out beyond that is decided by its template. Why mmdebstrap: docs/decisions/bootstrap.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.adapters.aptsources import Archives, Mirrors, check_known, probe_archives
from builder.adapters.process import OnLine, Stopped, never, run_lines
from builder.adapters.scratch import scratch_folder
from builder.adapters.urls import make_bypass
from builder.errors import HostError

if TYPE_CHECKING:
    from builder.model import Base

KEYRINGS: Final = Path("/usr/share/keyrings")
# Makes the package usr-is-merged fit where there is one: else apt takes usrmerge, and with it 30 MB of perl.
MERGED_USR: Final = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
# Releases whose base-files has the links and whose packages ask for nothing else. There it works as well, for a second.
SHIP_MERGED_USR: Final = frozenset({"trixie"})
CA: Final = "ca.crt"  # in the folder of a run
ARCHITECTURES: Final = frozenset({"amd64", "arm64"})
PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})
GRACE_S: Final = 8.0  # mmdebstrap removes its half-made root on SIGTERM, which takes a moment
TAIL: Final = 30
PLENTY: Final = 2 << 30  # bytes of memory; a root and its packages are 300 MB

# Files that differ from run to run or belong to the host, as paths below the root.
UNWANTED: Final = (
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/hostname",
    "etc/resolv.conf",
    "var/cache/ldconfig/aux-cache",
    "var/log/alternatives.log",
    "var/log/apt",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
)

# What the distributions' slim images leave out too; licences stay. A later layer could only hide these files.
LEFT_OUT: Final = ("doc", "info", "locale", "man")  # below usr/share
KEPT: Final = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
# Where apt says what it would ask by itself, in the one form or the other: a base says the same, and not by which
# mirror it was made.
EXAMPLES: Final = "/usr/share/doc/apt/examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """The tar, and what is worth saying about it."""

    tar: Path
    notes: tuple[str, ...]
    sources: tuple[str, ...]


def can_bootstrap(base: Base, *, mirrors: Mirrors, keyring_folder: Path = KEYRINGS) -> str | None:
    """None when `base` can be bootstrapped here, else the reason in words. Takes a few seconds at most."""
    try:
        _find_program()
        check_known(base, mirrors)
        _find_keyring(base, keyring_folder)
        probe_archives(base, mirrors)
    except HostError as error:
        return error.message
    return None


def bootstrap_base(
    base: Base,
    *,
    arch: str,
    mirrors: Mirrors,
    keyring_folder: Path = KEYRINGS,
    target: Path,
    on_line: OnLine,
    stopped: Stopped = never,
) -> Bootstrapped:
    """Make the root tar of `base` at `target` (replaced atomically). Raises HostError; leaves nothing when it fails."""
    program = _find_program()
    check_known(base, mirrors)
    keyring = _find_keyring(base, keyring_folder)
    if arch not in ARCHITECTURES:
        raise HostError(f"no base for the architecture {arch}", where=base.name, hint="choose another `base`")
    archives = probe_archives(base, mirrors)
    target.parent.mkdir(parents=True, exist_ok=True)
    make = _make_with_mmdebstrap if program.name == "mmdebstrap" else _make_with_debootstrap
    with _work_folder(target) as work, _part_file(target) as part:
        run = _runner(base, archives, work, on_line, stopped)
        if mirrors.ca is not None:
            (work / CA).write_bytes(mirrors.ca)
        make(base, arch, program, keyring, archives, work, part, run)
        part.replace(target)
    return Bootstrapped(tar=target, notes=archives.notes, sources=archives.lines)


# ----------------------------------------------------------------------------------------------- what is there


def _find_program() -> Path:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # debootstrap lives in sbin
    for name in ("mmdebstrap", "debootstrap"):
        found = shutil.which(name, path=path)
        if found and (name == "mmdebstrap" or os.geteuid() == 0):
            if os.geteuid() != 0:
                _check_unshare()
            return Path(found)
    raise HostError(
        "neither mmdebstrap nor (for root) debootstrap is installed", hint="apt-get install --yes mmdebstrap"
    )


def _check_unshare() -> None:
    """mmdebstrap's way for a normal user needs subordinate ids and the setuid helpers of package uidmap."""
    if shutil.which("newuidmap") is None:
        raise HostError("mmdebstrap needs newuidmap to work without root", hint="apt-get install --yes uidmap")
    switch = Path("/proc/sys/kernel/unprivileged_userns_clone")
    if switch.exists() and switch.read_text().strip() == "0":
        raise HostError("this kernel allows user namespaces to root only", where=str(switch), hint="run as root")


def _find_keyring(base: Base, folder: Path) -> Path:
    keyring = folder / base.keyring
    if not keyring.is_file():
        package = base.keyring.removesuffix(".gpg") if base.distribution == "debian" else "ubuntu-keyring"
        raise HostError(
            f"no keyring of {base.distribution.capitalize()} ({base.keyring})",
            where=str(folder),
            hint=f"apt-get install --yes {package}",
        )
    return keyring


# ------------------------------------------------------------------------------------------------- how it runs

Run = Callable[[str, list[str]], None]  # the program's name, and what is called


def _runner(base: Base, archives: Archives, work: Path, on_line: OnLine, stopped: Stopped) -> Run:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(archives.epoch), "TMPDIR": str(work), "LC_ALL": "C.UTF-8"}
    environment = _with_proxy(environment, archives)

    def run(name: str, argv: list[str]) -> None:
        tail: list[str] = []

        def hear(line: str) -> None:
            tail.append(line)
            del tail[:-TAIL]
            on_line(line)

        code = run_lines(argv, on_line=hear, env=environment, stopped=stopped, grace_s=GRACE_S)
        if code != 0:
            raise HostError(
                f"{name} ended with {code}",
                where=base.name,
                detail="\n".join(tail),
                hint="`devbox doctor` looks at mirrors and disk; `base.image` in devbox.yaml names another base",
            )

    return run


def _with_proxy(environment: dict[str, str], archives: Archives) -> dict[str, str]:
    """Without any where `no_proxy` covers all that is asked: apt 2.6 asks a server of that list for a tunnel by https,
    as if it were the proxy that it did not take."""
    bypass = make_bypass(environment.get("no_proxy") or environment.get("NO_PROXY", ""))
    hosts = {urllib.parse.urlsplit(line.split()[1]).hostname or "" for line in archives.lines}
    if all(map(bypass, hosts)):
        return {name: value for name, value in environment.items() if name.lower() not in PROXIES}
    return {**environment, **_apt_proxy(environment)}


def _apt_proxy(environment: dict[str, str]) -> dict[str, str]:
    """A proxy that is set for apt alone, as the variables that both programs hear: they ignore the host's apt.conf."""
    if "http_proxy" in environment or shutil.which("apt-config") is None:
        return {}
    asked = ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    proxy = answer.stdout.strip().removeprefix("PROXY=").strip("'")
    return {"http_proxy": proxy} if proxy and proxy != "DIRECT" else {}


def _private_mounts() -> tuple[str, ...]:
    """As root both programs mount /proc, /sys and /dev below the new root, in our own mount namespace, and an
    interrupted one leaves them there. In a namespace of their own the mounts end with the last process.
    """
    return ("unshare", "--mount", "--propagation=private", "--") if os.geteuid() == 0 else ()


def _in_memory() -> tuple[str, ...]:
    """Behind `_private_mounts`: with TMPDIR in memory, where there is plenty of it. dpkg waits for no disk there; and
    ext4 gives the place of a file that was just deleted to no other for some minutes, and looks at each of them again
    for each file that the build makes next.
    """
    return ("sh", "-euc", _USE_MEMORY, "sh") if os.geteuid() == 0 and _available_bytes() >= PLENTY else ()


_USE_MEMORY: Final = """
mkdir "$TMPDIR/memory"
if mount -t tmpfs -o mode=0755 devbox "$TMPDIR/memory"; then export TMPDIR="$TMPDIR/memory"; fi
exec "$@"
"""


def _available_bytes() -> int:
    told = Path("/proc/meminfo").read_text(encoding="ascii")
    found = re.search(r"^MemAvailable: +(\d+) kB$", told, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _make_with_mmdebstrap(
    base: Base, arch: str, program: Path, keyring: Path, archives: Archives, work: Path, part: Path, run: Run
) -> None:
    sources = work / "sources.list"
    sources.write_text("".join(f"{line}\n" for line in archives.lines), encoding="utf-8")
    unwanted = " ".join(f'"$1/{path}"' for path in UNWANTED)
    run(
        "mmdebstrap",
        [
            *_private_mounts(),
            *_in_memory(),
            str(program),
            f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
            "--variant=minbase",
            f"--architectures={arch}",
            f"--components={','.join(base.components)}",
            f"--keyring={keyring}",
            "--format=tar",
            *(f"--aptopt={line}" for line in _apt_options(archives, work / CA)),
            *(f"--dpkgopt=path-exclude /usr/share/{folder}/*" for folder in LEFT_OUT),
            *(f"--dpkgopt=path-include {pattern}" for pattern in (*KEPT, f"{EXAMPLES}/*")),
            *([f"--hook-directory={MERGED_USR}"] if _needs_merged_usr(base) else []),
            f"--extract-hook={_leave_out_script()}",
            f"--customize-hook={_own_sources_script(base)}",
            f"--customize-hook=rm -rf {unwanted}",
            base.codename,
            str(part),
            str(sources),
        ],
    )


def _needs_merged_usr(base: Base) -> bool:
    return base.codename not in SHIP_MERGED_USR and MERGED_USR.is_dir()


def _apt_options(archives: Archives, ca: Path) -> Iterator[str]:
    """For this run alone: the file that mmdebstrap writes them to is taken away."""
    if ca.is_file():
        yield f'Acquire::https::CAInfo "{ca}"'
    if archives.dated:
        yield 'Acquire::Check-Valid-Until "false"'


def _own_sources_script(base: Base) -> str:
    """apt's own sources, of the components of `base`, in the place of those that it was made by."""
    components = " ".join(base.components)
    examples = f'"$1{EXAMPLES}"'
    return (
        'rm -f "$1"/etc/apt/sources.list.d/*; '
        f"sed -n 's/^\\(deb [^ ]* [^ ]*\\) main\\( .*\\)*$/\\1 {components}/p' {examples}/sources.list 2>/dev/null"
        f' | sort --unique >"$1/etc/apt/sources.list"; '
        f'for file in {examples}/*.sources; do [ ! -e "$file" ] || '
        f'sed \'s/^Components:.*/Components: {components}/\' "$file" >"$1/etc/apt/sources.list.d/${{file##*/}}"; done; '
        f"rm -rf {examples}"
    )


def _leave_out_script() -> str:
    """What dpkg is to leave out, taken away after mmdebstrap itself unpacked the first packages.

    It would leave these files out itself, where it finds `path-exclude=` in dpkg's settings: by a filter in Python,
    started anew for each package, which took 12 of 25 s. Written with a blank, dpkg alone understands it.
    """
    inside = " -o ".join(f'-path "$1/usr/share/{folder}/*"' for folder in LEFT_OUT)
    kept = " ".join(f'! -path "$1{pattern}"' for pattern in KEPT)
    return f'find "$1/usr/share" "(" {inside} ")" "(" -type d -empty -o ! -type d {kept} ")" -delete'


def _make_with_debootstrap(
    base: Base, arch: str, program: Path, keyring: Path, archives: Archives, work: Path, part: Path, run: Run
) -> None:
    """The slower way, for root."""
    root = work / "root"
    run(
        "debootstrap",
        [
            *_private_mounts(),
            *(str(program), "--variant=minbase", f"--arch={arch}", f"--components={','.join(base.components)}"),
            f"--keyring={keyring}",
            *(base.codename, str(root), archives.mirror),
        ],
    )
    run("sh", ["sh", "-euc", _own_sources_script(base), "exec", str(root)])
    for path in (*UNWANTED, "var/lib/apt/lists", "var/cache/apt"):
        _remove(root / path)
    _leave_out(root)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    run(
        "tar",
        [
            *("tar", "--create", "--numeric-owner", "--one-file-system", "--sort=name", "--clamp-mtime"),
            *(f"--mtime=@{archives.epoch}", f"--file={part}", f"--directory={root}", "."),
        ],
    )


def _leave_out(root: Path) -> None:
    for folder in LEFT_OUT:
        for path in (root / "usr/share" / folder).rglob("*"):
            name = f"/{path.relative_to(root)}"
            if not path.is_dir() and not any(fnmatch(name, pattern) for pattern in KEPT):
                path.unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# --------------------------------------------------------------------------------------------------- temporary


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder for the half-made root: beside the target for root, where the mapped users can get to it else."""
    parent = target.parent if os.geteuid() == 0 else Path(tempfile.gettempdir())
    with scratch_folder(parent.resolve(), "devbox-bootstrap-") as work:
        work.chmod(0o755)
        yield work


@contextmanager
def _part_file(target: Path) -> Iterator[Path]:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
