"""What this machine is, and the network settings it was given: proxies, a CA bundle, package indexes.

Reads environment variables and config files; runs nothing, writes nothing, asks no network. A setting is handed on only
where somebody made it: without one, apt, pip and npm bring their own defaults.
"""

from __future__ import annotations

import configparser
import fcntl
import json
import os
import platform
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot
from builder.adapters.urls import is_loopback
from builder.core.facts import HOST_NAME, HostFacts
from builder.errors import HostError

ETC: Final = Path("/etc")
MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "CURL_CA_BUNDLE")
PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
DOCKER_PROXIES: Final = ("httpProxy", "httpsProxy", "noProxy", "allProxy")
# Where certificates are added to a machine's own, and what it makes of all, as seen from /etc: Debian and its like,
# Fedora and its like. Sources: update-ca-certificates(8), update-ca-trust(8).
TRUST: Final = (
    ("../usr/local/share/ca-certificates", "ssl/certs/ca-certificates.crt"),
    ("pki/ca-trust/source/anchors", "pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
)
PIP_INDEX: Final = ("index-url", "extra-index-url", "trusted-host")
MAX_CA: Final = 4_000_000
SIOCGIFADDR: Final = 0x8915  # netdevice(7)
IF_INET6: Final = Path("/proc/net/if_inet6")
PASSING: Final = 0x01 | 0x08 | 0x20 | 0x40  # temporary, used by another machine, deprecated, tentative: if_addr.h
VIRTUAL: Final = ("lo", "br-", "docker", "veth", "virbr")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """For this machine and build stages; none of it enters the image. None and empty: nobody set it."""

    ca_bundle: bytes | None = None  # PEM
    ca_path: str = ""  # where it was read
    npm_registry: str | None = None
    pip_index: Mapping[str, str] = field(default_factory=dict)  # index-url and its like, for pip in a build stage
    pip: Mapping[str, str] = field(default_factory=dict)  # variables for pip, over its own settings
    proxies: Mapping[str, str] = field(default_factory=dict)  # in lower case: http_proxy -> URL
    apt_mirrors: Mapping[str, str] = field(default_factory=dict)  # distribution -> URL, before the apt settings
    snapshots: Mapping[str, str] = field(default_factory=dict)  # distribution -> pattern of an address
    origins: Mapping[str, str] = field(default_factory=dict)  # key of devbox.yaml, or proxy -> who said so


def find_host_facts(workspace: Path, *, environ: Mapping[str, str] | None = None, etc: Path = ETC) -> HostFacts:
    """Facts of this machine. Raises HostError on an architecture there are no workstations for."""
    machine = platform.machine().lower()
    arch = MACHINES.get(machine)
    if arch is None:
        raise HostError(f"there are no workstations for {machine}", hint="amd64 and arm64 are known")
    root = workspace.resolve()
    return HostFacts(
        folder=root.name,
        workspace=str(root),
        home=str(find_home(environ)),
        uid=os.getuid(),
        gid=os.getgid(),
        arch=arch,
        hostname=_hostname(platform.node().lower()),
        timezone=_timezone(os.environ if environ is None else environ, etc),
        cpus=os.cpu_count(),
    )


def _hostname(name: str) -> str | None:
    """The kernel's "(none)" and its like are no names."""
    return name if re.fullmatch(HOST_NAME, name) and name != "localhost" else None


def find_addresses(listing: Path = IF_INET6) -> tuple[str, ...]:
    """Of this machine's interfaces, but for loopback and those that only lead to containers; of IPv6 those that others
    can use and that stay. `listing` is the kernel's own of IPv6."""
    return (*sorted(_find_ipv4()), *sorted(_find_ipv6(listing)))


def _find_ipv4() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            if name.startswith(VIRTUAL):
                continue
            try:
                answer = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # an interface without an address
            yield socket.inet_ntoa(answer[20:24])


def _find_ipv6(listing: Path) -> Iterator[str]:
    """From lines of address, index, prefix, scope, flags, name."""
    try:
        lines = listing.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return  # this machine has no IPv6
    for line in lines:
        digits, _, _, scope, flags, name = line.split()
        if int(scope, 16) == 0 and not int(flags, 16) & PASSING and not name.startswith(VIRTUAL):
            yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))


