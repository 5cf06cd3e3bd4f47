"""Listens, and follows each connection from its first byte to its last. Which door it is, open to this machine alone or
exposed, is decided once, at the start."""

import os
import socket
import sys
import threading

from webdoor import files, http, rules, websocket

WEBSOCKET_PATH, SESSION_PATH, LOGIN_PATH, LOGOUT_PATH = "/websockify", "/session", "/login", "/logout"
UNLOCKED = ("/viewer.css", "/icon.svg")  # of the login page
MOST_CONNECTIONS = 64
IDLE_SECONDS = 30
ENDS = (http.Gone, OSError)  # of a connection, in the ordinary way


class Door:
    """What all connections share. `login` and `context` (of TLS) are None where only this machine gets in."""

    def __init__(self, listed, rfb_port, names=(), login=None, context=None, secret_file=None):
        self.files, self.rfb_port, self.names = listed, rfb_port, frozenset(names)
        self.login, self.context, self._secret_file = login, context, secret_file
        self.throttle = rules.Throttle()
        self.page_scheme, self.socket_scheme = ("https", "wss") if context else ("http", "ws")

    def describe_session(self):
        """What our page asks for first. Who has logged in need not know the VNC password: the page gets it here."""
        import json

        if self.login is None:
            return json.dumps({"login": False}).encode()
        with open(self._secret_file, encoding="ascii") as file:
            return json.dumps({"login": True, "password": file.read().strip()}).encode()


class Connection:
    """One client's requests, one after the other."""

    def __init__(self, door, client, address):
        self._door, self._client, self._guesser = door, client, rules.name_guesser(address)
        self._answers = http.Answers(client, door.socket_scheme)

    def serve(self):
        rest = b""
        while True:
            request = http.read_request(self._client, rest, IDLE_SECONDS)
            rest = request.rest
            self._client.settimeout(IDLE_SECONDS)  # the answer has its own
            if not self._answer(request) or request.headers.get("connection", "").lower() == "close":
                return

    def _answer(self, request):
        """Whether the connection goes on."""
        door, refuse = self._door, self._answers.refuse
        own = rules.is_own_page(request.headers, door.page_scheme, request.host)
        self._answers.host = request.host if rules.is_our_host(request.host, door.names) else ""
        if not self._answers.host:
            refuse(request, 421, "this workstation has another name")
        elif request.path == WEBSOCKET_PATH:
            self._serve_websocket(request, own)
        elif door.login and request.method == "POST" and request.path in (LOGIN_PATH, LOGOUT_PATH):
            if not own:
                refuse(request, 403, "this is for our own page")
                return False
            (self._log_in if request.path == LOGIN_PATH else self._log_out)(request)
            return True
        elif request.method not in ("GET", "HEAD") or request.body:
            self._answers.send(request, 405, b"GET and HEAD only\n", extra=("Allow: GET, HEAD", http.CLOSE))
        else:
            self._serve_get(request)
            return True
        return False

    def _serve_get(self, request):
        door, path = self._door, request.path
        inside = door.login is None or door.login.find_session(request.headers) is not None
        if door.login and path == LOGIN_PATH and not inside:
            self._send_login_page(request, 200, "")
        elif door.login and (path == LOGIN_PATH if inside else path in ("/", "/index.html")):
            self._redirect(request, "/" if inside else LOGIN_PATH)
        elif not inside and path not in UNLOCKED:
            self._answers.send(request, 401, b"log in first\n")
        elif path == SESSION_PATH:
            self._answers.send(request, 200, door.describe_session(), "application/json")
        else:
            found = files.load_file(door.files, path)
            if found is None:
                self._answers.send(request, 404, b"not found\n")
            else:
                self._answers.send_file(request, *found)

    # ------------------------------------------------------------------------------------------ login, logout

    def _log_in(self, request):
        cookie, wait = self._door.login.try_password(request.body, self._guesser)
        if cookie:
            self._redirect(request, "/", (cookie,))
        elif wait > 0:
            seconds = int(wait) + 1
            words = f"Too many wrong passwords. Try again in {seconds} s."
            self._send_login_page(request, 429, words, (f"Retry-After: {seconds}",))
        else:
            self._send_login_page(request, 403, "The password is wrong.")

    def _log_out(self, request):
        self._redirect(request, LOGIN_PATH, (self._door.login.end_session(request.headers),))

    def _redirect(self, request, path, extra=()):
        self._answers.send(request, 303, extra=(f"Location: {path}", http.NEVER_KEPT, *extra))

    def _send_login_page(self, request, status, message, extra=()):
        from webdoor.login import make_page

        page, kind = files.load_file(self._door.files, "/login.html")
        self._answers.send(request, status, make_page(page, message), kind, (http.NEVER_KEPT, *extra))

    # -------------------------------------------------------------------------------------------- web socket

    def _serve_websocket(self, request, own):
        door, refuse = self._door, self._answers.refuse
        if not websocket.is_upgrade(request):
            return refuse(request, 400, "a web socket is expected here")
        if not own:
            return refuse(request, 403, "this web socket is for its own page")
        session = door.login.find_session(request.headers) if door.login else None
        if door.login and (session is None or not session.hold(self._client)):
            return refuse(request, 401, "log in first")
        try:
            with self._open_vnc(request) as server:
                websocket.accept(self._client, request.headers)
                guesses = websocket.Guesses(door.throttle, self._guesser)
                self._client.settimeout(session.seconds_left() if session else None)
                websocket.bridge(self._client, request.rest, server, guesses)
        finally:
            if session:
                session.let_go(self._client)

    def _open_vnc(self, request):
        try:
            return socket.create_connection(("127.0.0.1", self._door.rfb_port), 5)
        except OSError as error:
            self._answers.refuse(request, 502, "the VNC server does not answer")
            raise http.Gone from error


