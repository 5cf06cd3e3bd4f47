"""The login of an exposed workstation: one password of its own, and sessions that this process alone remembers.

The password is kept as a hash: it is random and long (keys.py of devbox: 115 bits), so that a plain one will do, and
nothing inside the workstation can tell it. That length is what stands against guessing: the right one is let in
whatever others try, and only wrong ones are told to wait, which keeps the log short. A session ends at a logout, after
LIFETIME, and when this process does; with it end the web sockets that it opened.
"""

import hashlib
import hmac
import os
import socket
import threading
import time
import urllib.parse

from webdoor.rules import Throttle

LIFETIME = 12 * 3600
MOST_SESSIONS = 16
SECRET_BYTES = 32
MESSAGE = b"<!-- message -->"


class Session:
    def __init__(self, lifetime):
        self._ends = time.monotonic() + lifetime
        self._lock, self._clients, self._over = threading.Lock(), set(), False

    def seconds_left(self):
        return max(self._ends - time.monotonic(), 0.0)

    def hold(self, client):
        """`client` ends with this session; False if that is over already."""
        with self._lock:
            if not self._over:
                self._clients.add(client)
            return not self._over

    def is_used(self):
        return bool(self._clients)

    def let_go(self, client):
        with self._lock:
            self._clients.discard(client)

    def end(self):
        with self._lock:
            self._over, clients = True, tuple(self._clients)
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it ended by itself


class Login:
    """`digest` is the SHA-256 of the password, in hexadecimal. Cookies are named after the workstation: those of
    another one on the same machine reach this one too, since a cookie knows no port."""

    def __init__(self, digest, workstation, lifetime=LIFETIME):
        self._digest, self._lifetime = digest, lifetime
        self._cookie = f"__Host-devbox-{workstation}"
        self._lock, self._sessions = threading.Lock(), {}
        self._throttle = Throttle()

    def find_session(self, headers):
        secret = read_cookie(headers, self._cookie)
        with self._lock:
            session = self._sessions.get(_hash(secret)) if secret else None
        return session if session and session.seconds_left() else None

    def try_password(self, body, guesser):
        """(the header of a new session, or None for a wrong password; seconds to wait then)."""
        if hmac.compare_digest(_hash(read_password(body)), self._digest):
            return self._begin(), 0.0
        wait = self._throttle.admit(guesser)
        if wait <= 0:
            print(f"wrong password from {guesser}", flush=True)
        return None, wait

    def end_session(self, headers):
        """The header that makes the browser forget it, too."""
        self._end(_hash(read_cookie(headers, self._cookie) or ""))
        return self._make_header("", 0)

    def _begin(self):
        secret = os.urandom(SECRET_BYTES).hex()
        with self._lock:
            # The oldest goes, of those that nobody looks at the desktop with, if there is one. Those that are over are
            # among these, and older than any other.
            by_use = sorted(self._sessions, key=lambda one: self._sessions[one].is_used())
            surplus = by_use[: max(0, len(by_use) + 1 - MOST_SESSIONS)]
            self._sessions[_hash(secret)] = Session(self._lifetime)
        for oldest in surplus:
            self._end(oldest)
        return self._make_header(secret, self._lifetime)

    def _end(self, name):
        with self._lock:
            session = self._sessions.pop(name, None)
        if session is not None:
            session.end()

    def _make_header(self, secret, seconds):
        told = f"{self._cookie}={secret}; Max-Age={int(seconds)}; Path=/; Secure; HttpOnly; SameSite=Strict"
        return f"Set-Cookie: {told}"


def make_page(page, message):
    """The login page with a line on what went wrong; the words are ours."""
    return page.replace(MESSAGE, message.encode())


def read_password(body):
    """What the form sent; of something else, none."""
    try:
        return urllib.parse.parse_qs(body.decode("latin-1"), max_num_fields=8).get("password", [""])[0]
    except ValueError:  # more fields than any form of ours has
        return ""


def read_cookie(headers, name):
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return None


def _hash(text):
    return hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()
