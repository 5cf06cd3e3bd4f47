"""Text that goes to strangers: without credentials, without known secrets, without the person's name. Pure.

`redaction` takes out what looks like a credential anywhere; here the secrets themselves are known, and what somebody
may learn of the person is replaced. Must not look for secrets: that is `adapters.known_secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from builder.redaction import MASK, redact

if TYPE_CHECKING:
    from builder.core.canonical import Plain

Scrub = Callable[[str], str]

MIN_SECRET: Final = 6  # a shorter one would be found in every other word
GENERAL: Final = frozenset({"root", "dev", "user", "devbox", "localhost"})  # names that tell nobody who somebody is
NAME_OF_ONE: Final = (
    r"[A-Za-z0-9_.-]*(?:"
    r"(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL)[A-Za-z0-9_]*"
    r"|_(?:PAT|PWD|PASS)(?![A-Za-z0-9_]))"  # as the last word: PWD alone is a shell's current folder
)
# No secrets, whatever their names: a path says where, a small number how many.
_PATH: Final = r"(?:~|\.\.?|/(?:dev|etc|home|mnt|opt|proc|root|run|srv|sys|tmp|usr|var|workspace))/"
_WORD: Final = r"(?:\d{1,5}|none|null|true|false)"
# As a variable (NAME=value) and as YAML or JSON ("name": "value", also inside a string). In quotes up to the closing
# one, over the lines of a folded YAML string too; without them up to a blank, and after a colon to a comma at the end.
_NAMED: Final = re.compile(
    rf"""(?P<head>(?<![A-Za-z0-9_.-]){NAME_OF_ONE}(?:=|\\*["']:[ \t]*|:[ \t]+)(?P<quote>\\*["'])?)"""
    rf"""(?!{_PATH}|{_WORD}(?(quote)\\*["']|(?:[\s"',;)}}\]\\]|$)))(?:"""
    r"""(?<=\\["'])(?:[^\\\n]|\\(?!\\*["']))+"""
    r"""|(?<=[^\\]")(?:[^"\\\n]|\\[\s\S]|\n[ \t])+"""
    r"""|(?<=[^\\]')(?:[^'\n]|''|\n[ \t])+"""
    r"""|(?<==)(?!\\*["']|\*\*\*[&#])[^\s"']+"""
    r"""|(?<=[: \t])(?!\\*["'])[^\s"'{}\[\]]*[^\s"'{}\[\],])""",
    re.I,
)


def make_scrubber(secrets: Iterable[str], names: Mapping[str, str]) -> Scrub:
    """A function that takes `secrets` out of a text, and puts something general in the place of `names`."""
    known = sorted({secret for secret in secrets if len(secret) >= MIN_SECRET}, key=len, reverse=True)
    replaced = {name: general for name, general in names.items() if len(name) > 2 and name not in GENERAL}
    longest = sorted(replaced, key=len, reverse=True)
    masked = re.compile("|".join(map(re.escape, known))) if known else None
    named = re.compile(rf"(?<![\w])(?:{'|'.join(map(re.escape, longest))})(?!\w)") if longest else None

    def scrub(text: str) -> str:
        text = redact(text)
        if masked:
            text = masked.sub(MASK, text)
        text = _NAMED.sub(lambda match: match["head"] + MASK, text)
        return named.sub(lambda match: replaced[match[0]], text) if named else text

    return scrub


def is_secret(name: str, value: str) -> bool:
    """By the name of a variable or key, unless the value says that it is none."""
    named = value and re.fullmatch(NAME_OF_ONE, name, re.I)
    return bool(named and not re.match(rf"{_PATH}|{_WORD}\Z", value, re.I))


def scrub_plain(value: Plain, scrub: Scrub) -> Plain:
    """Text by text, before it is JSON: a mask over its quotes would end in no JSON at all."""
    match value:
        case str():
            name, _, rest = value.partition("=")
            return f"{name}={MASK}" if is_secret(name, rest) else scrub(value)
        case dict():
            return {scrub(key): _scrub_item(key, item, scrub) for key, item in value.items()}
        case list():
            return [scrub_plain(item, scrub) for item in value]
    return value


def _scrub_item(key: str, value: Plain, scrub: Scrub) -> Plain:
    return MASK if isinstance(value, str) and is_secret(key, value) else scrub_plain(value, scrub)
