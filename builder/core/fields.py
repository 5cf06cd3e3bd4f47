"""The kinds of text that devbox.yaml and the catalogue hold, each with its rule, its limit and an example.

Owns patterns and the checks that need a single value only. Must not know where a value is used.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from builder.core.facts import HOST_NAME
from builder.core.problems import nearest, shown
from builder.core.validation import Text, as_list, wrong

_SERVER: Final = r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
_URL: Final = rf"{_SERVER}(?:/[A-Za-z0-9._~%!$&()*+,;=:@/?#{{}}-]*)?"
# Without a query, where tokens stand, and without a semicolon, which begins a comment in npm's file.
_PLAIN_URL: Final = rf"{_SERVER}(?:/[A-Za-z0-9._~%!$&()*+,=:@/-]*)?"
_PATH: Final = r"[^\s:\\-][^:\\]*"
_LONGEST_NAME: Final = 255  # bytes, of one file or folder: Linux, limits.h
SIZE_UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def no_escape(path: str) -> str:
    parts = re.split(r"[/:]", path)  # the colon is Git's, between host and path
    if ".." in parts:
        raise wrong(f"{shown(path)} leaves its folder", "write the path without `..`")
    if any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise wrong(f"a part of {shown(path)} is longer than a file's name can be", f"at most {_LONGEST_NAME} bytes")
    if path.startswith("~") and path != "~" and not path.startswith("~/"):
        raise wrong(f"{shown(path)} is the home of somebody else", "only ~ and ~/... are supported")
    return path


def _normal(path: str) -> str:
    if path != "/" and any(part in (".", "..", "") for part in path.split("/")[1:]):
        raise wrong(f"{shown(path)} is not in its shortest form", "write it without `.`, `..`, `//` and a last `/`")
    return path


def _package(name: str) -> str:
    if name.endswith("-"):
        raise wrong(f"{shown(name)} would remove a package", "write the name without the last `-`")
    return name


def _loopback(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        raise wrong(f"{shown(address)} is not an IP address", "for example 127.0.0.1") from None
    if not known.is_loopback:
        hint = "`bind` keeps everything on this machine; `expose: true` lets others in, with TLS and a login"
        raise wrong(f"{shown(address)} is not a loopback address", hint)
    return str(known)  # one form: certificates and the engine write it so


def _any_address(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        raise wrong(
            f"{shown(address)} is not an IP address", "for example 0.0.0.0, every address of this machine"
        ) from None
    if known.is_multicast:
        raise wrong(f"{shown(address)} is a multicast address", "take one that this machine has, or 0.0.0.0 for all")
    return str(known)


def _login(name: str) -> str:
    if name in _TAKEN_LOGINS or name.startswith("systemd-"):
        raise wrong(f"the user {shown(name)} belongs to the system", "take another name, for example dev")
    return name


_TAKEN_LOGINS: Final = frozenset(
    re.findall(
        r"\S+",
        "root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody sshd "
        "messagebus adm tty disk sudo shadow utmp video staff users nogroup kmem dialout fax voice cdrom floppy tape "
        "audio dip src plugdev input sgx kvm render crontab netdev polkitd",
    )
)


def size_in_bytes(text: str) -> int:
    """4g -> 4294967296; the units are powers of 1024."""
    match = re.fullmatch(r"([0-9.]+)([a-z]?)", text.lower())
    if not match:
        raise ValueError(text)
    return int(float(match.group(1)) * SIZE_UNITS[match.group(2)])


def _size(low: str, high: str) -> AfterValidator:
    def check(text: str) -> str:
        if not size_in_bytes(low) <= size_in_bytes(text) <= size_in_bytes(high):
            raise wrong(f"{shown(text)} is out of range", f"from {low} to {high}")
        return text

    return AfterValidator(check)


def _geometry(text: str) -> str:
    width, height = map(int, text.split("x"))
    if not (320 <= width <= 8192 and 200 <= height <= 8192):
        raise wrong(f"{shown(text)} is out of range", "from 320x200 to 8192x8192")
    return text


def is_timezone(name: str) -> bool:
    """Whether this machine's zone table knows `name`; a machine without a table knows every name."""
    import zoneinfo  # here: only a config that names a zone pays for it

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return not zoneinfo.available_timezones()
    return True


