"""Certificates of exposed workstations: one authority per person, renewed in time; a given pair is looked at."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from builder.adapters.certificates import copy_given, ensure_own
from builder.adapters.files import write_atomic
from builder.errors import ConfigError, HostError

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def names(path: Path) -> set[str]:
    found = read(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(item.value) for item in found}


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., bool]:
    def ensure(*wanted: str, now: datetime = NOW) -> bool:
        return ensure_own(tmp_path / "authority", tmp_path / "tls.pem", wanted, now=now)

    return ensure


def test_a_certificate_names_this_machine_and_what_was_asked_for(own: Callable[..., bool], tmp_path: Path) -> None:
    assert own("box.example", "192.0.2.7")
    assert names(tmp_path / "tls.pem") == {"localhost", "127.0.0.1", "::1", "box.example", "192.0.2.7"}
    leaf, authority = read(tmp_path / "tls.pem"), read(tmp_path / "authority/ca.pem")
    leaf.verify_directly_issued_by(authority)
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("192.0.2.7") in alternative.get_values_for_type(x509.IPAddress)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_keys_are_for_the_owner_alone_and_the_authority_for_everybody(own: Callable[..., bool], tmp_path: Path) -> None:
    own()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.pem")}
    assert modes == {"tls.pem": 0o600, "ca-with-key.pem": 0o600, "ca.pem": 0o644}
    assert b"PRIVATE" not in (tmp_path / "authority/ca.pem").read_bytes()


def test_it_is_kept_while_it_names_enough_and_has_two_months_left(own: Callable[..., bool], tmp_path: Path) -> None:
    own("box.example")
    first = (tmp_path / "tls.pem").read_bytes()
    assert not own("box.example", now=NOW + 300 * DAY)
    assert not own(now=NOW + 300 * DAY)  # an address that went away is no reason
    assert (tmp_path / "tls.pem").read_bytes() == first


@pytest.mark.parametrize(("wanted", "days"), [(("box.example", "other.example"), 1), (("box.example",), 340)])
def test_it_is_renewed_for_another_name_and_before_its_end(
    own: Callable[..., bool], wanted: tuple[str, ...], days: int, tmp_path: Path
) -> None:
    own("box.example")
    authority = (tmp_path / "authority/ca.pem").read_bytes()
    assert own(*wanted, now=NOW + days * DAY)
    assert set(wanted) <= names(tmp_path / "tls.pem")
    assert read(tmp_path / "tls.pem").not_valid_after_utc > NOW + (days + 390) * DAY
    assert (tmp_path / "authority/ca.pem").read_bytes() == authority


def test_an_authority_near_its_end_is_replaced_with_all_that_it_signed(
    own: Callable[..., bool], tmp_path: Path
) -> None:
    own()
    before = read(tmp_path / "authority/ca.pem")
    assert own(now=NOW + 9 * 365 * DAY)
    after = read(tmp_path / "authority/ca.pem")
    assert after.subject != before.subject
    read(tmp_path / "tls.pem").verify_directly_issued_by(after)


def test_two_that_make_an_authority_at_once_end_with_the_same(
    own: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's comes between our look and our writing."""
    own()
    theirs = (tmp_path / "authority/ca-with-key.pem").read_bytes()
    ours = tmp_path / "ours"
    ours.mkdir()

    def late(path: Path, data: bytes, *, mode: int) -> None:
        if path.name.startswith(".ca-with-key"):
            (ours / "ca-with-key.pem").write_bytes(theirs)
        write_atomic(path, data, mode=mode)

    monkeypatch.setattr("builder.adapters.certificates.write_atomic", late)
    assert ensure_own(ours, tmp_path / "second.pem", (), now=NOW)
    assert (ours / "ca-with-key.pem").read_bytes() == theirs
    read(tmp_path / "second.pem").verify_directly_issued_by(read(tmp_path / "authority/ca.pem"))
    assert sorted(path.name for path in ours.iterdir()) == ["ca-with-key.pem", "ca.pem"]


def test_a_damaged_authority_is_replaced(own: Callable[..., bool], tmp_path: Path) -> None:
    own()
    (tmp_path / "authority/ca-with-key.pem").write_text("nonsense")
    assert own()
    read(tmp_path / "tls.pem").verify_directly_issued_by(read(tmp_path / "authority/ca.pem"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "authority").write_text("a file")
    with pytest.raises(HostError, match="cannot"):
        ensure_own(tmp_path / "authority", tmp_path / "tls.pem", ())


# ------------------------------------------------------------------------------------------------------------- given


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key in two files, as an authority delivers them."""
    ensure_own(tmp_path / "elsewhere", tmp_path / "pair.pem", ("box.example", "*.boxes.example"), now=NOW)
    data = (tmp_path / "pair.pem").read_bytes()
    start = data.index(b"-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_bytes(data[:start])
    (tmp_path / "cert.pem").write_bytes(data[start:] + (tmp_path / "elsewhere/ca.pem").read_bytes())
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_a_given_pair_is_copied_with_its_chain(given: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "tls.pem"
    assert copy_given(*given, target, ("box.example", "one.boxes.example"), now=NOW)
    assert len(x509.load_pem_x509_certificates(target.read_bytes())) == 2
    assert target.stat().st_mode & 0o777 == 0o600
    assert not copy_given(*given, target, (), now=NOW)


def test_a_given_pair_that_is_over_or_not_yet_valid_is_refused(given: tuple[Path, Path], tmp_path: Path) -> None:
    for now in (NOW - 2 * DAY, NOW + 398 * DAY):
        with pytest.raises(ConfigError, match=r"is valid from 2026-04-30 to 2027-06-02 only"):
            copy_given(*given, tmp_path / "tls.pem", (), now=now)
    assert not (tmp_path / "tls.pem").exists()


@pytest.mark.parametrize("name", ["other.example", "a.b.boxes.example", "boxes.example", "192.0.2.7"])
def test_a_given_pair_that_does_not_name_us_is_refused(given: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"does not name {name}") as caught:
        copy_given(*given, tmp_path / "tls.pem", ("box.example", name), now=NOW)
    assert "box.example" in (caught.value.hint or "")


def test_a_key_of_another_certificate_is_refused(given: tuple[Path, Path], tmp_path: Path) -> None:
    ensure_own(tmp_path / "third", tmp_path / "third.pem", ())
    with pytest.raises(ConfigError, match="is not the certificate of"):
        copy_given(given[0], tmp_path / "third.pem", tmp_path / "tls.pem", ())


def test_a_locked_key_is_refused(given: tuple[Path, Path], tmp_path: Path) -> None:
    key = load_pem_private_key(given[1].read_bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    given[1].write_bytes(locked)
    with pytest.raises(ConfigError, match="locked with a password"):
        copy_given(*given, tmp_path / "tls.pem", (), now=NOW)


@pytest.mark.parametrize("text", [None, "", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_or_no_key_is_named(given: tuple[Path, Path], tmp_path: Path, text: str | None) -> None:
    for index in (0, 1):
        files = list(given)
        files[index] = tmp_path / f"bad-{index}.pem"
        if text is not None:
            files[index].write_text(text)
        with pytest.raises(ConfigError) as caught:
            copy_given(files[0], files[1], tmp_path / "tls.pem", (), now=NOW)
        assert str(files[index]) in str(caught.value)