# ------------------------------------------------------------------------------------------------------ the server


def handle(door, raw, address, places):
    try:
        with raw:
            raw.settimeout(IDLE_SECONDS)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = wrap(door, raw) if door.context else raw
            Connection(door, client, address).serve()
    except ENDS:
        pass
    finally:
        places.release()


def wrap(door, raw):
    """TLS on a connection. Plain HTTP is told so, and nothing else: neither a redirection nor a page, which somebody
    in between could replace."""
    from webdoor import tls

    if raw.recv(1, socket.MSG_PEEK) != bytes((tls.HANDSHAKE,)):
        request = http.read_request(raw, b"", IDLE_SECONDS)
        http.Answers(raw, "wss").refuse(request, 400, "this is https only: begin the address with https://")
        raise http.Gone
    client = tls.TlsSocket(raw, door.context)
    client.settimeout(IDLE_SECONDS)
    client.shake_hands()
    return client


def listen(port):
    """On IPv4 and IPv6 where the machine has it."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    return socket.create_server(("", port), backlog=64)


def make_door(options):
    """Exposed where `--secrets` names a folder; one that lacks a secret is no reason to open without."""
    listed, rfb_port = files.find_files(), int(options["--rfb"])
    names = os.environ.get("DEVBOX_WEB_NAMES", "").split()
    folder = options.get("--secrets")
    if folder is None:
        return Door(listed, rfb_port, names)
    from webdoor import login, tls

    try:
        with open(f"{folder}/web-password.sha256", encoding="ascii") as file:
            digest = file.read().strip()
        context = tls.make_context(f"{folder}/tls.pem")
    except OSError as error:
        sys.exit(f"web: exposed, but its secrets cannot be used: {error}")
    entry = login.Login(digest, socket.gethostname())
    return Door(listed, rfb_port, names, entry, context, f"{folder}/vnc-password")


def main(arguments):
    options = dict(zip(arguments[::2], arguments[1::2]))
    door = make_door(options)
    places = threading.BoundedSemaphore(MOST_CONNECTIONS)
    with listen(int(options["--port"])) as server:
        print(f"serving {len(door.files)} files on port {options['--port']} by {door.page_scheme}", flush=True)
        while True:
            places.acquire()
            raw, address = server.accept()
            try:
                threading.Thread(target=handle, args=(door, raw, address[0], places), daemon=True).start()
            except RuntimeError as error:  # where no more threads may be: this caller goes, those who are in stay
                print(f"a caller was sent away: {error}", flush=True)
                raw.close()
                places.release()
