"""Runs inside a workstation as root: makes every odd file there is, or describes what is there, one line a file.

Knows nothing of the manifest that it is there to check: another look at the same files.
"""

import hashlib
import json
import os
import sys

MANY = 10_000


def make(root: str) -> None:
    os.makedirs(root)
    os.chdir(root)
    for number in range(MANY):
        folder = f"many/{number % 50:02}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number}", "w") as file:
            file.write(f"{number}\n" * (number % 200))
    names = (
        b"-rf",
        b"new\nline",
        "\U0001f427".encode(),
        b"n" * 255,
        b"latin-\xe9",
        b"latin-\xe8",
        b" blank ",
        b"$(id)",
    )
    for odd in (*names, b'"', b"\\", b"%s", b"*"):
        with open(odd, "wb") as binary:
            binary.write(odd)
    os.makedirs("empty/inner")
    os.symlink("nowhere", "dangling")
    os.symlink("/etc/passwd", "absolute")
    os.symlink("empty", "to-a-folder")
    os.symlink(b"latin-\xe9", b"to-latin-\xe9")
    os.mkfifo("pipe", 0o620)
    for name in ("one", "setuid", "setgid", "none", "foreign"):
        with open(name, "w") as file:
            file.write(name)
    os.link("one", "two")
    os.link("one", "empty/three")
    os.link(b"latin-\xe9", b"empty/twin-\xe9")
    os.makedirs("sticky")
    os.makedirs("closed")
    with open("closed/in", "w") as file:
        file.write("in")
    os.chown("foreign", 4321, 1234)
    os.chown("closed", 65534, 65534)
    os.chown("dangling", 4321, 1234, follow_symlinks=False)
    modes = {"setuid": 0o4755, "setgid": 0o2751, "none": 0, "sticky": 0o1777, "closed": 0, "pipe": 0o621}
    for name, mode in modes.items():
        os.chmod(name, mode)
    os.setxattr("one", "user.note", b"\x00\xff kept")
    os.setxattr("empty", "user.of-a-folder", b"1")
    with open("sparse", "wb") as binary:
        binary.truncate(64 << 20)
        binary.seek(32 << 20)
        binary.write(b"island")
    for number, odd in enumerate((b"one", b"dangling", b"pipe", b"setuid", b"empty", b"to-latin-\xe9")):
        os.utime(odd, ns=(10**18, 10**18 + 123_456_789 + number), follow_symlinks=False)


def describe(root: str) -> None:
    pending = [os.fsencode(root)]
    while pending:
        path = pending.pop()
        told = os.lstat(path)
        shape = oct(told.st_mode), told.st_uid, told.st_gid, told.st_mtime_ns, told.st_nlink
        link = os.readlink(path) if os.path.islink(path) else b""
        xattrs = {
            name: os.getxattr(path, name, follow_symlinks=False).hex()
            for name in os.listxattr(path, follow_symlinks=False)
        }
        content = ""
        if os.path.isfile(path) and not link:
            with open(path, "rb") as file:
                content = hashlib.blake2b(file.read()).hexdigest()
        holes = told.st_blocks * 512 < told.st_size
        print(json.dumps([path.hex(), shape, link.hex(), xattrs, content, holes, twins(path)]))
        if os.path.isdir(path) and not link:
            pending += sorted(os.path.join(path, name) for name in os.listdir(path))


def twins(path: bytes) -> list[str]:
    """Which of those that are hard links here are this very file."""
    group = (b"one", b"two", b"empty/three", b"latin-\xe9", b"empty/twin-\xe9")
    there = [(name, os.path.join(os.fsencode(sys.argv[2]), name)) for name in group]
    return [name.hex() for name, other in there if os.path.lexists(other) and same(path, other)]


def same(path: bytes, other: bytes) -> bool:
    return os.path.samestat(os.lstat(path), os.lstat(other))


{"make": make, "describe": describe}[sys.argv[1]](sys.argv[2])
