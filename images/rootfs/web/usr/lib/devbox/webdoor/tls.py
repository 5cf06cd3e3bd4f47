"""TLS over a connected socket, for an exposed workstation. Two threads use one connection, one for each direction,
which OpenSSL does not allow: so it works in memory here, under a lock that is never held while waiting for a peer."""

import ssl
import threading
import time

CHUNK = 64 * 1024
RECORD = 16 * 1024
HANDSHAKE = 0x16  # the first byte of TLS; no HTTP request begins so


def make_context(file):
    """For a server, with the certificate and key in `file`. Raises OSError (ssl.SSLError is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; those of 1.3 are all sound
    context.load_cert_chain(file)
    return context


class TlsSocket:
    """As much of a socket as the rest uses."""

    def __init__(self, raw, context):
        self.raw, self._deadline = raw, None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._engine, self._sending = threading.Lock(), threading.Lock()

    def shake_hands(self):
        """Raises OSError where the other side does not speak TLS as we do."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                self._flush()  # the alert that tells why
                raise
            else:
                self._flush()
                return

    def recv(self, size):
        """As socket.recv. The end without a goodbye is an end too: what matters has lengths of its own."""
        while True:
            with self._engine:
                try:
                    data = self._tls.read(size)
                except ssl.SSLWantReadError:
                    data = None
                except ssl.SSLZeroReturnError:
                    data = b""
                told = self._out.pending
            if told:
                self._flush()
            if data is not None:
                return data
            if not self._feed():
                return b""

    def sendall(self, data):
        data = memoryview(data)
        with self._sending:
            while data:
                with self._engine:
                    data = data[self._tls.write(data[:RECORD]) :]
                    told = self._out.read()
                self._limit()
                self.raw.sendall(told)

    def settimeout(self, seconds):
        """For all that is waited for from now on, and not for each piece of it: who drips holds no place for ever."""
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.raw.settimeout(seconds)

    def setsockopt(self, *option):
        self.raw.setsockopt(*option)

    def shutdown(self, how):
        self.raw.shutdown(how)

    def _limit(self):
        if self._deadline is None:
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.raw.settimeout(left)

    def _feed(self):
        self._limit()
        data = self.raw.recv(CHUNK)
        if not data:
            with self._engine:
                self._in.write_eof()
            return False
        with self._engine:
            self._in.write(data)
        return True

    def _flush(self):
        """What the engine has to say itself. Who sends holds `_sending`, so that records keep their order."""
        with self._sending:
            with self._engine:
                told = self._out.read()
            if told:
                self._limit()
                self.raw.sendall(told)
