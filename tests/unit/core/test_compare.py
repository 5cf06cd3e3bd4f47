"""Each difference between two images is found, alone, and called by its name."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping

import pytest

from builder.adapters.savedimage import read_saved
from builder.core.compare import Comparison, compare_images
from builder.core.layers import SavedImage
from tests.unit.core.saved_images import (
    TIME,
    Member,
    device,
    file,
    folder,
    hard_link,
    link,
    make_layer,
    pipe,
    read,
    save,
)

DEEP = f"opt/{'deep/' * 30}{'long' * 30}"  # longer than a plain tar header holds
CAPABILITY = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00 \x00\x00" + "\x00" * 12}
STATUS = "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"


def members(**changes: Member | None) -> list[Member]:
    """One of everything; a keyword replaces the member of that name, or leaves it out."""
    found: dict[str, Member | None] = {
        "root": folder("./"),
        "etc": folder("etc/"),
        "plain": file("etc/plain"),
        "deep": file(DEEP),
        "program": file("bin/program", b"\x7fELF", mode=0o755),
        "able": file("bin/able", b"\x7fELF", mode=0o755, pax_headers=CAPABILITY),
        "link": link("etc/link", "plain"),
        "twin": hard_link("etc/twin", "etc/plain"),
        "null": device("dev/null", 1, 3),
        "pipe": pipe("run/pipe"),
        "list": file("var/lib/dpkg/info/tool.list", b"/.\n/bin\n/bin/program\n"),
        "status": file("var/lib/dpkg/status", STATUS.format(name="tool", version="1.0").encode()),
        **changes,
    }
    return [member for member in found.values() if member is not None]


def compare(**changes: Member | None) -> Comparison:
    return compare_images(read([members()]), read([members(**changes)]))


def told(found: Comparison) -> list[tuple[str, str, dict[str, tuple[str, str]]]]:
    return [
        (item.path, item.change, {aspect.name: (aspect.before, aspect.after) for aspect in item.aspects})
        for item in found.files
        if item.change != "hidden"
    ]


def test_an_image_is_the_same_as_itself() -> None:
    found = compare()
    assert (found.level, found.files, found.settings, found.packages) == ("R3", (), (), ())
    assert [pair.same for pair in found.layers] == [True]


def content(before: bytes, after: bytes) -> dict[str, tuple[str, str]]:
    one, other = (f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:12]}" for data in (before, after))
    return {"content": (one, other)}


SEEDED: Mapping[str, tuple[Mapping[str, Member | None], list[tuple[str, str, dict[str, tuple[str, str]]]]]] = {
    "a file more": ({"new": file("etc/new")}, [("/etc/new", "added", {})]),
    "a folder more": ({"new": folder("etc/new.d/")}, [("/etc/new.d", "added", {})]),
    "a file less": ({"pipe": None}, [("/run/pipe", "removed", {})]),
    "content of the same size": ({"deep": file(DEEP, b"TEXT")}, [(f"/{DEEP}", "changed", content(b"text", b"TEXT"))]),
    "content of another size": (
        {"program": file("bin/program", b"\x7fELF2", mode=0o755)},
        [("/bin/program", "changed", content(b"\x7fELF", b"\x7fELF2"))],
    ),
    "mode": (
        {"program": file("bin/program", b"\x7fELF", mode=0o4755)},
        [("/bin/program", "changed", {"mode": ("0755", "4755")})],
    ),
    "mode of a folder": ({"etc": folder("etc/", mode=0o700)}, [("/etc", "changed", {"mode": ("0755", "0700")})]),
    "owner": ({"deep": file(DEEP, uid=1000)}, [(f"/{DEEP}", "changed", {"owner": ("0:0", "1000:0")})]),
    "group": ({"deep": file(DEEP, gid=42)}, [(f"/{DEEP}", "changed", {"owner": ("0:0", "0:42")})]),
    "time": (
        {"deep": file(DEEP, mtime=TIME + 1)},
        [(f"/{DEEP}", "changed", {"mtime": ("2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z")})],
    ),
    "a part of a second": (
        {"deep": file(DEEP, pax_headers={"mtime": f"{TIME}.500"})},
        [(f"/{DEEP}", "changed", {"mtime": ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5Z")})],
    ),
    "time of the root": (
        {"root": folder("./", mtime=TIME + 60)},
        [("/", "changed", {"mtime": ("2020-01-01T00:00:00Z", "2020-01-01T00:01:00Z")})],
    ),
    "target of a link": (
        {"link": link("etc/link", "other")},
        [("/etc/link", "changed", {"target": ("plain", "other")})],
    ),
    "a hard link that became a copy": (
        {"twin": file("etc/twin")},
        [
            ("/etc/plain", "changed", {"hard links": ("/etc/twin", "")}),
            ("/etc/twin", "changed", {"hard links": ("/etc/plain", "")}),
        ],
    ),
    "a file that became a link": (
        {"program": link("bin/program", "able")},
        [("/bin/program", "changed", {"type": ("file", "symbolic link")})],
    ),
    "a file that became a folder": (
        {"program": folder("bin/program/")},
        [("/bin/program", "changed", {"type": ("file", "folder")})],
    ),
    "numbers of a device": ({"null": device("dev/null", 1, 5)}, [("/dev/null", "changed", {"device": ("1:3", "1:5")})]),
    "a capability less": (
        {"able": file("bin/able", b"\x7fELF", mode=0o755)},
        [("/bin/able", "changed", {"capabilities": ("0100000200200000000000000000000000000000", "")})],
    ),
    "an extended attribute more": (
        {"deep": file(DEEP, pax_headers={"SCHILY.xattr.user.note": "x"})},
        [(f"/{DEEP}", "changed", {"attribute user.note": ("", "78")})],
    ),
}


@pytest.mark.parametrize(("changes", "wanted"), SEEDED.values(), ids=SEEDED)
def test_a_seeded_difference_is_found_alone_and_named(
    changes: Mapping[str, Member | None], wanted: list[tuple[str, str, dict[str, tuple[str, str]]]]
) -> None:
    found = compare(**changes)
    assert told(found) == wanted
    times = all(set(aspects) == {"mtime"} for _, _, aspects in wanted)
    assert found.level == ("R2" if times else "R1")
    assert [pair.same for pair in found.layers] == [False]


def test_which_of_two_names_comes_first_in_the_tar_makes_no_other_file() -> None:
    other = members(plain=hard_link("etc/plain", "etc/twin"), twin=file("etc/twin"))
    other.insert(0, other.pop(next(i for i, (info, _) in enumerate(other) if info.name == "etc/twin")))
    found = compare_images(read([members()]), read([other]))
    assert {item.change for item in found.files} == {"hidden"}
    assert found.level == "R2"


def sparse_layer() -> bytes:
    """A file of 8,192 bytes of which the tar holds the last 512 (GNU's form 1.0)."""
    body = b"1\n7680\n512\n".ljust(512, b"\0") + b"x" * 512
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "8192"}
    return make_layer([file("GNUSparseFile.0/s", body, pax_headers=headers)])


