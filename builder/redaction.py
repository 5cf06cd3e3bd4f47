"""Credentials inside text, taken out: what is said, logged or written must not hold them.

Addresses carry them (`https://user:token@host`, `?token=...`), and so do headers and lines of an npmrc or netrc that
programs print. `errors` and `console` put everything through here: no message depends on the care of its author. Pure.
"""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s\"'<>\\`]+)")
_QUERY: Final = re.compile(r"(?<=[?&])([^=&#]+=)[^&#]+")
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]+$")
# Plain, as JSON and as YAML.
_SETTING: Final = re.compile(
    r"""((?:Authorization["']?\s*:\s*["']?(?:(?:Basic|Bearer|Digest|Negotiate|Token)\s+)?"""
    r"""|(?<![A-Za-z0-9])_(?:authToken|auth|password)["']?\s*[:=]\s*|\blogin\s+\S+\s+password\s+)["']?)[^\s"']+""",
    re.I,
)


def redact(text: str, *, same_width: bool = False) -> str:
    """`text` without passwords and tokens. `same_width`: as long as before, so that a caret below it still points."""

    def mask(secret: str) -> str:
        if not secret.strip("*"):
            return secret  # masked before: an excerpt keeps its width in the error that holds it
        return "*" * len(secret) if same_width else MASK

    def address(match: re.Match[str]) -> str:
        scheme, rest = match.groups()
        login, at, place = _split_login(rest)
        user, colon, password = login.partition(":") if scheme.endswith("ssh") else ("", "", login)
        hidden = f"{user}{colon}{mask(password)}" if password else login
        return f"{scheme}://{hidden}{at}{_QUERY.sub(lambda one: one[1] + mask(one[0][len(one[1]) :]), place)}"

    if "://" in text:
        text = _ADDRESS.sub(address, text)
    return _SETTING.sub(lambda match: match[1] + mask(match[0][len(match[1]) :]), text)


def _split_login(rest: str) -> tuple[str, str, str]:
    """Login, `@` and the rest. A password may hold a `/` that nobody encoded: then no number stands for the port."""
    if digest := _DIGEST.search(rest):  # of an image, with an @ of its own
        login, at, place = _split_login(rest[: digest.start()])
        return login, at, place + digest[0]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2]
    odd = ":" in authority and not port.isdigit() and not authority.startswith("[")
    where = (rest if odd else authority).rfind("@")
    return (rest[:where], "@", rest[where + 1 :]) if where >= 0 else ("", "", rest)


def has_login(address: str) -> bool:
    """Whether a user or a password stands in the address."""
    return bool(_split_login(address.partition("://")[2])[1])
