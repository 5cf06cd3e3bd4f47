"""Closures of Python projects: from the files that pip chose, or from pins of the project itself, to pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.core.lock_python import (
    PythonPackage,
    is_pinned,
    parse_files,
    parse_pinned,
    render_pins,
    render_python_closure,
)
from builder.errors import LockError
from builder.model import RenderedFile

A, B = "a" * 64, "b" * 64
BUNDLED = Path(__file__).parents[3] / "images/frameworks/coditect"


def test_the_files_that_pip_chose_become_names_and_versions() -> None:
    told = f"{A}  PyYAML-6.0.3-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl\n{B}  left-pad-2.0.tar.gz\n"
    assert parse_files(told, tool="framework:path") == (
        PythonPackage(name="left-pad", version="2.0", sha256=(B,)),
        PythonPackage(name="pyyaml", version="6.0.3", sha256=(A,)),
    )


def test_a_file_that_is_neither_wheel_nor_source_is_refused() -> None:
    with pytest.raises(LockError, match=r"neither wheel nor source archive: tool\.exe") as caught:
        parse_files(f"{A}  tool.exe\n", tool="framework:path")
    assert caught.value.where == "framework:path"


def test_pins_of_a_project_are_taken_with_all_their_sums_where_their_marker_fits() -> None:
    text = (
        f"# a comment\nPyYAML==6.0.3 \\\n    --hash=sha256:{B} \\\n    --hash=sha256:{A}\n"
        f'tomli==2.2.1; python_version < "3.11" --hash=sha256:{A}\n'
    )
    new, old = (parse_pinned(text, python=version, where="x") for version in ("3.11", "3.9"))
    assert new == (PythonPackage(name="pyyaml", version="6.0.3", sha256=(A, B)),)
    assert [item.name for item in old] == ["pyyaml", "tomli"]


def test_pins_as_pip_compile_and_uv_write_them_are_read() -> None:
    text = (
        f"#\n#    pip-compile --generate-hashes\n#\n--index-url https://index.example/simple\n-i https://x\n\n"
        f"click==8.1.7 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n    # via\n    #   flask\n    #   -r x.in\n"
        f"six==1.16.0 --hash=sha256:{A}  # via click\n\n# The following packages are considered to be unsafe:\n"
    )
    found = parse_pinned(text, python="3.11", where="constraints.txt")
    assert [(item.name, item.sha256) for item in found] == [("click", (A, B)), ("six", (A,))]


@pytest.mark.parametrize(
    "line", ["pyyaml>=6 --hash=sha256:" + A, "pyyaml==6.0.3", "-r other.txt", "--requirement x", "-e .", "./x.whl"]
)
def test_what_is_no_pin_by_hash_is_refused(line: str) -> None:
    with pytest.raises(LockError, match="no pin by hash"):
        parse_pinned(line, python="3.11", where="constraints.txt")


@pytest.mark.parametrize("python", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_the_bundled_framework_pins_all_that_it_takes(python: str) -> None:
    run = parse_pinned((BUNDLED / "constraints.txt").read_text(), python=python, where="x")
    build = parse_pinned((BUNDLED / "constraints-build.txt").read_text(), python=python, where="x", build=True)
    assert [item.name for item in run] == ["pyyaml"]
    assert "hatchling" in [item.name for item in build]
    assert ("tomli" in [item.name for item in build]) is (python in ("3.9", "3.10"))


def test_pins_are_rendered_for_running_and_for_building() -> None:
    packages = (
        PythonPackage(name="b", version="2", sha256=(A, B)),
        PythonPackage(name="a", version="1", sha256=(A,)),
        PythonPackage(name="hatchling", version="1", sha256=(B,), build=True),
    )
    assert render_pins(packages, build=False) == (f"a==1 --hash=sha256:{A}\nb==2 --hash=sha256:{A} --hash=sha256:{B}\n")
    assert render_pins(packages, build=True) == f"hatchling==1 --hash=sha256:{B}\n"
    assert render_pins((), build=True) == ""
    assert parse_pinned(render_pins(packages, build=False), python="3.11", where="x") == packages[1::-1]


def test_a_closure_is_two_files_whatever_the_order_of_its_packages() -> None:
    one = PythonPackage(name="a", version="1", sha256=(A,))
    two = PythonPackage(name="b", version="1", sha256=(A,))
    assert render_python_closure((one, two)) == render_python_closure((two, one))
    assert sorted(render_python_closure(())) == ["constraints-build.txt", "constraints.txt"]


@pytest.mark.parametrize(
    ("files", "pinned"),
    [({}, False), ({"constraints.txt": b"a<2\n"}, False), ({"constraints.txt": b"a==1 --hash=sha256:00\n"}, True)],
)
def test_only_pins_by_hash_are_taken_at_their_word(files: dict[str, bytes], *, pinned: bool) -> None:
    assert is_pinned({name: RenderedFile(data=data) for name, data in files.items()}) is pinned