def _timezone(name: str) -> str:
    if not is_timezone(name):
        import zoneinfo

        close = nearest(name, zoneinfo.available_timezones())
        hint = f"did you mean `{close}`?" if close else "for example Europe/Berlin"
        raise wrong(f"{shown(name)} is no time zone", hint)
    return name


NAME: Final = r"[a-z0-9][a-z0-9_-]{0,40}"  # of a workstation
Name = Annotated[
    str, Text("a name of small letters, digits, `-` and `_` that starts with a letter or digit", NAME, 41, "my-app")
]
CatalogueName = Annotated[str, Text("a name from the catalogue", r"[a-z0-9][a-z0-9+._-]{0,40}", 41)]
Version = Annotated[str, Text("a version", r"[0-9A-Za-z][0-9A-Za-z.+_~:-]{0,39}", 40, '"20" or "2.0.76"')]
Login = Annotated[str, Text("a user name", r"[a-z_][a-z0-9_-]{0,30}", 31, "dev"), AfterValidator(_login)]
ImageReference = Annotated[
    str,
    Text(
        "an image reference",
        r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
        r"(?:@sha256:[0-9a-f]{64})?",
        300,
        "debian:12-slim",
    ),
]
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
# A host is known by its dot or port (distribution/reference): `team/images` alone is a place in the engine's own one.
RegistryPath = Annotated[
    str,
    Text(
        "a place in an image registry, `host/path` or `host:port/path`, without a tag",
        rf"(?:{_LABEL}(?:\.{_LABEL})+(?::[0-9]{{1,5}})?|{_LABEL}:[0-9]{{1,5}}|localhost)"
        r"(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)+",
        200,
        "registry.example.org/team/devbox",
    ),
]
ImageMirror = Annotated[
    str,
    Text(
        "a registry, and perhaps a path in it",
        rf"(?:{_LABEL}(?:\.{_LABEL})+(?::[0-9]{{1,5}})?|{_LABEL}:[0-9]{{1,5}}|localhost)"
        r"(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*",
        200,
        "registry.example.org/mirror",
    ),
]
AptPackage = Annotated[
    str, Text("the name of a Debian package", r"[a-z0-9][a-z0-9+.-]{1,99}", 100, "htop"), AfterValidator(_package)
]
NPM_NAME: Final = r"(?:@[a-z0-9-][a-z0-9._-]{0,100}/)?[a-z0-9][a-z0-9._-]{0,100}"
NPM_VERSION: Final = r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
NpmPackage = Annotated[
    str, Text("an npm package with its exact version", f"{NPM_NAME}@{NPM_VERSION}", 214, "typescript@5.4.5")
]
NpmName = Annotated[str, Text("the name of an npm package", NPM_NAME, 214, "@scope/name")]
Geometry = Annotated[
    str, Text("a screen size", r"[1-9][0-9]{2,4}x[1-9][0-9]{2,4}", 11, "1920x1080"), AfterValidator(_geometry)
]
Address = Annotated[str, Text("an address", r"[0-9a-fA-F.:]+|[a-z.]+", 45, "127.0.0.1"), AfterValidator(_loopback)]
MachineAddress = Annotated[
    str,
    Text(
        "the address of a machine by SSH",
        r"local|ssh://(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,63}@)?(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])"
        r"(?::[1-9][0-9]{0,4})?/?",
        330,
        "ssh://user@host, or local",
    ),
]
AnyAddress = Annotated[
    str, Text("an address", r"[0-9a-fA-F.:]+|[a-z.]+", 45, "0.0.0.0"), AfterValidator(_any_address)  # noqa: S104
]
HostName = Annotated[str, Text("a host name in small letters", HOST_NAME, 253, "box.example.org")]
_Size = Text("a size", r"[0-9]{1,15}(?:\.[0-9]{1,3})?[bkmgtBKMGT]?", 20, "512m or 4g")
Memory = Annotated[str, _Size, _size("256m", "64t")]
SharedMemory = Annotated[str, _Size, _size("16m", "1t")]
Locale = Annotated[str, Text("a UTF-8 locale", r"(?:C|[a-z]{2,3}_[A-Z]{2})\.UTF-8", 12, "C.UTF-8 or en_US.UTF-8")]
Keyboard = Annotated[
    str,
    Text(
        "a keyboard layout, `layout` or `layout(variant)`",
        r"[a-z]{2,10}(?:\([A-Za-z0-9][A-Za-z0-9_-]{0,39}\))?",
        52,
        "de or de(nodeadkeys)",
    ),
]
Timezone = Annotated[
    str,
    Text("a time zone", r"UTC|[A-Z][A-Za-z]+(?:/[A-Za-z0-9_+-]+){1,2}", 60, "Europe/Berlin"),
    AfterValidator(_timezone),
]
Theme = Annotated[str, Text("the name of a theme", r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", 64, "jonathan")]
Url = Annotated[str, Text("an http(s) address without a password, query or semicolon", _PLAIN_URL, 500)]
UrlPattern = Annotated[
    str,
    Text(
        "an http(s) address without a password, query or semicolon",
        rf"{_SERVER}(?:/(?:[A-Za-z0-9._~%!$&()*+,=:@/-]|{{(?:host|timestamp|archive)}})*)?",
        500,
    ),
]
GitUrl = Annotated[
    str,
    Text(
        "the address of a Git repository",
        rf"{_PLAIN_URL}|ssh://(?:[A-Za-z0-9][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{{1,5}})?"
        r"(?:/[A-Za-z0-9._@:/~+-]*)?|[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:"
        r"[A-Za-z0-9._~/][A-Za-z0-9._~/+-]*|file:///[A-Za-z0-9._~/+-]+",
        500,
        "https://example.org/team/framework.git or git@example.org:team/framework.git",
    ),
    AfterValidator(no_escape),
]
GitRevision = Annotated[
    str,
    Text("a tag, branch or commit", r"[A-Za-z0-9](?!.*(?:\.\.|@\{|\.lock$|//))[A-Za-z0-9._/+-]{0,199}", 200, "v1.2.0"),
]
WheelPath = Annotated[
    str,
    Text(
        "a path to a wheel",
        r"(?:[^\s:\\-][^:\\]*/)?[A-Za-z0-9][A-Za-z0-9._!+-]*\.whl",
        1000,
        "./framework-1.0-py3-none-any.whl",
    ),
    AfterValidator(no_escape),
]
HostPath = Annotated[
    str, Text("a path without `:` or `\\`", _PATH, 1000, "./data or ~/data"), AfterValidator(no_escape)
]
UrlOrPath = Annotated[str, Text("an address or a path", f"{_URL}|{_PATH}", 1000), AfterValidator(no_escape)]
ContainerPath = Annotated[
    str, Text("an absolute path", r"/[^\s:,\\]*(?: [^\s:,\\]+)*", 500, "/home/dev/data"), AfterValidator(_normal)
]
PublicKey = Annotated[
    str,
    Text(
        "a public SSH key, or a path to one",
        r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
        r" [A-Za-z0-9+/]{40,}={0,3}(?: [^\s].*)?|(?!ssh-|ecdsa-|sk-|-----)[^\s:\\,-][^:\\,]*",
        3000,
        "~/.ssh/id_ed25519.pub",
    ),
    AfterValidator(no_escape),
]
ENV_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
EnvironmentName = Annotated[str, Text("the name of an environment variable", ENV_NAME, 128, "EDITOR")]
FreeText = Annotated[str, Text("text of one line", r".*", 4096)]
AptPackages = Annotated[tuple[AptPackage, ...], BeforeValidator(as_list)]
