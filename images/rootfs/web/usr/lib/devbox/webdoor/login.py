"""The login of an exposed workstation: one password of its own, and sessions that this process alone remembers.

The password is kept as a hash: it is random and long (keys.py of devbox), so that a plain one will do, and nothing
inside the workstation can tell it. A session ends at a logout, after LIFETIME, and when this process does; with it end
the web sockets that it opened.
"""

import hashlib
import hmac
import os
import socket
import threading
import urllib.parse

from webdoor.rules import Throttle

LIFETIME = 12 * 3600
MOST_SESSIONS = 16
MOST_KNOWN = 64  # browsers that have been in before
KNOWN_SECONDS = 90 * 24 * 3600
SECRET_BYTES = 32
MESSAGE = b"<!-- message -->"


class Session:
    def __init__(self):
        self._lock, self._clients, self._over = threading.Lock(), set(), False

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
        self.cookie, self.known_cookie = f"__Host-devbox-{workstation}", f"__Host-devbox-{workstation}-known"
        self._lock, self._sessions, self._known = threading.Lock(), {}, {}
        self.throttle = Throttle()

    def find_session(self, headers):
        secret = read_cookie(headers, self.cookie)
        with self._lock:
            return self._sessions.get(_hash(secret)) if secret else None

    def try_password(self, headers, body, guesser):
        """(seconds to wait, headers of a new session): 0 and None is a wrong password."""
        known = _hash(read_cookie(headers, self.known_cookie) or "")
        is_known = known in self._known
        who = known if is_known else guesser
        wait = self.throttle.admit(who, is_known)
        if wait > 0:
            return wait, None
        given = read_password(body)
        if not hmac.compare_digest(_hash(given), self._digest):
            print(f"wrong password from {guesser}", flush=True)
            return 0.0, None
        self.throttle.passed(who)
        return 0.0, self._begin()

    def end_session(self, headers):
        """The header that makes the browser forget it, too."""
        self._end(_hash(read_cookie(headers, self.cookie) or ""))
        return _cookie(self.cookie, "", 0)

    def _begin(self):
        secret, known = os.urandom(SECRET_BYTES).hex(), os.urandom(SECRET_BYTES).hex()
        name = _hash(secret)
        with self._lock:
            # The oldest goes, of those that nobody looks at the desktop with, if there is one.
            by_use = sorted(self._sessions, key=lambda one: self._sessions[one].is_used())
            surplus = by_use[: max(0, len(by_use) + 1 - MOST_SESSIONS)]
            self._sessions[name] = Session()
            self._known[_hash(known)] = None
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        for oldest in surplus:
            self._end(oldest)
        timer = threading.Timer(self._lifetime, self._end, [name])
        timer.daemon = True
        timer.start()
        return _cookie(self.cookie, secret, self._lifetime), _cookie(self.known_cookie, known, KNOWN_SECONDS)

    def _end(self, name):
        with self._lock:
            session = self._sessions.pop(name, None)
        if session is not None:
            session.end()


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


def _cookie(name, value, seconds):
    return f"Set-Cookie: {name}={value}; Max-Age={int(seconds)}; Path=/; Secure; HttpOnly; SameSite=Strict"


def _hash(text):
    return hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()
