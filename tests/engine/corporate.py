"""A company's network on one machine: an authority that nobody else knows, a mirror behind TLS, a proxy that re-signs.

Each of its servers remembers what it was asked for. What it serves is fetched from where this machine gets it.
"""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import SHUT_WR, create_connection, socket
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.engine.listeners import CHUNK, Listener, Quiet

VERBS: Final = (b"GET ", b"HEAD ", b"POST ")
PROXYLESS: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(slots=True)
class Authority:
    """Signs certificates for whatever host it is asked for."""

    folder: Path
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _known: dict[str, ssl.SSLContext] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bundle(self) -> Path:
        """For `ca_bundle`."""
        file = self.folder / "company-ca.pem"
        if not file.exists():
            file.write_bytes(self._sign("Company Root", self._key.public_key(), authority=True))
        return file

    def context(self, host: str) -> ssl.SSLContext:
        """What a server for `host` speaks TLS with."""
        with self._lock:
            if host not in self._known:
                key = ec.generate_private_key(ec.SECP256R1())
                form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                pair = self.folder / f"{host}.pem"
                pair.write_bytes(key.private_bytes(*form) + self._sign(host, key.public_key(), authority=False))
                self._known[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._known[host].load_cert_chain(pair)
            return self._known[host]

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool) -> bytes:
        now = datetime.now(timezone.utc)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Company Root")])
        made = (
            x509.CertificateBuilder(issuer, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]), key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if authority:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            )  # fmt: skip
            made = made.add_extension(usage, critical=True)
        else:
            made = made.add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@contextmanager
def serve_tls(address: str, authority: Authority, make: Callable[[Listener], type[Quiet]]) -> Iterator[Listener]:
    """As `listeners.serve`, behind TLS."""
    listener = Listener(address=address, port=0)
    server = ThreadingHTTPServer((address, 0), make(listener))
    server.daemon_threads = True
    # The handshake is the business of the thread of that connection: here one that says nothing would stop all others.
    server.socket = authority.context(address).wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    listener.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()


class Forwarder(Quiet):
    """Gives out what lies at another address."""

    def pass_on(self, url: str) -> None:
        request = urllib.request.Request(url, method=self.command)  # noqa: S310
        with suppress(ConnectionError, ssl.SSLError):  # whoever asks leaves when it has seen enough
            try:
                with PROXYLESS.open(request, timeout=30) as far:
                    self.send_response(200)
                    for name in ("Content-Length", "Content-Type", "Last-Modified"):
                        if value := far.headers.get(name):
                            self.send_header(name, value)
                    self.end_headers()
                    while data := far.read(CHUNK):
                        self.wfile.write(data)
            except urllib.error.HTTPError as error:
                self.answer(error.code)


def mirror(places: dict[str, str]) -> Callable[[Listener], type[Quiet]]:
    """Serves what lies at the addresses that `places` gives for the beginnings of paths; 404 for all else."""

    def make(listener: Listener) -> type[Quiet]:
        class Handler(Forwarder):
            def do_GET(self) -> None:  # noqa: N802  # the name is http.server's
                listener.seen.append((self.path, ""))
                place = next((place for place in sorted(places, reverse=True) if self.path.startswith(place)), None)
                if place is None:
                    self.answer(404)
                else:
                    self.pass_on(places[place] + self.path[len(place) :])

            do_HEAD = do_GET  # noqa: N815  # the name is http.server's

        return Handler

    return make


def resigning_proxy(authority: Authority) -> Callable[[Listener], type[Quiet]]:
    """A proxy that looks into TLS: whoever comes through it sees certificates of the company. It remembers requests as
    they were, with their host."""

    def make(listener: Listener) -> type[Quiet]:
        class Handler(Forwarder):
            def do_GET(self) -> None:  # noqa: N802  # the name is http.server's
                listener.seen.append((self.path, ""))
                self.pass_on(self.path)

            do_HEAD = do_GET  # noqa: N815  # the name is http.server's

            def do_CONNECT(self) -> None:  # noqa: N802  # the name is http.server's
                host, _, port = self.path.rpartition(":")
                listener.seen.append((f"CONNECT {host}", ""))
                self.close_connection = True
                with suppress(OSError), create_connection((host, int(port)), 20) as plain:
                    far = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
                    self.send_response(200)
                    self.end_headers()
                    near = authority.context(host).wrap_socket(self.connection, server_side=True)
                    _pump_both(near, far, lambda path: listener.seen.append((f"{host}{path}", "")))

        return Handler

    return make


def _pump_both(near: socket, far: socket, saw: Callable[[str], None]) -> None:
    """Bytes both ways until both sides have ended; the paths of requests are told."""

    def forward() -> None:
        with suppress(OSError):
            while data := near.recv(CHUNK):
                if data.startswith(VERBS):
                    saw(data.split(b" ", 2)[1].decode("latin-1"))
                far.sendall(data)
        with suppress(OSError):
            far.shutdown(SHUT_WR)

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    with suppress(OSError):
        while data := far.recv(CHUNK):
            near.sendall(data)
    with suppress(OSError):
        near.shutdown(SHUT_WR)
    near.close()
    thread.join(20)
