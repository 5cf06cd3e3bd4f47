"""Every byte of an image belongs to somebody: to a tool, to the base, or to what the build left."""

from __future__ import annotations

import json

from builder.core.cost import Cost, Costs, describe_costs, find_needed_by, reckon_costs
from builder.core.dpkg import DebPackage
from builder.model import ArchiveSource, RenderedFile, ResolvedTool, UnpackRule
from tests.unit.core.saved_images import file, hard_link, read

STEPS = {"base": ["0", "debian-12"], "apt": ["1", "editor viewer"], "rootfs": ["2", ""], "configure": ["3", ""]}
STEPS |= {"theme": ["4", ""]}
MADE = (
    "ADD rootfs.tar / # buildkit",
    "RUN /bin/sh -euc /usr/lib/devbox/apt-install editor viewer # buildkit",
    "COPY artifacts/theme / # buildkit",
    "COPY rootfs / # buildkit",
    "RUN /bin/sh -euc /usr/lib/devbox/configure # buildkit",
)


def stanza(name: str, needs: str = "") -> str:
    depends = f"Depends: {needs}\n" if needs else ""
    return f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n{depends}\n"


STATUS = stanza("libc") + stanza("lib", "libc") + stanza("editor", "lib") + stanza("viewer", "lib") + stanza("stray")


def listed(name: str, path: str) -> tuple[str, bytes]:
    return f"var/lib/dpkg/info/{name}.list", f"/{path}\n".encode()


IMAGE = read(
    [
        [file("lib/libc.so", b"c" * 1000), file(*listed("libc", "lib/libc.so"))],
        [
            file("usr/lib/lib.so", b"l" * 300), file(*listed("lib", "usr/lib/lib.so")),
            file("usr/bin/editor", b"e" * 50), file(*listed("editor", "usr/bin/editor")),
            hard_link("usr/bin/vi", "usr/bin/editor"),
            file("usr/bin/viewer", b"v" * 20), file(*listed("viewer", "usr/bin/viewer")),
            file("usr/bin/stray", b"s" * 7), file(*listed("stray", "usr/bin/stray")),
            file("var/lib/dpkg/status", STATUS.encode()),
            file("etc/theme", b"old" * 100),
        ],
        [file("opt/theme/dark", b"d" * 40)],
        [file("etc/theme", b"new"), file("usr/lib/devbox/services/view/run", b"r" * 9)],
        [file("var/cache/fonts", b"f" * 11)],
    ],
    created_by=MADE,
    settings={"Labels": {"dev.devbox.steps": json.dumps(STEPS)}},
)  # fmt: skip
ROOTFS = {
    "view/etc/theme": RenderedFile(data=b"new"),
    "view/usr/lib/devbox/services/view/run": RenderedFile(data=b""),
    "view/usr/lib/devbox/services/view/ready": RenderedFile(data=b"shown wm :1\npainted frame :1\n"),
    "other/usr/lib/devbox/services/other/ready": RenderedFile(data=b"late web 1\n"),
}


def tool(name: str, **more: object) -> ResolvedTool:
    return ResolvedTool(name=name, summary=name, version=None, from_profile=True, **more)  # type: ignore[arg-type]


THEME = ArchiveSource(
    location="x", sha256="", strip=0, fallback=None, unpack=(UnpackRule(source="", target="/opt/theme"),)
)
TOOLS = (
    tool("editor", apt=("editor",)),
    tool("viewer", apt=("viewer",), rootfs=("view",)),
    tool("theme", archive=THEME),
)


def reckon(**phases: float) -> Costs:
    return reckon_costs(IMAGE, "devbox/x:1", TOOLS, rootfs=ROOTFS, phases=phases)


def part(name: str, found: Costs | None = None) -> Cost:
    (one,) = [part for part in (found or reckon()).parts if part.name == name]
    return one


def size_of(*names: str) -> int:
    return sum(len(listed(name, path)[1]) for name, path in PATHS.items() if name in names)


PATHS = {"libc": "lib/libc.so", "lib": "usr/lib/lib.so", "editor": "usr/bin/editor", "viewer": "usr/bin/viewer"}


def test_what_two_tools_need_counts_for_the_first_and_goes_with_neither_alone() -> None:
    editor, viewer = part("editor"), part("viewer")
    assert (editor.bytes, editor.alone_bytes) == (350 + size_of("editor", "lib"), 50 + size_of("editor"))
    assert (viewer.bytes, viewer.alone_bytes) == (20 + 3 + 9 + size_of("viewer"),) * 2
    assert (editor.packages, viewer.packages) == (2, 1)
    assert (editor.layers, viewer.layers) == (("apt",), ("apt", "rootfs"))


def test_what_the_base_brought_belongs_to_no_tool_that_needs_it() -> None:
    assert (part("base").bytes, part("base").packages) == (1000 + size_of("libc"), 1)


def test_a_tool_without_packages_owns_where_it_was_unpacked() -> None:
    assert (part("theme").bytes, part("theme").layers) == (40, ("theme",))


def test_all_bytes_are_told_and_what_was_replaced_apart() -> None:
    found = reckon()
    assert found.hidden_bytes == len(b"old" * 100)
    assert found.bytes == sum(part.bytes for part in found.parts) + found.hidden_bytes
    assert found.packages == sum(part.packages for part in found.parts) == 5
    assert part("other").layers == ("apt", "configure")


def test_a_tool_is_ready_when_the_last_phase_of_its_services_came() -> None:
    found = reckon(shown=0.7, painted=1.234, late=2.0)
    assert [(part.name, part.ready_ms) for part in found.parts if part.ready_ms] == [("viewer", 1234)]
    assert (found.ready_ms, reckon().ready_ms) == (2000, None)


def test_the_table_begins_with_the_dearest_and_ends_with_all() -> None:
    head, first, *_, replaced, last = describe_costs(reckon(painted=1.0))
    assert head.split() == ["TOOL", "MB", "ALONE", "PACKAGES", "READY", "LAYERS"]
    assert first.startswith("base ")
    assert replaced.startswith("replaced later")
    assert last.split()[0] == "all"
    assert last.endswith("5  1000 ms  5 layers")


def test_packages_are_followed_through_all_that_they_need() -> None:
    debs = (
        DebPackage(name="a", needs=(("b",),)), DebPackage(name="b", needs=(("a",), ("c",))), DebPackage(name="c"),
        DebPackage(name="d"),
    )  # fmt: skip
    assert find_needed_by(debs, {"one": ("a", "gone"), "two": ("c",)}) == {
        "a": ("one",), "b": ("one",), "c": ("one", "two")
    }  # fmt: skip