def test_a_sparse_file_is_what_it_stands_for() -> None:
    whole = read([[file("s", bytes(7680) + b"x" * 512)]])
    sparse = read_saved(io.BytesIO(save([sparse_layer()])), lambda path: False)
    assert told(compare_images(whole, sparse)) == []


SETTINGS: Mapping[str, tuple[Mapping[str, object], tuple[str, str, str]]] = {
    "a variable": ({"Env": ["PATH=/bin", "LANG=de"]}, ("variable LANG", "C", "de")),
    "a variable less": ({"Env": ["PATH=/bin"]}, ("variable LANG", "C", "")),
    "a label": ({"Labels": {"a": "b"}}, ("label a", "", "b")),
    "the entry point": ({"Entrypoint": ["/init", "-x"]}, ("Entrypoint", '["/init"]', '["/init", "-x"]')),
    "the user": ({"User": "1000"}, ("User", "", "1000")),
    "a port": ({"ExposedPorts": {"22/tcp": {}}}, ("ExposedPorts", "", '{"22/tcp": {}}')),
}


@pytest.mark.parametrize(("settings", "wanted"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_differs_is_told(settings: Mapping[str, object], wanted: tuple[str, str, str]) -> None:
    found = compare_images(read([members()]), read([members()], settings=settings))
    assert [(item.name, item.before, item.after) for item in found.settings] == [wanted]
    assert (found.level, found.files, found.layers[0].same) == ("R1", (), True)


def test_the_moment_of_the_build_is_no_difference() -> None:
    found = compare_images(read([members()]), read([members()], created="2027-02-03T04:05:06Z"))
    assert (found.level, found.settings) == ("R3", ())


def test_another_version_of_a_package_is_told_and_its_files_are_told_as_its() -> None:
    newer = file("var/lib/dpkg/status", STATUS.format(name="tool", version="1.1").encode())
    found = compare(status=newer, program=file("bin/program", b"new!", mode=0o755))
    assert [(item.name, item.before, item.after) for item in found.packages] == [("tool (deb)", "1.0", "1.1")]
    assert [(item.path, item.package) for item in found.files] == [
        ("/bin/program", "tool"),
        ("/var/lib/dpkg/status", ""),
    ]
    assert found.level == ""


LAYERED: Mapping[str, tuple[list[Member], Callable[[list[str]], bool]]] = {
    "a whiteout": ([file("d/.wh.a", b"")], lambda left: left == ["/d", "/d/b", "/d/e", "/d/e/f"]),
    "a whiteout of a folder": ([file("d/.wh.e", b"")], lambda left: left == ["/d", "/d/a", "/d/b"]),
    "an opaque folder": (
        [file("d/new"), folder("d/"), file("d/.wh..wh..opq", b"")],
        lambda left: left == ["/d", "/d/new"],
    ),
    "a file over a folder": ([file("d/e")], lambda left: left == ["/d", "/d/a", "/d/b", "/d/e"]),
    "a folder again": ([folder("d/e/", mode=0o700)], lambda left: left == ["/d", "/d/a", "/d/b", "/d/e", "/d/e/f"]),
    "gone and made anew": ([file("d/.wh.e", b""), folder("d/e/")], lambda left: left == ["/d", "/d/a", "/d/b", "/d/e"]),
}


@pytest.mark.parametrize(("upper", "fits"), LAYERED.values(), ids=LAYERED)
def test_a_layer_hides_what_it_says_and_nothing_else(upper: list[Member], fits: Callable[[list[str]], bool]) -> None:
    lower = [folder("d/"), file("d/a"), file("d/b"), folder("d/e/"), file("d/e/f")]
    found = compare_images(read([[]]), read([lower, upper]))
    left = [item.path for item in found.files]
    assert all(item.change == "added" for item in found.files)
    assert fits(left), left


def test_a_hard_link_to_a_file_of_a_lower_layer_is_one_with_it_until_that_is_replaced() -> None:
    joined = read([[file("a")], [hard_link("b", "a")]])
    assert told(compare_images(read([[file("a"), hard_link("b", "a")]]), joined)) == []
    parted = read([[file("a")], [hard_link("b", "a")], [file("a", b"new!")]])
    assert told(compare_images(read([[file("a", b"new!"), file("b")]]), parted)) == []


def test_a_difference_is_told_with_the_layer_that_made_it() -> None:
    made = ["RUN one", "RUN two"]
    before = read([[file("a")], [file("b")]], created_by=made)
    after = read([[file("a")], [file("b", b"new!")]], created_by=made)
    found = compare_images(before, after)
    assert [(item.path, item.step) for item in found.files] == [("/b", "RUN two")]
    assert [(pair.step, pair.same) for pair in found.layers] == [("RUN one", True), ("RUN two", False)]


def test_the_same_plan_is_the_same_inputs_whatever_came_of_it() -> None:
    labels = {"Labels": {"dev.devbox.plan": "870f"}}
    found = compare_images(read([[file("a")]], settings=labels), read([[file("a", b"new!")]], settings=labels))
    assert found.holds == {"R0": True, "R1": True, "R2": False, "R3": False}
    assert not compare_images(read([[]]), read([[]])).holds["R0"]


def test_layers_that_differ_in_what_nobody_sees_are_told_so() -> None:
    def image(data: bytes, mtime: int) -> SavedImage:
        return read([[file("a", data), file("b")], [file("a"), file(".wh.b", b"", mtime=mtime)]])

    found = compare_images(image(b"one", TIME), image(b"two", TIME + 1))
    assert [(item.path, item.change, [aspect.name for aspect in item.aspects]) for item in found.files] == [
        ("/a", "hidden", ["content"]),
        ("/.wh.b", "hidden", ["mtime"]),
    ]
    assert found.level == "R2"
