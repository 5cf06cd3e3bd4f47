"""The secrets that lie on this machine and that devbox works with or beside, so that a text can be searched for them.

Reads environment variables, our own state, devbox.yaml, and the settings of pip, npm, Git, Docker and of places for
backups; hands out values only, never where they are from. Writes and runs nothing.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import yaml

from builder.core.scrubbing import NAME_OF_ONE, is_secret

MAX_FILE: Final = 256 << 10
MIN_LINE: Final = 8
NO_SECRETS: Final = frozenset({"runs", "reports"})  # folders beside those of the workstations
NO_SECRET: Final = frozenset({"history.json", "volumes.json"})  # beside secrets: what a workstation was made from
_LOGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://([^\s/\"'<>@]*)@", re.I)
# To the end of the line after `=`, as ini files have it, else one word; in quotes what stands between them.
_SETTING: Final = re.compile(
    rf"""(?:\b_auth|{NAME_OF_ONE})["']?[ \t]*"""
    r"""(?:=[ \t]*(?![ \t"'])(.+)|[=:][ \t]*(?:"([^"\n]+)|'([^'\n]+)|([^\s"']+)))"""
    r"""|\bpassword\s+"?([^\s"=:]+)""",  # netrc
    re.I,
)
SETTINGS: Final = (
    ".netrc", ".npmrc", ".git-credentials", ".pypirc", ".pip/pip.conf", ".config/pip/pip.conf", ".aws/credentials",
    ".config/gcloud/application_default_credentials.json",
)  # fmt: skip
NAMING: Final = (  # variables that name another file
    "PIP_CONFIG_FILE", "NETRC", "NPM_CONFIG_USERCONFIG", "AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS"
)  # fmt: skip


def find_secrets(state: Path, home: Path, workspace: Path, environ: Mapping[str, str]) -> frozenset[str]:
    """Every secret, in each form in which it may stand in a text. What cannot be read is not known to us either."""
    pairs = {*_of_environment(environ), *_of_settings(home, workspace, environ), *_of_docker(home, environ)}
    found = {secret for _, secret in pairs} | set(_of_state(state / "devbox"))
    found |= {_encode(f"{user}:{secret}") for user, secret in pairs if user}
    return frozenset(form for secret in found if secret for form in _forms(secret))


def _forms(secret: str) -> set[str]:
    return {secret, unquote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], _encode(secret)}


def _encode(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


Login = tuple[str, str]  # user ("" where there is none), secret


def _of_environment(environ: Mapping[str, str]) -> Iterator[Login]:
    """Logins in addresses, and what a variable is that calls itself a secret: all of it."""
    for name, value in environ.items():
        if is_secret(name, value) or name.lower().endswith("_auth"):
            yield "", value
            yield from _logins(value)
        else:
            yield from _of_text(value)


def _of_text(text: str) -> Iterator[Login]:
    yield from _logins(text)
    for found in _SETTING.findall(text):
        value = "".join(found).strip()
        yield from (("", form) for form in {value, *value.split()[:1]})


def _logins(text: str) -> Iterator[Login]:
    for login in _LOGIN.findall(text):
        user, colon, password = login.partition(":")
        yield (unquote(user), unquote(password)) if colon else ("", unquote(user))
        yield "", password if colon else user


def _of_settings(home: Path, workspace: Path, environ: Mapping[str, str]) -> Iterator[Login]:
    named = [environ.get(name, "") for name in NAMING]
    own = [Path("/etc/pip.conf"), *(Path(name) for name in named if name.startswith("/"))]
    for path in [*(home / name for name in SETTINGS), *own]:
        yield from _of_text(_read(path))
    yield from _of_yaml(_read(workspace / "devbox.yaml"))
    yield from _of_dotenv(_read(workspace / ".env"))


def _of_yaml(text: str) -> Iterator[Login]:
    """Values as YAML means them, token by token: neither a loop of aliases nor an error further down is in the way."""
    yield from _logins(text)
    before, is_value = "", False
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.ScalarToken):
                if is_value and is_secret(before, token.value):
                    yield from (("", form) for form in (token.value, *token.value.splitlines()))
                before = token.value
            if not isinstance(token, (yaml.TagToken, yaml.AnchorToken)):
                is_value = isinstance(token, yaml.ValueToken)
    except yaml.YAMLError:
        yield from _of_text(text)


def _of_docker(home: Path, environ: Mapping[str, str]) -> Iterator[Login]:
    """Logins of registries, as `docker login` keeps them: base64 over user and password."""
    folder = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    for encoded in re.findall(r'"(?:auth|identitytoken|registrytoken)"\s*:\s*"([^"]+)"', _read(folder / "config.json")):
        yield "", encoded
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            continue  # a token as it is
        yield user, password


def _of_state(folder: Path) -> Iterator[str]:
    """Line by line whatever is kept for the workstations: passwords, keys, the person's name for Git."""
    for path in sorted(folder.glob("*/**/*")):
        if path.name == "environment":  # what is handed in (`handed`)
            yield from (secret for _, secret in _of_dotenv(_read(path)))
        if path.relative_to(folder).parts[0] not in NO_SECRETS and path.name not in NO_SECRET:
            lines = (line.strip() for line in _read(path).splitlines())
            yield from (line for line in lines if len(line) >= MIN_LINE and not line.startswith("-----"))


def _of_dotenv(text: str) -> Iterator[Login]:
    """Of NAME=value lines: what calls itself a secret, logins in addresses, and what is long enough to be no word."""
    for line in text.splitlines():
        name, _, value = line.partition("=")
        value = value.strip().strip("'\"")
        if is_secret(name.strip(), value) or len(value) >= MIN_LINE:
            yield "", value
        yield from _logins(value)


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE:
            return ""
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""  # what we may not read cannot get into a text of ours


def find_names(home: Path) -> Mapping[str, str]:
    """What tells who the person is, and what stands in its place."""
    return {str(home): "~", _user(): "<user>", os.uname().nodename: "<host>"}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name; OSError since Python 3.13
        return ""
