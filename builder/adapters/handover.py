"""What a build step is told of this machine's network: settings of apt, npm and pip, as files that it mounts.

Owns the form of those files. Nothing of them may stay in a layer, and no password may stand on a command line: they
are secrets of BuildKit (docs/decisions/secrets.md).
"""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from builder.adapters.urls import is_loopback, make_bypass
from builder.errors import HostError

if TYPE_CHECKING:
    from builder.adapters.hostinfo import NetworkSettings

SECRETS: Final = "/run/secrets"  # where a step of npm or pip finds what it mounts
CA: Final = "ca.crt"
PIP_VERBS: Final = ("download", "install")  # those that ask an index
# Where a step of apt mounts these: files that the first step brings, empty, since a mount leaves its place behind.
APT_CA: Final = "/etc/apt/devbox-ca.crt"
APT_SOURCES: Final = "/etc/apt/devbox-sources.list"
APT_PARTS: Final = "/var/cache/apt/devbox-sources.d"  # what else the base brings; gathered by apt-sources

# Where templates/packages/lay-out puts what is kept: folders of the caches that these steps mount, one for each image,
# since another build may be at work there.
APT_REPOSITORY: Final = "/var/cache/apt/devbox-packages"
PIP_FOLDER: Final = "/root/.cache/pip/devbox-packages"


def render_build_secrets(
    settings: NetworkSettings, sources: Sequence[str] = (), *, dated: bool = False
) -> Mapping[str, bytes]:
    """apt.conf, sources.list, ca.crt, npmrc, pip.conf and netrc for the steps that mount them. All are always there, if
    empty: the file that a mount leaves in its layer must not tell who built it.

    `sources` are apt's lines in place of the base's own; `dated` ones are of a day that is over. A proxy on loopback is
    not handed on: inside a build step that address is the step's own.
    """
    proxies = {name: url for name, url in settings.proxies.items() if name == "no_proxy" or not is_loopback(url)}
    ca = None if settings.ca_bundle is None else f"{SECRETS}/{CA}"
    pip, netrc = _render_pip(settings.pip_index, ca, _proxy_of_index(settings.pip_index, proxies))
    return {
        "apt.conf": _lines(_apt_lines(settings, proxies, sources, dated=dated)),
        "ca.crt": settings.ca_bundle or b"",
        "netrc": netrc,
        "npmrc": _render_npm(settings.npm_registry, ca, proxies),
        "pip.conf": pip,
        "sources.list": _lines(sources),
    }


def render_offline_secrets(plan: str) -> Mapping[str, bytes]:
    """The same files for steps that are to ask nobody, and to take what templates/packages/lay-out put into their
    caches for the plan with this id."""
    apt = (
        f'Dir::Etc::SourceList "{APT_SOURCES}";',
        'Dir::Etc::SourceParts "/dev/null";',
        'APT::Get::List-Cleanup "false";',  # what was asked of mirrors stays for the next build with a network
    )
    return {
        "apt.conf": _lines(apt),
        "ca.crt": b"",
        "netrc": b"",
        "npmrc": _lines(["offline=true"]),
        "pip.conf": _lines(["[global]", "no-index = true", f"find-links = {PIP_FOLDER}/{plan}"]),
        # Copied, not used in place: apt-install looks for them in apt's own folder, to hold each to the lock's sum.
        "sources.list": _lines([f"deb [trusted=yes] copy:{APT_REPOSITORY}/{plan} ./"]),
    }


def _apt_lines(
    settings: NetworkSettings, proxies: Mapping[str, str], sources: Sequence[str], *, dated: bool
) -> Iterator[str]:
    everything = proxies.get("no_proxy", "").strip() == "*"
    for scheme in ("http", "https"):
        if (url := proxies.get(f"{scheme}_proxy")) and not everything:
            yield f'Acquire::{scheme}::Proxy "{_plain(f"{scheme} proxy", url)}";'
            yield from (f'Acquire::{scheme}::Proxy::{host} "DIRECT";' for host in _direct_hosts(proxies, sources))
    if settings.ca_bundle is not None:
        yield f'Acquire::https::CAInfo "{APT_CA}";'
    if sources:
        yield f'Dir::Etc::SourceList "{APT_SOURCES}";'
        yield f'Dir::Etc::SourceParts "{APT_PARTS}";'
    if dated:
        yield 'Acquire::Check-Valid-Until "false";'


def _direct_hosts(proxies: Mapping[str, str], sources: Sequence[str]) -> list[str]:
    """Hosts that apt is to ask without a proxy. It knows whole names only: of a domain in `no_proxy`, those of its
    sources that are in it."""
    told = proxies.get("no_proxy", "")
    named = [word for word in told.replace(",", " ").split() if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", word)]
    hosts = [urllib.parse.urlsplit(word).hostname or "" for line in sources for word in line.split()]
    bypass = make_bypass(told)
    return sorted({*named, *(host for host in hosts if host and bypass(host))})


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
        "noproxy": ",".join(proxies.get("no_proxy", "").replace(",", " ").split()),
    }
    return _lines(f"{key}={_plain(key, value)}" for key, value in values.items() if value)


def _render_pip(index: Mapping[str, str], ca: str | None, proxy: str | None) -> tuple[bytes, bytes]:
    """pip.conf, and a netrc for the logins in its addresses.

    pip calls itself to get what building a project needs, and puts addresses, since 25.0 the proxy too, on that command
    line, where all of this machine may read them. So the proxy stands in the sections of the verbs that ask an index:
    `pip wheel`, which calls the others, knows none.
    """
    split = {key: [_split_login(word) for word in value.split()] for key, value in index.items()}
    shared = {key: " ".join(place for place, _ in words) for key, words in split.items()}
    logins = _gather_logins(found for words in split.values() for found in words)
    lines = [f"{key} = {_words(key, value)}" for key, value in {**shared, "cert": ca}.items() if value]
    lines = ["[global]", *lines] if lines else []
    own = [line for verb in PIP_VERBS for line in (f"[{verb}]", f"proxy = {_plain('proxy', proxy)}")] if proxy else []
    netrc = [_netrc_line(host, *login) for host, login in logins.items()]
    return _lines([*lines, *own]), _lines(netrc)


def _proxy_of_index(index: Mapping[str, str], proxies: Mapping[str, str]) -> str | None:
    """None also where `no_proxy` covers every index: pip's settings know one proxy, for all or for none.

    In its environment, where it would look at each host, the proxy's password could be read by other processes.
    """
    named = " ".join(index.get(key, "") for key in ("index-url", "extra-index-url")).split()
    hosts = [urllib.parse.urlsplit(address).hostname or "" for address in named]
    if "index-url" in index and all(map(make_bypass(proxies.get("no_proxy", "")), hosts)):
        return None
    return proxies.get("https_proxy") or proxies.get("http_proxy")


def _gather_logins(found: Iterable[tuple[str, tuple[()] | tuple[str, str]]]) -> Mapping[str, tuple[str, str]]:
    """Host -> login. A netrc knows neither ports nor paths."""
    logins: dict[str, tuple[str, str]] = {}
    for place, login in found:
        host = urllib.parse.urlsplit(place).hostname or ""
        if login and logins.setdefault(host, login) != login:
            hint = "pip reads it from a netrc in a build, which has one for a host: take the same for all its indexes"
            raise HostError("two logins of one host cannot be handed on", where=f"package index {host}", hint=hint)
    return logins


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
