"""Certificates that devbox.yaml asks to install (`ca_bundle.install`), as files of the image.

Pure: bytes come in, files go out. Their content enters the id of the image as that of every file does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from builder.model import RenderedFile

if TYPE_CHECKING:
    from builder.model import RenderedTree, Resolved

PART: Final = "own-ca"  # of images/rootfs
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN (?P<kind>(?:TRUSTED )?CERTIFICATE)-----.+?-----END (?P=kind)-----", re.DOTALL
)


def add_authorities(
    rootfs: Mapping[str, RenderedFile], resolved: Resolved, read_bundle: Callable[[], bytes]
) -> Mapping[str, RenderedFile]:
    """`rootfs` with the certificates, where this workstation takes that part."""
    if not any(PART in tool.rootfs for tool in resolved.tools):
        return rootfs
    return {**rootfs, **make_authorities(read_bundle())}


def make_authorities(bundle: bytes) -> RenderedTree:
    """All in one file for what reads a bundle, and each in a file of its own, since update-ca-certificates(8) wants
    them so. Comments of the bundle, its order and what it holds twice make no other image."""
    found = sorted({match[0].replace(b"\r\n", b"\n") + b"\n" for match in _CERTIFICATE.finditer(bundle)})
    shared = f"{PART}/usr/local/share"
    each = {
        f"{shared}/ca-certificates/devbox-{number:02}.crt": RenderedFile(data=one)
        for number, one in enumerate(found, start=1)
    }
    return {f"{shared}/devbox-ca.pem": RenderedFile(data=b"".join(found)), **each}
