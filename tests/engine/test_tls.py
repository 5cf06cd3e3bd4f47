"""An engine over the network: DOCKER_HOST=tcp:// and a docker context, by TLS with certificates on both sides."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from builder.adapters.buildcontext import read_context
from builder.adapters.buildkit import build_image
from builder.adapters.certificates import ensure_own
from builder.adapters.engine.client import Engine, connect_engine
from builder.errors import EngineError
from builder.model import BuildEvent, RenderedFile
from tests.engine.second_engine import SecondEngine, claim, copy_image, remove_with_data

LONG = 3 << 20  # bytes: more than all buffers on the way
ATTACH = (
    "import sys; from builder.adapters.engine.client import connect_engine; import os\n"
    "sys.exit(connect_engine(os.environ).attach(sys.argv[1], ['sh', '-c', 'cat; echo the end; exit 7']))"
)


class TlsEngine(SecondEngine):
    """One that listens at the address of its bridge, too, for those whose certificate its authority signed."""

    @property
    def url(self) -> str:
        return f"tcp://{self.network[1]}:2376"

    @property
    def certificates(self) -> Path:
        return self.run / "tls"

    def _argv(self) -> list[str]:
        names = {"cacert": "ca.pem", "cert": "server.pem", "key": "server.pem"}
        files = [f"--tls{name}={self.certificates / file}" for name, file in names.items()]
        return [*super()._argv(), "--host", self.url, "--tlsverify", *files]

    def make_certificates(self) -> None:
        """One authority, the engine's pair, and that of a person."""
        ensure_own(self.certificates, self.certificates / "server.pem", [str(self.network[1])])
        both = (self.certificates / "ca-with-key.pem").read_bytes()
        authority, signing = x509.load_pem_x509_certificate(both), load_pem_private_key(both, None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
        person = (
            x509.CertificateBuilder(
                authority.subject, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "person")]), key.public_key()
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(signing, hashes.SHA256())
        )
        (self.certificates / "cert.pem").write_bytes(person.public_bytes(Encoding.PEM))
        written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.certificates / "key.pem").write_bytes(written)


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory, engine: Engine, base_image: str) -> Iterator[TlsEngine]:
    found = claim(tmp_path_factory.mktemp("tls") / "data", kind=TlsEngine)
    assert isinstance(found, TlsEngine)
    try:
        found.make_certificates()
        found.start()
        copy_image(base_image, engine.host.url, found.host)
        yield found
    finally:
        remove_with_data(found)


def by_variables(afar: TlsEngine, folder: Path) -> dict[str, str]:
    return {"DOCKER_HOST": afar.url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(afar.certificates)}


def by_context(afar: TlsEngine, folder: Path) -> dict[str, str]:
    """As `docker context create` and `docker context use` write it."""
    key = hashlib.sha256(b"afar").hexdigest()
    meta, pems = folder / "contexts/meta" / key, folder / "contexts/tls" / key / "docker"
    meta.mkdir(parents=True)
    pems.mkdir(parents=True)
    endpoint = {"Host": afar.url, "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": "afar", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    (folder / "config.json").write_text('{"currentContext": "afar"}')
    for name in ("ca.pem", "cert.pem", "key.pem"):
        shutil.copy(afar.certificates / name, pems)
    return {"DOCKER_CONFIG": str(folder)}


@pytest.mark.parametrize("named", [by_variables, by_context])
def test_an_engine_behind_tls_builds_with_secrets_and_runs_what_is_given_input(
    afar: TlsEngine, base_image: str, tmp_path: Path, named: object
) -> None:
    assert callable(named)
    told: Mapping[str, str] = named(afar, tmp_path)
    engine = connect_engine(told)
    tag, events = f"devbox-test/{uuid.uuid4().hex[:12]}:1", list[BuildEvent]()
    text = f"FROM {base_image}\nRUN --mount=type=secret,id=one sha256sum /run/secrets/one # {tag}\n"
    tree = {"Dockerfile": RenderedFile(data=text.encode())}
    build_image(engine, lambda: read_context(tree, {}), tag=tag, on_event=events.append, secrets={"one": b"geheim"})
    assert any(hashlib.sha256(b"geheim").hexdigest() in event.log for event in events)
    container = engine._api.create_container(tag, ["sleep", "300"])["Id"]
    try:
        engine._api.start(container)
        data = os.urandom(LONG)
        done = subprocess.run(
            [sys.executable, "-c", ATTACH, container],
            input=data, capture_output=True, timeout=60, check=False,
            env={**{key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}, **told},
        )  # fmt: skip
        assert (done.returncode, done.stdout == data + b"the end\n") == (7, True), done.stderr[-2000:]
    finally:
        engine._api.remove_container(container, force=True)
        engine.remove_image(tag, force=True)


def test_who_shows_no_certificate_is_told_where_they_belong(afar: TlsEngine, tmp_path: Path) -> None:
    shutil.copy(afar.certificates / "ca.pem", tmp_path)
    told = by_variables(afar, tmp_path)
    with pytest.raises(EngineError, match=r"TLS with tcp://.* failed") as caught:
        connect_engine({**told, "DOCKER_CERT_PATH": str(tmp_path)})
    assert "cert.pem" in str(caught.value.hint)


def test_an_engine_that_nobody_vouches_for_is_not_talked_to(afar: TlsEngine, tmp_path: Path) -> None:
    ensure_own(tmp_path, tmp_path / "server.pem", [])
    with pytest.raises(EngineError, match=r"TLS with tcp://.* failed.*verify"):
        connect_engine({**by_variables(afar, tmp_path), "DOCKER_CERT_PATH": str(tmp_path)})
