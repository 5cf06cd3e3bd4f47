"""Wheels and archives: checked, cached, unpacked by rule, and nothing of a hostile archive gets out."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.adapters import fetch, unpack
from builder.adapters.fetch import can_fetch, fetch_archive, fetch_tree, fetch_wheel, is_cached
from builder.adapters.unpack import unpack_tar, unpack_wheel
from builder.adapters.urls import Unreachable, open_url
from builder.errors import ConfigError, HostError
from builder.model import ArchiveSource, UnpackRule, WheelSource

ALL = (UnpackRule(source="", target="/opt/x"),)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/down":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/x")
            self.end_headers()
        elif self.path == "/login":
            self.send_response(302)
            self.send_header("Location", f"http://me:geheim@{self.headers['Host']}/x")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "www"
    folder.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=partial(httpd.serve_forever, 0.02), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", folder
    httpd.shutdown()
    httpd.server_close()


def make_tar(*members: tuple[str, bytes | str], kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> bytes:
    """A tar of files (bytes) and symlinks (str)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(content, str):
                info.type, info.linkname = (tarfile.SYMTYPE if kind == tarfile.REGTYPE else kind), content
                archive.addfile(info)
            else:
                info.type, info.size = kind, len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def make_wheel(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def source_of(location: str, tar: bytes, *, strip: int = 0) -> ArchiveSource:
    digest = hashlib.sha256(tar).hexdigest()
    return ArchiveSource(location=location, sha256=digest, strip=strip, unpack=ALL, fallback=None)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
def test_an_archive_is_fetched_decompressed_and_unpacked(
    tmp_path: Path, server: tuple[str, Path], pack: type[bytes]
) -> None:
    url, folder = server
    tar = make_tar(("top/bin/run", b"#!"), ("top/link", "bin/run"), mode=0o755)
    (folder / "x.tar").write_bytes(pack(tar))
    seen: list[tuple[int, int]] = []
    source = source_of(f"{url}/x.tar", tar, strip=1)
    cache = tmp_path / "cache"
    assert not is_cached(source, arch="amd64", cache=cache)
    tree = fetch_tree(source, arch="amd64", cache=cache, on_progress=lambda done, total: seen.append((done, total)))
    assert (tree.root / "opt/x/bin/run").read_bytes() == b"#!"
    assert (tree.root / "opt/x/bin/run").stat().st_mode & 0o777 == 0o755
    assert str((tree.root / "opt/x/link").readlink()) == "bin/run"
    assert seen[-1] == (len(pack(tar)), len(pack(tar)))
    assert is_cached(source, arch="amd64", cache=cache)
    assert list((cache / "tmp").iterdir()) == []


def test_what_is_cached_needs_no_source(tmp_path: Path) -> None:
    tar = make_tar(("a", b"1"))
    file = tmp_path / "a.tar"
    file.write_bytes(tar)
    source = source_of(str(file), tar)
    first = fetch_tree(source, arch="amd64", cache=tmp_path / "cache")
    file.unlink()
    assert fetch_tree(source, arch="amd64", cache=tmp_path / "cache") == first
    assert can_fetch(source, cache=tmp_path / "cache") is None
    assert can_fetch(source, cache=tmp_path / "empty") == "no such file"


def test_a_wrong_checksum_is_an_error_and_not_unreachable(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(make_tar(("a", b"1")))
    with pytest.raises(HostError, match="as pinned") as caught:
        fetch_archive(source_of(str(file), b"other"), cache=tmp_path / "cache")
    assert not isinstance(caught.value, Unreachable)
    assert not (tmp_path / "cache/archives").exists()


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "/no/such/file"])
def test_what_cannot_be_reached_says_so(tmp_path: Path, location: str) -> None:
    with pytest.raises(Unreachable):
        fetch_archive(source_of(location, b""), cache=tmp_path)
    assert can_fetch(source_of(location, b""), cache=tmp_path)


def test_a_missing_page_is_unreachable(tmp_path: Path, server: tuple[str, Path]) -> None:
    with pytest.raises(Unreachable, match="404"):
        fetch_archive(source_of(f"{server[0]}/none", b""), cache=tmp_path)


def test_http_is_for_loopback_only_and_redirects_keep_to_it(server: tuple[str, Path]) -> None:
    with pytest.raises(ConfigError, match="http"), open_url("http://192.0.2.1/x", timeout_s=1):
        pass
    with pytest.raises(Unreachable, match="less safe"), open_url(f"{server[0]}/down", timeout_s=1):
        pass


def test_an_address_with_a_password_is_not_asked_and_not_shown(server: tuple[str, Path]) -> None:
    for url in (server[0].replace("//", "//me:geheim@"), f"{server[0]}/login", "http://me:geheim@127.0.0.1:x/"):
        with pytest.raises(Unreachable) as caught, open_url(url, timeout_s=2):
            pass
        assert "password" in str(caught.value)
        assert "geheim" not in str(caught.value)


