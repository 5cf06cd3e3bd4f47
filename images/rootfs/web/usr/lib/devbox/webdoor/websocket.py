"""The web socket (RFC 6455, no extensions): messages are a stream, so fragments pass as they come.

Carries VNC between a browser and the VNC server of this machine, and holds up who guesses its password.
"""

import base64
import hashlib
import socket
import struct
import threading

from webdoor.http import CHUNK, Gone

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSING_SECONDS = 5  # for the browser's answer to our close
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10  # RFC 6455, 5.2
# RFB (RFC 6143, 7.1): what a viewer sends before its answer to the password's challenge, version and choice; and more
# than a server sends to a viewer that it does not let in.
BEFORE_GUESS, MORE_THAN_REFUSAL = 12 + 1, 256
REFUSED, TOO_MANY = 1, b"too many wrong passwords; wait half a minute"


def is_upgrade(request):
    headers = request.headers
    return request.method == "GET" and headers.get("upgrade", "").lower() == "websocket" and bool(_key(headers))


def _key(headers):
    return headers.get("sec-websocket-key", "")


def accept(client, headers):
    # SHA-1 is what RFC 6455 prescribes; it protects nothing here.
    told = base64.b64encode(hashlib.sha1(_key(headers).encode() + GUID, usedforsecurity=False).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {told}",
    ]
    if "binary" in headers.get("sec-websocket-protocol", "").replace(" ", "").split(","):
        lines.append("Sec-WebSocket-Protocol: binary")
    client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")


class Guesses:
    """What a connection tells of a guess at the VNC password, and whether it may be made now."""

    def __init__(self, throttle, who):
        self._throttle, self._who, self._up, self._down, self._asked = throttle, who, 0, 0, False

    def may_pass(self, size):
        """False, once, for a guess that comes too early: it must not reach the server."""
        self._up += size
        if self._asked or self._up <= BEFORE_GUESS:
            return True
        self._asked = True
        return self._throttle.admit(self._who) == 0

    def came_back(self, size):
        before, self._down = self._down, self._down + size
        if self._asked and before <= MORE_THAN_REFUSAL < self._down:
            self._throttle.passed(self._who)


def bridge(client, rest, server, guesses):
    """Both directions at once until either side ends, or the time that `client` has; each has its thread, so that
    neither waits for the other."""
    server.settimeout(None)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for peer in (client, server):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    viewer, over = Viewer(client), threading.Event()
    down = threading.Thread(target=pump_down, args=(server, viewer, over, guesses), daemon=True)
    down.start()
    try:
        pump_up(viewer, Reader(client, rest), server, guesses)
    finally:
        over.set()
        shut(server)
        down.join()
        shut(client)


def pump_down(server, viewer, over, guesses):
    """VNC server to browser: what comes is one binary message. Its end is told, and the browser's answer waited for."""
    try:
        while data := server.recv(CHUNK):
            guesses.came_back(len(data))
            viewer.send(BINARY, data)
        viewer.send(CLOSE, struct.pack(">H", 1000))
    except OSError:
        pass  # one side broke off: what is left is to let the other go
    else:
        over.wait(CLOSING_SECONDS)
    finally:
        shut(viewer.client)


def pump_up(viewer, reader, server, guesses):
    """Browser to VNC server: payloads, in order; pings are answered, a close ends it."""
    while True:
        first, second = reader.take(2)
        opcode, size = first & 15, second & 127
        if first & 0x70 or not second & 128 or opcode not in (0, 1, BINARY, CLOSE, PING, PONG):
            raise Gone  # extensions we have not agreed to, or a frame without the mask that a browser must use
        if size > 125:
            if opcode >= CLOSE:
                raise Gone
            size = struct.unpack(">H", reader.take(2))[0] if size == 126 else struct.unpack(">Q", reader.take(8))[0]
        mask = reader.take(4)
        if opcode <= BINARY:
            while size:
                # CHUNK is a multiple of 4: each part begins with the mask's first byte
                part = reader.take(min(size, CHUNK))
                size -= len(part)
                if guesses.may_pass(len(part)):
                    forward(server, unmasked(part, mask))
                else:
                    viewer.send(BINARY, struct.pack(">II", REFUSED, len(TOO_MANY)) + TOO_MANY)
                    shut(server)  # pump_down closes, and waits for the browser's answer
            continue
        payload = unmasked(reader.take(size), mask)
        if opcode == PING:
            viewer.send(PONG, payload)
        elif opcode == CLOSE:
            viewer.send(CLOSE, payload[:2])
            return


def forward(server, data):
    try:
        server.sendall(data)
    except OSError:
        pass  # the VNC server has ended: pump_down tells the browser, whose answer is still to be read


class Viewer:
    """The sending side of a web socket, for two threads: whole frames, and nothing after the one close (5.5.1)."""

    def __init__(self, client):
        self.client, self._sending, self._closed = client, threading.Lock(), False

    def send(self, opcode, payload):
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", 0x80 | opcode, size)
        elif size < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
        with self._sending:
            if not self._closed:
                self._closed = opcode == CLOSE
                self.client.sendall(head + payload)


class Reader:
    """Exactly as many bytes as asked for."""

    def __init__(self, client, rest):
        self._client, self._data = client, bytearray(rest)

    def take(self, size):
        while len(self._data) < size:
            more = self._client.recv(CHUNK)
            if not more:
                raise Gone
            self._data += more
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken


def unmasked(data, mask):
    """XOR of all bytes with the repeated mask, as one long number: a loop over bytes would be 50 times slower."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def shut(peer):
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already shut
