"""What apt's settings name, what a mirror offers, and when a base can be bootstrapped; no network but loopback."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.adapters.aptsources import (
    Mirrors,
    check_known,
    find_mirrors,
    find_snapshots,
    parse_deb822,
    parse_one_line,
    probe_archives,
)
from builder.adapters.bootstrap import _leave_out_script, _own_sources_script, bootstrap_base, can_bootstrap
from builder.adapters.urls import Unreachable
from builder.errors import HostError
from builder.model import Base

BASE = Base(
    name="debian-12",
    distribution="debian",
    codename="bookworm",
    image="debian:12-slim",
    components=("main",),
    keyring="debian-archive-keyring.gpg",
    python="3.11",
    substitute=None,
)
INRELEASE = """-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: {origin}
Suite: stable
Codename: {suite}
Date: Sat, 06 Sep 2025 08:09:08 UTC
{more}MD5Sum:
 0 0 main
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def publish(folder: Path, suite: str, *, origin: str = "Debian", more: str = "") -> None:
    file = folder / "dists" / suite / "InRelease"
    file.parent.mkdir(parents=True)
    file.write_text(INRELEASE.format(origin=origin, suite=suite, more=more))


def settings(tmp_path: Path, **files: str) -> Callable[[str], Mirrors]:
    """Mirrors of a distribution on a machine with these files in sources.list.d."""
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        (folder / "sources.list.d" / name.replace("_", ".")).write_text(text)
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    return lambda distribution: find_mirrors(distribution, folder=folder, os_release=release)


def test_one_line_entries_are_read_with_options_and_comments() -> None:
    text = "# deb x y z\ndeb-src http://a b c\n"
    text += "deb [arch=amd64 signed-by=/k.gpg] http://a/debian bookworm main contrib # mine\n"
    (entry,) = parse_one_line(text)
    assert (entry.uri, entry.suite, entry.components, entry.signed_by) == (
        "http://a/debian",
        "bookworm",
        ("main", "contrib"),
        "/k.gpg",
    )


def test_deb822_stanzas_give_one_entry_for_each_uri_and_suite() -> None:
    text = "Types: deb\n# a comment\nURIs: http://a/debian http://b/debian\nSuites: x x-updates\nComponents: main\n"
    assert [(entry.uri, entry.suite) for entry in parse_deb822(text)] == [
        ("http://a/debian", "x"),
        ("http://a/debian", "x-updates"),
        ("http://b/debian", "x"),
        ("http://b/debian", "x-updates"),
    ]


def test_disabled_and_source_only_stanzas_are_left_out() -> None:
    text = "Types: deb\nEnabled: no\nURIs: http://a\nSuites: x\n\nTypes: deb-src\nURIs: http://b\nSuites: x\n"
    assert list(parse_deb822(text)) == []


def test_mirrors_are_the_hosts_own_and_no_third_partys(tmp_path: Path) -> None:
    mirrors_of = settings(
        tmp_path,
        debian_sources="Types: deb\nURIs: http://m/debian/\nSuites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb\nURIs: http://m/debian-security\nSuites: bookworm-security\nComponents: main\n",
        other_list="deb http://third/repo stable main\ndeb http://docker.example/linux/debian bookworm stable\n",
    )
    assert mirrors_of("debian") == Mirrors(main=("http://m/debian",), security=("http://m/debian-security",))
    assert mirrors_of("ubuntu") == Mirrors(main=(), security=())


def test_mirror_lists_of_cloud_images_are_followed(tmp_path: Path) -> None:
    listed = tmp_path / "debian.list"
    listed.write_text("http://near/debian\tpriority:1\n")
    mirrors_of = settings(tmp_path, debian_list=f"deb mirror+file:{listed} bookworm main\n")
    assert mirrors_of("debian").main == ("http://near/debian",)


def test_a_configured_mirror_replaces_the_hosts() -> None:
    assert find_mirrors("ubuntu", override="http://mine/ubuntu").main == ("http://mine/ubuntu",)


def test_security_updates_of_a_configured_mirror_are_looked_for_beside_it() -> None:
    assert find_mirrors("debian", override="http://mine/debian/").security == (
        "http://mine/debian-security",
        "http://mine/debian",
    )
    assert find_mirrors("ubuntu", override="http://mine/ubuntu").security == ("http://mine/ubuntu",)


MOMENT = "20240115T120000Z"


