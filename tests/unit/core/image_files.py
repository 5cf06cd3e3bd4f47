"""A small image as files: packages of all kinds, as dpkg, npm and pip leave them, and files of nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from builder.core.contents import Contents, read_contents
from builder.model import ImageFile
from builder.views import ImageView

STATUS = """\
Package: base-files
Essential: yes
Status: install ok installed
Architecture: amd64
Maintainer: Santiago Vila <sanvila@debian.org>
Version: 12.4+deb12u12
Homepage: not an address
Description: Debian base system miscellaneous files
 This package contains the basic filesystem hierarchy.
 Package: this line is text

Package: libfoo1
Status: install ok installed
Architecture: amd64
Source: foo (1:2.0-1)
Maintainer: Foo Maintainers <foo@example.org>
Version: 1:2.0-1+b1
Homepage: https://example.org/foo
Provides: libfoo-abi (= 1)
Pre-Depends: base-files

Package: foo
Status: install ok triggers-pending
Architecture: all
Version: 1:2.0-1
Depends: libfoo-abi (>= 1) | nothing, missing | base-files:any

Package: gone
Status: deinstall ok config-files
Version: 1
"""
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+ or Artistic, and Expat

Files: debian/*
License: Expat
 Permission is hereby granted ...
"""
LEFT = "opt/left/lib/node_modules/left"
TEXTS: Mapping[str, str] = {
    "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/libfoo1:amd64.list": "/.\n/lib/libfoo.so.1\n/usr/lib/python3/foo.py\n",
    "var/lib/dpkg/info/libfoo1:amd64.md5sums": "",
    "var/lib/dpkg/info/format": "1",
    "usr/share/doc/libfoo1/copyright": COPYRIGHT,
    "usr/share/doc/base-files/copyright": "This is free software, do what you like.\n",
    "usr/lib/libfoo.so.1": "code",
    "usr/lib/python3/__pycache__/foo.cpython-311.pyc": "bytecode",
    f"{LEFT}/package.json": '{"name": "left", "version": "1.0.0", "license": "MIT", '
    '"author": {"name": "A", "email": "a@b.c"}}',
    f"{LEFT}/index.js": "left()",
    f"{LEFT}/dist/esm/package.json": '{"type": "module"}',
    f"{LEFT}/node_modules/@scope/right/package.json": '{"name": "@scope/right", "version": "2.0.0-rc.1", '
    '"licenses": [{"type": "ISC"}, {"type": "Own"}], "homepage": "https://example.org/right"}',
    f"{LEFT}/node_modules/@scope/right/node_modules/left/package.json": '{"name": "left", "version": "1.0.0"}',
    f"{LEFT}/node_modules/@scope/right/node_modules/broken/package.json": "{",
    "opt/tool/lib/python3.11/site-packages/Foo_Bar-1.2.dist-info/METADATA": "Metadata-Version: 2.4\nName: Foo_Bar\n"
    "Version: 1.2\nLicense-Expression: MIT OR Apache-2.0\nAuthor-email: A <a@b.c>, B <b@b.c>\n\nName: of the text\n",
    "opt/tool/lib/python3.11/site-packages/Foo_Bar-1.2.dist-info/RECORD": "foo_bar.py,sha256=x,1\n../../../bin/foo,,\n"
    "Foo_Bar-1.2.dist-info/METADATA,,\nFoo_Bar-1.2.dist-info/RECORD,,\n",
    "opt/tool/lib/python3.11/site-packages/foo_bar.py": "pass",
    "opt/tool/lib/python3.11/site-packages/__pycache__/foo_bar.cpython-311.pyc": "bytecode",
    "opt/tool/bin/foo": "#!/bin/sh",
    "usr/lib/python3/dist-packages/old.egg-info/PKG-INFO": "Name: old\nVersion: 0.1\nLicense: UNKNOWN\n"
    "Classifier: License :: OSI Approved :: BSD License\n",
    "usr/lib/python3/dist-packages/single-3.egg-info": "Name: single\nVersion: 3\n",
    "opt/node/bin/node": "node.js/v18.18.2",
    "usr/lib/devbox/init": "#!/bin/sh",
}
LINKS = {"etc/os-release": "../usr/lib/os-release", "usr/share/doc/foo": "libfoo1"}
LABELS = {
    "dev.devbox.plan": "870f",
    "dev.devbox.base": "debian-12",
    "dev.devbox.steps": '{"base":["b51b","debian-12"]}',
    "maintainer": "nobody",
}
ASKED = {
    "dev.devbox.requested-base": "ubuntu-22.04",
    "dev.devbox.substitutions": '[{"got":"debian-12","reason":"it cannot be pulled","wanted":"ubuntu-22.04",'
    '"what":"base"}]',
    "dev.devbox.workspace": "/home/me/my-app",
}
IMAGE = ImageView(
    id=f"sha256:{'ab' * 32}", tags=("devbox/workstation:870f",), digests=(), labels=LABELS, size=1,
    created="2026-11-25T15:56:32.972197608Z", env={}, arch="amd64",
)  # fmt: skip


def make_files(texts: Mapping[str, str] = TEXTS) -> list[ImageFile]:
    found = [
        ImageFile(
            path=path,
            size=len(text),
            sha1=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            data=text.encode(),
        )
        for path, text in texts.items()
    ]
    return [*found, *(ImageFile(path=path, link=target) for path, target in LINKS.items())]


def make_contents() -> Contents:
    return read_contents(make_files())
