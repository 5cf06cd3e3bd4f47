"""What this machine is, and the network settings it was given: proxies, a CA bundle, package indexes.

Reads environment variables and config files; runs nothing, writes nothing, asks no network. A setting is handed on only
where somebody made it: without one, apt, pip and npm bring their own defaults.
"""

from __future__ import annotations

import base64
import configparser
import fcntl
import os
import platform
import re
import socket
import struct
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.adapters.files import cannot
from builder.adapters.urls import LOOPBACK
from builder.core.facts import HOST_NAME, HostFacts
from builder.errors import HostError
from builder.model import RenderedFile, RenderedTree

ETC: Final = Path("/etc")
MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "CURL_CA_BUNDLE")
PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
HOST_MOUNT: Final = "/run/devbox-host"  # where the fragments of npm and python mount the host/ folder
PIP_INDEX: Final = ("index-url", "extra-index-url", "trusted-host")
MAX_CA: Final = 4 << 20
SIOCGIFADDR: Final = 0x8915  # netdevice(7)
IF_INET6: Final = Path("/proc/net/if_inet6")
PASSING: Final = 0x01 | 0x08 | 0x20 | 0x40  # temporary, used by another machine, deprecated, tentative: if_addr.h
VIRTUAL: Final = ("lo", "br-", "docker", "veth", "virbr")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """For build stages only; none of it enters the image. None and empty: nobody set it."""

    ca_bundle: bytes | None = None  # PEM
    npm_registry: str | None = None
    pip_index: Mapping[str, str] = field(default_factory=dict)  # index-url and its like, for pip in a build stage
    pip: Mapping[str, str] = field(default_factory=dict)  # variables for pip, over its own settings
    proxies: Mapping[str, str] = field(default_factory=dict)  # in lower case: http_proxy -> URL
    apt_mirrors: Mapping[str, str] = field(default_factory=dict)  # distribution -> URL, before the apt settings


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
    return Path(home) if home.startswith("/") else Path("~").expanduser()


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
    """The settings of pip, npm and the environment. Raises HostError for a CA file that is named but cannot be read."""
    variables = os.environ if environ is None else environ
    home = find_home(variables)
    pip = _pip_settings(variables, home, etc)
    npm = _npm_settings(variables, home, etc)
    return NetworkSettings(
        ca_bundle=_ca_bundle(variables, pip, npm),
        npm_registry=npm.get("registry"),
        pip_index=_pip_index(pip),
        proxies=_proxies(variables),
    )


def render_host_files(settings: NetworkSettings) -> RenderedTree:
    """The build context's `host/` folder, which build stages mount at HOST_MOUNT: ca.crt, empty where there is none,
    because a bind mount needs its source."""
    return {"ca.crt": RenderedFile(data=settings.ca_bundle or b"")}


def render_host_secrets(settings: NetworkSettings) -> Mapping[str, bytes]:
    """apt.conf, npmrc, pip.conf and netrc for the steps that mount them: they may hold logins. All are always there, if
    empty: the file that a mount leaves in its layer must not tell who built it.

    A proxy on loopback is not handed on: inside a build step that address is the step's own.
    """
    proxies = {name: url for name, url in settings.proxies.items() if not _is_loopback(url)}
    ca = None if settings.ca_bundle is None else f"{HOST_MOUNT}/ca.crt"
    pip, netrc = _render_pip(settings.pip_index, ca, proxies.get("https_proxy") or proxies.get("http_proxy"))
    apt = {"http": proxies.get("http_proxy"), "https": proxies.get("https_proxy")}
    return {
        "apt.conf": _lines(
            f'Acquire::{scheme}::Proxy "{_plain(f"{scheme} proxy", url)}";' for scheme, url in apt.items() if url
        ),
        "netrc": netrc,
        "npmrc": _render_npm(settings.npm_registry, ca, proxies),
        "pip.conf": pip,
    }


