"""What a machine keeps: found by its sum, never damaged, and gone without harm."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builder.adapters.kept import KeptPackages
from builder.core.kept import KeptFile
from builder.errors import HostError


def wanted(kind: str, data: bytes, algorithm: str = "sha256") -> KeptFile:
    digest = hashlib.new(algorithm, data).hexdigest()
    return KeptFile(kind=kind, name=f"{kind} 1", sums=("sha256-" + "0" * 64, f"{algorithm}-{digest}"), line="")


DEB, TGZ, WHEEL = wanted("apt", b"deb"), wanted("npm", b"tgz", "sha512"), wanted("pip", b"wheel")
ALL = (DEB, TGZ, WHEEL)


@pytest.fixture
def kept(tmp_path: Path) -> KeptPackages:
    kept = KeptPackages(tmp_path)
    kept.take("apt", "x.deb", b"deb")
    kept.take("npm", "sha512-x", b"tgz")
    kept.take("pip", "x-1-py3-none-any.whl", b"wheel")
    return kept


def test_a_file_is_found_by_any_of_its_sums_and_gathered_under_its_name(kept: KeptPackages) -> None:
    other = wanted("apt", b"another one")
    assert kept.find_missing((*ALL, other)) == (other,)
    with kept.gathered((*ALL, other, DEB)) as folder:
        found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"apt/x.deb": b"deb", "npm/sha512-x": b"tgz", "pip/x-1-py3-none-any.whl": b"wheel"}
    assert not folder.exists()
    assert kept.find_missing(ALL) == ()


def test_a_file_that_rotted_counts_as_missing_and_is_taken_anew(kept: KeptPackages, tmp_path: Path) -> None:
    (path,) = (tmp_path / "packages-apt").glob("*/x.deb")
    path.write_bytes(b"rotten")
    assert kept.find_missing(ALL) == (DEB,)
    kept.take("apt", "x.deb", b"deb")
    kept.take("apt", "x.deb", b"deb")  # another process was faster
    assert kept.find_missing(ALL) == ()


def test_what_is_not_what_it_says_is_never_found_as_that(kept: KeptPackages) -> None:
    kept.take("npm", f"sha512-{hashlib.sha512(b'wanted').hexdigest()}", b"something else")
    assert kept.find_missing((wanted("npm", b"wanted", "sha512"),)) != ()


def test_a_base_is_kept_with_the_id_of_its_image(kept: KeptPackages) -> None:
    assert kept.find_base("sha256:abc") is None
    kept.save_base("sha256:abc", "sha256:id", iter([b"one", b"two"]), lambda done, total: None)
    assert kept.find_base("sha256:abc") == "sha256:id"
    assert b"".join(kept.read_base("sha256:abc", lambda done, total: None)) == b"onetwo"


def test_a_base_that_was_cut_off_or_is_damaged_is_kept_anew(kept: KeptPackages, tmp_path: Path) -> None:
    def keep() -> Path:
        kept.save_base("sha256:abc", "sha256:id", iter([b"one" * 1000]), lambda done, total: None)
        (path,) = (tmp_path / "bases").iterdir()
        return path

    path = keep()
    path.write_bytes(path.read_bytes()[:-10])
    assert kept.find_base("sha256:abc") is None
    path = keep()
    data = bytearray(path.read_bytes())
    data[12] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(HostError, match="damaged") as caught:
        list(kept.read_base("sha256:abc", lambda done, total: None))
    assert "devbox fetch" in str(caught.value)
    assert kept.find_base("sha256:abc") is None
    keep()
    assert kept.find_base("sha256:abc") == "sha256:id"