def test_snapshots_come_from_the_configured_service_with_security_updates_of_the_same_moment() -> None:
    pattern = "https://snap/archive/{archive}/{timestamp}/"
    found = find_snapshots(BASE, MOMENT, Mirrors(main=(), security=(), ca=b"CA"), pattern=pattern)
    assert found == Mirrors(
        main=(f"https://snap/archive/debian/{MOMENT}",),
        security=(f"https://snap/archive/debian-security/{MOMENT}",),
        dated=True,
        ca=b"CA",
    )


def test_a_machine_that_uses_snapshots_itself_has_the_service_in_its_own_settings() -> None:
    own = Mirrors(main=("http://snap/debian/20230101T000000Z",), security=("http://snap/sec/20230202T000000Z",))
    found = find_snapshots(BASE, MOMENT, own)
    assert (found.main, found.security) == ((f"http://snap/debian/{MOMENT}",), (f"http://snap/sec/{MOMENT}",))


def test_a_mirror_can_say_where_its_snapshots_are(mirror: tuple[str, Path]) -> None:
    uri, folder = mirror
    publish(folder, "bookworm", more="Snapshots: http://snap/debian/@SNAPSHOTID@/\n")
    publish(folder, "bookworm-security", more="Snapshots: no\n")
    found = find_snapshots(BASE, MOMENT, Mirrors(main=(uri,), security=(uri,)))
    assert (found.main, found.security, found.dated) == ((f"http://snap/debian/{MOMENT}",), (), True)


def test_where_nobody_knows_a_service_of_snapshots_the_key_is_named(mirror: tuple[str, Path]) -> None:
    uri, folder = mirror
    publish(folder, "bookworm")
    with pytest.raises(HostError, match="no service of snapshots of Debian is known here") as caught:
        find_snapshots(BASE, MOMENT, Mirrors(main=(uri,), security=()))
    assert "mirrors: {snapshot: {debian: https://.../{timestamp}}}" in (caught.value.hint or "")


def test_a_snapshot_may_be_older_than_its_index_promised(mirror: tuple[str, Path]) -> None:
    uri, folder = mirror
    publish(folder / MOMENT, "bookworm", more="Valid-Until: Sat, 13 Sep 2025 08:09:08 UTC\n")
    found = find_snapshots(BASE, MOMENT, Mirrors(main=(), security=()), pattern=f"{uri}/{{timestamp}}")
    archives = probe_archives(BASE, found)
    assert archives.lines == (f"deb {uri}/{MOMENT} bookworm main",)
    assert archives.dated


def test_archives_have_updates_and_security_where_the_mirror_has_them(mirror: tuple[str, Path]) -> None:
    uri, folder = mirror
    for suite in ("bookworm", "bookworm-updates"):
        publish(folder, suite)
    archives = probe_archives(BASE, Mirrors(main=(uri,), security=()))
    assert archives.lines == (f"deb {uri} bookworm main", f"deb {uri} bookworm-updates main")
    assert archives.epoch == 1757146148
    assert len(archives.notes) == 1
    assert "bookworm-security is left out" in archives.notes[0]


def test_an_archive_of_another_origin_is_passed_over(mirror: tuple[str, Path]) -> None:
    uri, folder = mirror
    publish(folder, "bookworm", origin="LP-PPA-somebody")
    with pytest.raises(Unreachable, match="archive of LP-PPA-somebody"):
        probe_archives(BASE, Mirrors(main=(uri,), security=()))


def test_an_expired_index_is_left_out_with_a_note(mirror: tuple[str, Path]) -> None:
    uri, folder = mirror
    publish(folder, "bookworm")
    publish(folder, "bookworm-security", more="Valid-Until: Sat, 13 Sep 2025 08:09:08 UTC\n")
    archives = probe_archives(BASE, Mirrors(main=(uri,), security=(uri,)))
    assert any("out of date" in note for note in archives.notes)


def test_no_mirror_is_an_error_with_a_hint() -> None:
    with pytest.raises(HostError, match="no mirror of Debian"):
        check_known(BASE, Mirrors(main=(), security=()))