def _render_npm(registry: str | None, ca: str | None, proxies: Mapping[str, str]) -> bytes:
    """npm writes the address of what it installs into node_modules/.package-lock.json, which stays in the image: a
    login in the registry's address is a line of its own."""
    place, login = _split_login(registry or "")
    values = {
        "registry": place,
        f"//{place.partition('//')[2].rstrip('/')}/:_auth": base64.b64encode(":".join(login).encode()).decode(),
        "cafile": ca,
        "proxy": proxies.get("http_proxy"),
        "https-proxy": proxies.get("https_proxy"),
        "noproxy": proxies.get("no_proxy"),
    }
    return _lines(f"{key}={_plain(key, value)}" for key, value in values.items() if value)


def _render_pip(index: Mapping[str, str], ca: str | None, proxy: str | None) -> tuple[bytes, bytes]:
    """pip.conf, and a netrc for the logins in its addresses.

    pip calls itself to get what building a project needs, and puts addresses, since 25.0 the proxy too, on that command
    line, where all of this machine may read them. `pip install`, the one so called, reads the proxy of its own section.
    """
    split = {key: [_split_login(word) for word in value.split()] for key, value in index.items()}
    shared = {key: " ".join(place for place, _ in words) for key, words in split.items()}
    logins = {
        urllib.parse.urlsplit(place).hostname: login for words in split.values() for place, login in words if login
    }
    lines = [f"{key} = {_words(key, value)}" for key, value in {**shared, "cert": ca}.items() if value]
    lines = ["[global]", *lines] if lines else []
    own = ["[install]", f"proxy = {_plain('proxy', proxy)}"] if proxy else []
    netrc = [_netrc_line(str(host), *login) for host, login in logins.items()]
    return _lines([*lines, *own]), _lines(netrc)


def _netrc_line(host: str, user: str, password: str) -> str:
    """A token that stands for the user comes without a password, which Python's netrc insists on before 3.11."""
    if not re.fullmatch(r"[!#-\[\]-~]+", user + password):  # its reader takes no blank, quote or backslash as they are
        hint = "pip reads it from a netrc in a build: take a password without blanks, quotes and backslashes"
        raise HostError("this login cannot be handed on", where=f"package index {host}", hint=hint)
    return f"machine {host} login {user} password {password or 'x'}"


def _split_login(address: str) -> tuple[str, tuple[()] | tuple[str, str]]:
    """An address without its login, and that in plain."""
    parts = urllib.parse.urlsplit(address)
    if not (parts.scheme and parts.username):
        return address, ()
    login = (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), login


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _plain(name: str, value: str) -> str:
    """The value, when it can stand in a config file of apt or npm as it is. An error names it and does not show it."""
    if not re.fullmatch(r"[!#-:<-~]+", value):  # printable ASCII without a blank, quote or semicolon
        hint = "in a password, write these percent-encoded: %22 for a quote"
        raise HostError("a network setting of this machine has characters it should not have", where=name, hint=hint)
    return value


def _words(name: str, value: str) -> str:
    """Several values on one line, as pip takes them."""
    return " ".join(_plain(name, word) for word in value.split())


def _pip_index(pip: Mapping[str, str]) -> dict[str, str]:
    """Where pip finds packages, as far as a build stage can reach it: what lies on this machine's disk is left out, and
    so is an index on loopback, which is the step's own there."""
    found: dict[str, str] = {}
    for key in PIP_INDEX:
        words = [word for word in pip.get(key, "").split() if not (_is_on_disk(word) or _is_loopback(word))]
        if words:
            found[key] = " ".join(words)
    return found


def _is_on_disk(index: str) -> bool:
    return index.startswith(("file:", "/", "."))


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url if "://" in url else f"//{url}").hostname or ""
    return host in LOOPBACK or host.startswith("127.")


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Lower case wins over upper case, as in curl; an empty one counts as not set."""
    found = {name: environ.get(name) or environ.get(name.upper(), "") for name in PROXIES}
    return {name: value for name, value in found.items() if value}


def _ca_bundle(environ: Mapping[str, str], pip: Mapping[str, str], npm: Mapping[str, str]) -> bytes | None:
    named = [(name, environ.get(name, "")) for name in CA_VARIABLES]
    named += [("pip's cert", pip.get("cert", "")), ("npm's cafile", npm.get("cafile", ""))]
    for origin, value in named:
        if value:
            return read_ca(Path(value).expanduser(), origin)
    return None


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
            raise HostError(f"pip's settings cannot be read: {error}", where=str(file)) from error
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