def find_home(environ: Mapping[str, str] | None = None) -> Path:
    home = (os.environ if environ is None else environ).get("HOME", "")
    if home.startswith("/"):
        return Path(home)
    try:
        return Path("~").expanduser()
    except RuntimeError as error:  # a user id that nobody gave a name
        raise HostError("this user has no home folder", where="HOME", hint="set HOME to a folder of yours") from error


def find_folder(variable: str, fallback: str, environ: Mapping[str, str] | None = None) -> Path:
    """A folder of the XDG base directories: XDG_STATE_HOME with `.local/state`, XDG_CACHE_HOME with `.cache`.

    As their specification says, a relative path in the variable is as good as none.
    """
    told = (os.environ if environ is None else environ).get(variable, "")
    return Path(told) if told.startswith("/") else find_home(environ) / fallback


def _timezone(environ: Mapping[str, str], etc: Path) -> str | None:
    """Area/City from TZ, /etc/timezone, or what /etc/localtime leads to; None where none of them tells."""
    named = etc / "timezone"
    local = etc / "localtime"
    candidates = [
        environ.get("TZ", "").removeprefix(":"),
        named.read_text(encoding="utf-8", errors="replace").strip() if named.is_file() else "",
        str(local.readlink()).partition("zoneinfo/")[2] if local.is_symlink() else "",
    ]
    fitting = (text for text in candidates if re.fullmatch(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", text))
    return next(fitting, None)


# ----------------------------------------------------------------------------------------------------- network


def find_network_settings(*, environ: Mapping[str, str] | None = None, etc: Path = ETC) -> NetworkSettings:
    """The settings of pip, npm, Docker's client and the environment. Raises HostError for a CA file that is named but
    cannot be read."""
    variables = os.environ if environ is None else environ
    home = find_home(variables)
    pip = _pip_settings(variables, home, etc)
    npm = _npm_settings(variables, home, etc)
    path, named = _find_bundle(variables, pip, npm, etc)
    index, proxies = _pip_index(pip), _proxies(variables, home)
    origins = {
        "ca_bundle.path": named,
        "mirrors.npm": "npm's settings" if "registry" in npm else "",
        "mirrors.pypi": "pip's settings" if "index-url" in index else "",
        **{name: origin for name, (_, origin) in proxies.items()},
    }
    return NetworkSettings(
        ca_bundle=read_ca(path, named) if path else None,
        ca_path=str(path or ""),
        npm_registry=npm.get("registry"),
        pip_index=index,
        proxies={name: url for name, (url, _) in proxies.items()},
        origins={key: origin for key, origin in origins.items() if origin},
    )


def _pip_index(pip: Mapping[str, str]) -> dict[str, str]:
    """Where pip finds packages, as far as a build stage can reach it: what lies on this machine's disk is left out, and
    so is an index on loopback, which is the step's own there."""
    found: dict[str, str] = {}
    for key in PIP_INDEX:
        words = [word for word in pip.get(key, "").split() if not (_is_on_disk(word) or is_loopback(word))]
        if words:
            found[key] = " ".join(words)
    return found


def _is_on_disk(index: str) -> bool:
    return index.startswith(("file:", "/", "."))


def _proxies(environ: Mapping[str, str], home: Path) -> dict[str, tuple[str, str]]:
    """Name -> value, and where it is from. Docker's client has them for builds, which win: those of the environment are
    for programs of this machine, and often on its loopback. Lower case wins over upper case, as in curl; an empty one
    counts as not set."""
    found = {
        name: (environ.get(name) or environ.get(name.upper(), ""), f"{name} of the environment") for name in PROXIES
    }
    file = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    for name, value in _docker_proxies(file).items():
        found[name] = (value, str(file))
    return {name: told for name, told in found.items() if told[0]}


def _docker_proxies(file: Path) -> dict[str, str]:
    """`proxies.default` of Docker's client. What it cannot read itself is not ours to tell."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))["proxies"]["default"]
        return {
            name: told[key]
            for name, key in zip(PROXIES, DOCKER_PROXIES, strict=True)
            if isinstance(told.get(key), str) and told[key]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _find_bundle(
    environ: Mapping[str, str], pip: Mapping[str, str], npm: Mapping[str, str], etc: Path
) -> tuple[Path | None, str]:
    """The bundle that a variable or a setting names, else this machine's own where somebody added to it; and who says
    so."""
    named = [(f"{name} of the environment", environ.get(name, "")) for name in CA_VARIABLES]
    named += [("pip's settings (cert)", pip.get("cert", "")), ("npm's settings (cafile)", npm.get("cafile", ""))]
    for origin, value in named:
        if value:
            return Path(value).expanduser(), origin
    for added, store in TRUST:
        if (etc / store).is_file() and _has_files(etc / added):
            return etc / store, "this machine's trust store"
    return None, ""


def find_trust(etc: Path = ETC) -> bytes | None:
    """All that this machine trusts, of its distribution."""
    stores = [etc / store for _, store in TRUST if (etc / store).is_file()]
    return read_ca(stores[0], "this machine's trust store") if stores else None


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(item.is_file() for item in folder.iterdir())


def read_ca(path: Path, origin: str) -> bytes:
    """A bundle of certificates. Raises HostError, naming `origin`, for what is none."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_CA:
            raise HostError(f"{origin} names no file of at most 4 MB", where=str(path), hint="correct or unset it")
        data = path.read_bytes()
    except OSError as error:
        raise cannot("read", path, error) from error
    if b"-----BEGIN CERTIFICATE-----" not in data and b"-----BEGIN TRUSTED CERTIFICATE-----" not in data:
        raise HostError(f"{origin} names a file without certificates", where=str(path), hint="correct or unset it")
    if b"PRIVATE KEY" in data:
        raise HostError(f"{origin} names a file with a private key", where=str(path), hint="name one without")
    return data


def _pip_settings(environ: Mapping[str, str], home: Path, etc: Path) -> dict[str, str]:
    """`[global]` of pip's files, later ones winning, then PIP_*; the order is pip's own (user guide, configuration)."""
    config = find_folder("XDG_CONFIG_HOME", ".config", environ)
    files = [etc / "pip.conf", home / ".pip/pip.conf", config / "pip/pip.conf"]
    if named := environ.get("PIP_CONFIG_FILE"):
        files = [] if named == os.devnull else [*files, Path(named)]
    parser = configparser.RawConfigParser(strict=False)
    for file in files:
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            raise HostError(
                f"pip's settings cannot be read: {error}",
                where=str(file),
                hint="correct that file; `pip config debug` shows which ones count",
            ) from error
    found = dict(parser["global"]) if parser.has_section("global") else {}
    for key in (*PIP_INDEX, "cert"):
        if value := environ.get(f"PIP_{key.upper().replace('-', '_')}"):
            found[key] = value
    return {key: value.strip() for key, value in found.items() if value.strip()}


def _npm_settings(environ: Mapping[str, str], home: Path, etc: Path) -> dict[str, str]:
    """`registry` and `cafile` of npm's files and variables. Tokens and everything else stay where they are."""
    user = environ.get("npm_config_userconfig") or environ.get("NPM_CONFIG_USERCONFIG")
    found: dict[str, str] = {}
    for file in (etc / "npmrc", Path(user) if user else home / ".npmrc"):
        found.update(pair for pair in _npmrc(file, environ) if pair[0] in {"registry", "cafile"})
    for key in ("registry", "cafile"):
        if value := environ.get(f"npm_config_{key}") or environ.get(f"NPM_CONFIG_{key.upper()}"):
            found[key] = value
    return found


def _npmrc(file: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError as error:
        raise cannot("read", file, error) from error
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and not name.lstrip().startswith(("#", ";")):
            plain = re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match[1], ""), value.strip().strip("\"'"))
            if plain and plain.isprintable():
                yield name.strip(), plain
