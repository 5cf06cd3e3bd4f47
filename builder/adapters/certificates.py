"""The certificate of an exposed workstation: a given one, or one signed by a local authority of the person's own.

Owns the authority (one per person, made at the first need), the one file with key and certificate that a workstation
gets, and when that is made anew. Must not know what serves it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from builder.adapters.files import cannot, make_folder, read_plain, write_atomic
from builder.adapters.private import read_private
from builder.errors import ConfigError, HostError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PEM_HINT: Final = "a PEM file has `-----BEGIN ...-----` as its first line; `openssl x509` and `openssl pkey` convert"
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
AUTHORITY_YEARS: Final = 10
# Browsers refuse more than 398 days of a public authority; `up` is asked for a new one in the last two months.
LIFETIME: Final = timedelta(days=397)
RENEWAL: Final = timedelta(days=60)
SKEW: Final = timedelta(hours=1)  # clocks of other machines
MAX_FILE: Final = 64 << 10

CERTIFICATE: Final = "ca.pem"  # for browsers, readable by everybody
AUTHORITY: Final = "ca-with-key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure_own(folder: Path, target: Path, names: Sequence[str], *, now: datetime | None = None) -> bool:
    """Key and certificate at `target` for `names` (hosts and addresses) and this machine; whether they are new.

    `folder` holds the authority, which is made if it is missing or near its end. What is at `target` is kept while it
    is signed by that, names all that it should, and has more than two months left. Raises HostError.
    """
    now = now or datetime.now(timezone.utc)
    authority = _ensure_authority(folder, now)
    wanted = frozenset((*LOCAL, *names))
    known = _read_pair(target)
    if known is not None and _still_good(known.certificate, authority, wanted, now):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder("devbox workstation", key, now, now + LIFETIME)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in sorted(wanted)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    write_atomic(target, _pem(key) + made.public_bytes(serialization.Encoding.PEM), mode=0o600)
    return True


def copy_given(
    certificate: Path, key: Path, target: Path, names: Sequence[str], *, now: datetime | None = None
) -> bool:
    """Put a given certificate (with what it is signed by behind it) and its key at `target`; whether that is new.

    Raises ConfigError for a pair that no browser would accept: it does not belong together, is expired, or does not
    name one of `names`.
    """
    now = now or datetime.now(timezone.utc)
    chain, private = _load_chain(certificate), _load_key(key)
    leaf = chain[0]
    if leaf.public_key() != private.public_key():
        hint = "the first certificate of the file must be that of the key"
        raise ConfigError(f"is not the certificate of {key}", where=str(certificate), hint=hint)
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        span = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        raise ConfigError(
            f"is valid from {span} only", where=str(certificate), hint="have it renewed, then `devbox up`"
        )
    told = _names_of(leaf)
    if missing := [name for name in names if not _covers(told, name)]:
        hint = f"it names {', '.join(sorted(told)) or 'nothing'}; correct `expose.names`"
        raise ConfigError(f"does not name {', '.join(missing)}", where=str(certificate), hint=hint)
    data = _pem(private) + b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain)
    if read_private(target) == data:
        return False
    write_atomic(target, data, mode=0o600)
    return True


# --------------------------------------------------------------------------------------------------- the authority


def _ensure_authority(folder: Path, now: datetime) -> _Pair:
    make_folder(folder, mode=0o700)
    path = folder / AUTHORITY
    found = _read_pair(path)
    if found is None or found.certificate.not_valid_after_utc - now < LIFETIME + RENEWAL:
        _write_authority(path, now, replaced=found is not None or path.exists())
        found = _read_pair(path)
    if found is None:
        raise HostError("is no authority's certificate with its key", where=str(path), hint=f"remove {path}")
    public = found.certificate.public_bytes(serialization.Encoding.PEM)
    if read_plain(folder / CERTIFICATE, MAX_FILE) != public:
        write_atomic(folder / CERTIFICATE, public, mode=0o644)
    return found


def _write_authority(path: Path, now: datetime, *, replaced: bool) -> None:
    """Two that do this at once end with the same: the one that came first."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    # A part of its own key in the name: browsers go by the name, and two machines must not have the same.
    name = f"devbox local authority {identifier.digest.hex()[:8]}"
    builder = _builder(name, key, now, now + timedelta(days=365 * AUTHORITY_YEARS))
    made = (
        builder.issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    data = _pem(key) + made.public_bytes(serialization.Encoding.PEM)
    if replaced:
        write_atomic(path, data, mode=0o600)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    write_atomic(draft, data, mode=0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another devbox was quicker: its authority is ours
    except OSError as error:
        raise cannot("write", path, error) from error
    finally:
        draft.unlink()


def _builder(name: str, key: ec.EllipticCurvePrivateKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(end)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _still_good(leaf: x509.Certificate, authority: _Pair, wanted: Iterable[str], now: datetime) -> bool:
    try:
        leaf.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    left = leaf.not_valid_after_utc - now
    return left > RENEWAL and leaf.not_valid_before_utc <= now and frozenset(wanted) <= _names_of(leaf)


# ------------------------------------------------------------------------------------------------- names and files


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(item.value).lower() for item in found if isinstance(item, (x509.DNSName, x509.IPAddress)))


def _covers(told: frozenset[str], name: str) -> bool:
    """Also by a wildcard, which stands for one label (RFC 6125, 6.4.3)."""
    return name in told or f"*.{name.partition('.')[2]}" in told


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read_given(path))
    except ValueError as error:
        raise ConfigError("is no certificate in PEM form", where=str(path), hint=PEM_HINT) from error


def _load_key(path: Path) -> PrivateKeyTypes:
    data = _read_given(path)
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError as error:  # what the library raises for a password that is missing
        hint = "nobody can be asked at a start: write it without, readable by you alone"
        raise ConfigError("this key is locked with a password", where=str(path), hint=hint) from error
    except ValueError as error:
        raise ConfigError("is no private key in PEM form", where=str(path), hint=PEM_HINT) from error


def _read_given(path: Path) -> bytes:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE:
            hint = "correct `expose.certificate` and `expose.key` in devbox.yaml"
            raise ConfigError("there is no such PEM file", where=str(path), hint=hint)
        return path.read_bytes()
    except OSError as error:
        raise cannot("read", path, error) from error


def _read_pair(path: Path) -> _Pair | None:
    """Key and certificate of our own making; None where there are none that can be used."""
    data = read_private(path)
    if data is None:
        return None
    try:
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificates(data)[0]
    except (ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return _Pair(certificate=certificate, key=key)