def test_can_bootstrap_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Mirrors(main=("http://127.0.0.1:1",), security=())
    monkeypatch.setattr("builder.adapters.bootstrap.shutil.which", lambda name, path=None: None)
    assert "mmdebstrap" in (can_bootstrap(BASE, mirrors=known, keyring_folder=tmp_path) or "")
    monkeypatch.setattr("builder.adapters.bootstrap.shutil.which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr("builder.adapters.bootstrap.os.geteuid", lambda: 0)
    assert "keyring" in (can_bootstrap(BASE, mirrors=known, keyring_folder=tmp_path) or "")
    (tmp_path / BASE.keyring).touch()
    assert "cannot be reached" in (can_bootstrap(BASE, mirrors=known, keyring_folder=tmp_path) or "")


def test_a_failed_bootstrap_shows_its_tail_and_leaves_nothing(
    tmp_path: Path, mirror: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, folder = mirror
    publish(folder, "bookworm")
    program = tmp_path / "mmdebstrap"
    program.write_text('#!/bin/sh\necho half > "$TMPDIR/half"\necho E: no luck >&2\nexit 25\n')
    program.chmod(0o755)
    keyring = tmp_path / BASE.keyring
    keyring.touch()
    monkeypatch.setattr("builder.adapters.bootstrap._find_program", lambda: program)
    target = tmp_path / "out" / "base.tar"
    heard: list[str] = []
    with pytest.raises(HostError) as caught:
        bootstrap_base(
            BASE,
            arch="amd64",
            mirrors=Mirrors(main=(uri,), security=()),
            keyring_folder=tmp_path,
            target=target,
            on_line=heard.append,
        )
    assert caught.value.detail == "E: no luck"
    assert heard == ["E: no luck"]
    assert list(target.parent.iterdir()) == []


def test_what_the_first_packages_bring_of_documents_is_taken_away_but_for_licences(tmp_path: Path) -> None:
    share = tmp_path / "usr/share"
    kept = {"doc/a/copyright", "locale/locale.alias", "perl/man/file"}
    for name in (*kept, "doc/a/README", "doc/a/examples/one", "info/dir", "locale/de/x.mo", "man/man1/ls.1"):
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).touch()
    (share / "doc/b").symlink_to("a")
    subprocess.run(["sh", "-c", _leave_out_script(), "exec", str(tmp_path)], check=True)  # as mmdebstrap does
    left = {str(path.relative_to(share)) for path in share.rglob("*")}
    assert left == {*kept, "doc", "doc/a", "info", "locale", "man", "perl", "perl/man"}


@pytest.mark.parametrize(
    ("name", "text", "made", "content"),
    [
        (
            "sources.list",
            (
                "# See sources.list(5)\ndeb http://own/debian x main contrib\ndeb http://own/debian x main contrib\n"
                "#deb-src http://own/debian x main contrib\ndeb http://own/security x-security main\n"
            ),
            "sources.list",
            "deb http://own/debian x main universe\ndeb http://own/security x-security main universe\n",
        ),
        (
            "debian.sources",
            "Types: deb\nURIs: http://own/debian\nComponents: main contrib\n",
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: http://own/debian\nComponents: main universe\n",
        ),
    ],
)
def test_a_base_says_apts_own_sources_and_not_the_mirror_it_was_made_by(
    tmp_path: Path, name: str, text: str, made: str, content: str
) -> None:
    examples = tmp_path / "usr/share/doc/apt/examples"
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    for used in ("sources.list", "sources.list.d/0000sources.list"):  # as debootstrap and mmdebstrap leave it
        (tmp_path / "etc/apt" / used).write_text("deb http://mirror.of.this.machine/debian x main\n")
    examples.mkdir(parents=True)
    (examples / name).write_text(text)
    script = _own_sources_script(replace(BASE, components=("main", "universe")))
    subprocess.run(["sh", "-c", script, "exec", str(tmp_path)], check=True)
    assert (tmp_path / "etc/apt" / made).read_text() == content
    left = [path.read_text() for path in (tmp_path / "etc/apt").rglob("*") if path.is_file()]
    assert "mirror.of.this.machine" not in "".join(left)
    assert not examples.exists()


def test_a_mirror_with_a_password_in_its_address_is_not_used_and_not_shown(tmp_path: Path) -> None:
    """It would stand in the sources.list of the image."""
    found = settings(tmp_path, a_list="deb http://me:geheim@127.0.0.1:9/debian bookworm main\n")("debian")
    with pytest.raises(Unreachable, match="password") as caught:
        probe_archives(BASE, found)
    assert "geheim" not in str(caught.value)
