"""The keys of devbox.yaml about where packages come from: `apt`, `mirrors`, `ca_bundle`.

Owns their shape, and the checks that need no base and no catalogue. No key takes a password: proxies, which want one,
are this machine's own settings.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, model_validator

from builder.core.fields import AptPackages, HostPath, ImageMirror, Url, UrlPattern
from builder.core.problems import shown
from builder.core.validation import Section, Switch, Text, wrong

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

# The first moments that the services of snapshots have, by distribution. Sources: their own pages.
OLDEST: Final = {"debian": "20050312T000000Z", "ubuntu": "20230301T000000Z"}


def _moment(text: str) -> str:
    """A day stands for its first second."""
    full = f"{text.replace('-', '')}T000000Z" if "T" not in text else text
    parts = (full[:4], full[4:6], full[6:8], full[9:11], full[11:13], full[13:15])
    year, month, day, hour, minute, second = map(int, parts)
    there = year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    if not there or hour > 23 or minute > 59 or second > 59:
        raise wrong(f"{shown(text)} is no moment", "write the day as 2024-01-15, or 20240115T120000Z")
    return full


Moment = Annotated[
    str,
    Text("a moment in UTC", r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}T[0-9]{6}Z", 16, "2024-01-15 or 20240115T120000Z"),
    AfterValidator(_moment),
]


def _with_timestamp(url: str) -> str:
    if "{timestamp}" not in url:
        raise wrong(
            f"{shown(url)} has no {{timestamp}}", "that is where the moment goes: https://host/debian/{timestamp}"
        )
    return url


SnapshotUrl = Annotated[UrlPattern, AfterValidator(_with_timestamp)]


class AptChoice(Section):
    """More packages of the distribution, and the moment that all are taken of. A plain list is the packages."""

    packages: AptPackages = Field(default=(), max_length=500)
    snapshot: Moment | None = None

    @classmethod
    def expand(cls, value: object) -> object:
        return value if isinstance(value, Mapping) else {"packages": value}

    @classmethod
    def short_schema(cls, keys: Mapping[str, JsonSchemaValue]) -> list[JsonSchemaValue]:
        return [keys["packages"]]


class AptMirrors(Section):
    debian: Url | None = None
    ubuntu: Url | None = None


class SnapshotMirrors(Section):
    """Addresses with {timestamp}, and with {archive} where security updates are an archive of their own."""

    debian: SnapshotUrl | None = None
    ubuntu: SnapshotUrl | None = None


class Mirrors(Section):
    """Where things come from in place of the places that apt, pip, npm, tools and the engine know themselves."""

    apt: AptMirrors = AptMirrors()
    pypi: Url | None = None
    npm: Url | None = None
    archives: UrlPattern | None = None
    images: ImageMirror | None = None
    snapshot: SnapshotMirrors = SnapshotMirrors()


class CaBundle(Section):
    """Certificates to trust while the image is made. A plain text is the path; inside only when asked."""

    short_form: ClassVar[str | None] = "path"
    path: HostPath | None = None
    install: Switch = False

    @model_validator(mode="after")
    def _names_what_is_installed(self) -> CaBundle:
        """What a machine happens to trust would make another image on each."""
        if self.install and self.path is None:
            raise wrong("`install` needs a `path`", "name the file: {path: ./ca.pem, install: true}")
        return self


def through_mirror(url: str, prefix: str | None) -> str:
    """The address of an archive at the mirror: its path behind the prefix, in which {host} is the host's name."""
    found = re.fullmatch(r"https?://([^/]+)(/.*)?", url)
    if prefix is None or found is None:
        return url
    return prefix.replace("{host}", found[1]).rstrip("/") + (found[2] or "/")


def through_registry(image: str, prefix: str | None) -> str:
    """The name of an image at the mirror; one that names its registry is left alone. Official ones are in `library`."""
    first, slash, _ = image.partition("/")
    if prefix is None or (slash and (first == "localhost" or re.search(r"[.:]", first))):
        return image
    return f"{prefix}/{image if slash else f'library/{image}'}"