def test_a_proxy_address_that_is_none_is_not_shown(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:geheim")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(Unreachable) as caught, open_url(server[0], timeout_s=2):
        pass
    assert "geheim" not in str(caught.value)


def test_limits_hold_for_downloads_and_for_what_they_unpack_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes(4 << 20))
    file = tmp_path / "bomb.tar.gz"
    file.write_bytes(bomb)
    monkeypatch.setattr(fetch, "MAX_TAR", 1 << 20)
    with pytest.raises(HostError, match="unpacks to more"):
        fetch_archive(source_of(str(file), b""), cache=tmp_path / "cache")
    monkeypatch.setattr(fetch, "MAX_DOWNLOAD", 100)
    with pytest.raises(HostError, match="larger than"):
        fetch_archive(source_of(str(file), b""), cache=tmp_path / "cache")


@pytest.mark.parametrize(
    "tar",
    [
        make_tar(("../out", b"x")),
        make_tar(("/abs", b"x")),
        make_tar(("a/../../out", b"x")),
        make_tar(("a\\b", b"x")),
        make_tar(("new\nline", b"x")),
        make_tar(("link", "/etc/passwd")),
        make_tar(("link", "../../etc/passwd")),
        make_tar(("hard", "etc"), kind=tarfile.LNKTYPE),
        make_tar(("pipe", b""), kind=tarfile.FIFOTYPE),
        make_tar(("device", b""), kind=tarfile.CHRTYPE),
        make_tar(("twice", b"1"), ("twice", b"2")),
        make_tar(("d", "e"), ("d/inside", b"1"), ("e/f", b"2")),
        make_tar(("a", b"1"), ("a/b", b"2")),
        b"no tar at all" * 100,
    ],
)
def test_hostile_archives_are_refused_and_write_nothing_outside(tmp_path: Path, tar: bytes) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(tar)
    cache = tmp_path / "cache"
    with pytest.raises(HostError):
        fetch_tree(source_of(str(file), tar), arch="amd64", cache=cache)
    assert {path.name for path in tmp_path.iterdir()} == {"x.tar", "cache"}
    assert list((cache / "tmp").iterdir()) == []
    assert not (cache / "trees").exists()


def test_an_archive_with_too_much_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(make_tar(("a", b"1"), ("b", b"2")))
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 1)
    with pytest.raises(HostError, match="holds more than"):
        unpack_tar(file, ALL, tmp_path / "out")


def test_rules_choose_what_is_unpacked_and_keep_exec_bits(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path / "x.whl",
        ("x/bin/node", b"elf", 0o100755),
        ("x/lib/a.js", b"a", 0o100664),
        ("x/include/n.h", b"h", 0o100644),
        ("x-1.data/scripts/tool", b"#!", 0o100755),
    )
    rules = (
        UnpackRule(source="x/bin/node", target="/opt/node/bin/node"),
        UnpackRule(source="x/lib", target="/opt/node/lib"),
        UnpackRule(source="x-1.data/scripts", target="/usr/local/bin"),
    )
    assert unpack_wheel(wheel, rules, tmp_path / "out") == (3, 6)
    modes = {
        str(path.relative_to(tmp_path / "out")): path.stat().st_mode & 0o777
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert modes == {"opt/node/bin/node": 0o755, "opt/node/lib/a.js": 0o644, "usr/local/bin/tool": 0o755}


def test_a_rule_that_finds_nothing_is_an_error(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", ("x/a", b"", 0o100644))
    with pytest.raises(HostError, match="holds no x/b"):
        unpack_wheel(wheel, (UnpackRule(source="x/b", target="/b"),), tmp_path / "out")


@pytest.mark.parametrize(("name", "mode"), [("../out", 0o100644), ("link", 0o120777), ("/abs", 0o100644)])
def test_hostile_wheels_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    wheel = make_wheel(tmp_path / "x.whl", (name, b"etc", mode))
    with pytest.raises(HostError):
        unpack_wheel(wheel, ALL, tmp_path / "out")


def test_a_wheel_is_fetched_by_pip_from_where_its_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    wheel = make_wheel(
        links / "devbox_try-1.0-py3-none-any.whl",
        ("devbox_try/__init__.py", b"", 0o100644),
        ("devbox_try-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: devbox-try\nVersion: 1.0\n", 0o100644),
        ("devbox_try-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nTag: py3-none-any\n", 0o100644),
    )
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    rules = (UnpackRule(source="devbox_try", target="/opt/try"),)
    source = WheelSource(requirement="devbox-try==1.0", sha256={"any": digest}, unpack=rules)
    found = fetch_wheel(source, arch="arm64", cache=tmp_path / "cache")
    assert found == tmp_path / "cache/wheels" / digest / wheel.name
    other = WheelSource(requirement="devbox-try==1.0", sha256={"any": "0" * 64}, unpack=rules)
    with pytest.raises(HostError, match="another file") as caught:
        fetch_wheel(other, arch="amd64", cache=tmp_path / "cache")
    assert not isinstance(caught.value, Unreachable)
    wheel.unlink()
    assert (fetch_tree(source, arch="arm64", cache=tmp_path / "cache").root / "opt/try/__init__.py").is_file()
    with pytest.raises(Unreachable):
        fetch_wheel(other, arch="amd64", cache=tmp_path / "cache")


def test_a_wheel_for_another_architecture_only_is_an_error(tmp_path: Path) -> None:
    source = WheelSource(requirement="x==1", sha256={"amd64": "0" * 64}, unpack=ALL)
    with pytest.raises(HostError, match="only for amd64"):
        fetch_tree(source, arch="arm64", cache=tmp_path)
