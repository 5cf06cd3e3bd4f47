"""The web door of the image, in this process: who gets in, who does not, and what a browser is told to refuse."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from builder.adapters.certificates import ensure_own
from tests.catalogue.webdoor import PATIENCE, VNC_BANNER, WEB_PASSWORD, connected, load_webdoor, loopback_pair

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "ZGV2Ym94LXByb2JlLTAwMQ==",
    "Sec-WebSocket-Version": "13",
}

rules, server, login, tls, http_door = (load_webdoor(name) for name in ("rules", "server", "login", "tls", "http"))


class Client(http.client.HTTPConnection):
    """HTTP over a socket that is there already."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__("localhost")
        self.sock = connection

    def connect(self) -> None:
        raise AssertionError("the server closed the connection")


Ask = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def ask(listed: Mapping[str, tuple[str, str]], vnc_port: int) -> Iterator[Ask]:
    """Ask the door that is open to this machine alone."""
    door = server.Door(listed, vnc_port, ["box.example"])
    with asking(lambda: connected(door)) as asked:
        yield asked


@contextmanager
def asking(connect: Callable[[], object]) -> Iterator[Ask]:
    with ExitStack() as stack:

        def asked(
            method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
        ) -> http.client.HTTPResponse:
            client = Client(stack.enter_context(connect()))  # type: ignore[arg-type]
            client.request(method, path, body, {"Host": "localhost:6080", **(headers or {})})
            return client.getresponse()

        yield asked


# ------------------------------------------------------------------------------------------------- open to this machine


def test_every_answer_has_the_headers_that_browsers_obey(ask: Ask) -> None:
    for path in ("/", "/viewer.js", "/session", "/nothing"):
        answer = ask("GET", path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "ws://localhost:6080" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == ("no-cache" if path in ("/", "/viewer.js") else "no-store")


def test_a_page_is_kept_until_it_changes(ask: Ask) -> None:
    tag = ask("GET", "/").headers["ETag"]
    same = ask("GET", "/", {"If-None-Match": tag})
    assert (same.status, same.headers["ETag"], same.headers["Content-Length"]) == (304, tag, None)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:1", "127.0.0.1:6080", "[::1]:6080", "192.0.2.9", "box.example", "Box.Example:443"]
)
def test_our_names_and_any_address_are_answered(ask: Ask, host: str) -> None:
    assert ask("GET", "/", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "box.example.evil.example", "127.0.0.1.evil.example", "", "a b", "box.example:x", "@"]
)
def test_another_name_that_was_made_to_point_here_is_not(ask: Ask, host: str) -> None:
    """DNS rebinding: the browser believes that the page of `host` talks to its own server."""
    assert ask("GET", "/", {"Host": host}).status == 421
    assert ask("GET", "/websockify", {**UPGRADE, "Host": host}).status == 421


def test_the_web_socket_leads_to_the_vnc_server(ask: Ask) -> None:
    assert ask("GET", "/websockify", {**UPGRADE, "Origin": "http://localhost:6080"}).status == 101
    assert ask("GET", "/websockify", UPGRADE).status == 101  # no browser: those always say who they are


@pytest.mark.parametrize(
    "origin",
    ["https://localhost:6080", "http://localhost", "http://localhost:6081", "http://elsewhere.example", "null", ""],
)
def test_a_page_of_another_origin_may_not_use_the_web_socket(ask: Ask, origin: str) -> None:
    assert ask("GET", "/websockify", {**UPGRADE, "Origin": origin}).status == 403


def test_there_is_no_login_where_nothing_is_exposed(ask: Ask) -> None:
    assert json.loads(ask("GET", "/session").read()) == {"login": False}
    assert ask("POST", "/login", body=b"password=x").status == 405


def test_queries_change_nothing(ask: Ask) -> None:
    plain, queried = ask("GET", "/"), ask("GET", "/?host=elsewhere.example&port=1&path=x&password=y")
    assert plain.read() == queried.read()


# ------------------------------------------------------------------------------------------------------------- exposed


@pytest.fixture
def trusting(exposed: object, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tmp_path / "authority/ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.fixture
def ask_exposed(exposed: object, trusting: ssl.SSLContext) -> Iterator[Ask]:
    @contextmanager
    def connect() -> Iterator[socket.socket]:
        with connected(exposed) as near, trusting.wrap_socket(near, server_hostname="box.example") as wrapped:
            yield wrapped

    with asking(connect) as asked:
        yield asked


def log_in(ask: Ask, password: str = WEB_PASSWORD, **headers: str) -> http.client.HTTPResponse:
    return ask("POST", "/login", headers, f"username=devbox&password={password.replace(' ', '+')}".encode())


def cookies_of(answer: http.client.HTTPResponse) -> str:
    return "; ".join(line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie") or ())


def test_without_a_session_there_is_a_login_page_and_nothing_else(ask_exposed: Ask) -> None:
    answer = ask_exposed("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    page = ask_exposed("GET", "/login")
    assert page.status == 200
    assert b'type="password"' in page.read()
    for path in ("/viewer.js", "/session", "/novnc/core/rfb.js", "/nothing"):
        assert ask_exposed("GET", path).status == 401
    assert ask_exposed("GET", "/websockify", UPGRADE).status == 401


def test_the_right_password_opens_a_session_by_a_cookie_that_stays_where_it_belongs(ask_exposed: Ask) -> None:
    answer = log_in(ask_exposed, Origin="https://localhost:6080")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    for line in answer.headers.get_all("Set-Cookie") or ():
        assert line.startswith("__Host-devbox-box")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(line.split("; "))
    mine = {"Cookie": cookies_of(answer)}
    assert b"viewer.js" in ask_exposed("GET", "/", mine).read()
    assert json.loads(ask_exposed("GET", "/session", mine).read()) == {"login": True, "password": "vncvncvn"}
    assert ask_exposed("GET", "/websockify", {**UPGRADE, **mine, "Origin": "https://localhost:6080"}).status == 101
    assert ask_exposed("GET", "/websockify", {**UPGRADE, **mine, "Origin": "http://localhost:6080"}).status == 403
    assert ask_exposed("GET", "/login", mine).headers["Location"] == "/"


def test_a_cookie_that_was_made_up_opens_nothing(ask_exposed: Ask) -> None:
    log_in(ask_exposed)
    for value in ("", "0" * 64, "x", "é"):
        assert ask_exposed("GET", "/session", {"Cookie": f"__Host-devbox-box={value}"}).status == 401


def test_a_logout_ends_the_session_and_its_web_sockets(ask_exposed: Ask) -> None:
    mine = {"Cookie": cookies_of(log_in(ask_exposed))}
    desktop = ask_exposed("GET", "/websockify", {**UPGRADE, **mine})
    assert desktop.status == 101
    assert ask_exposed("POST", "/logout", {**mine, "Origin": "https://elsewhere.example"}).status == 403
    answer = ask_exposed("POST", "/logout", mine)
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert ask_exposed("GET", "/session", mine).status == 401
    assert desktop.fp.read().endswith(VNC_BANNER)  # and then the end


def test_a_session_ends_by_itself(exposed: object, ask_exposed: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposed.login, "_lifetime", 0.5)  # type: ignore[attr-defined]
    mine = {"Cookie": cookies_of(log_in(ask_exposed))}
    desktop = ask_exposed("GET", "/websockify", {**UPGRADE, **mine})
    assert desktop.status == 101
    assert desktop.fp.read().endswith(VNC_BANNER)  # and then the end
    assert ask_exposed("GET", "/session", mine).status == 401


def test_a_session_that_is_over_leaves_nothing_running(ask_exposed: Ask) -> None:
    ask_exposed("POST", "/logout", {"Cookie": cookies_of(log_in(ask_exposed))})
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_only_so_many_sessions_are_open_and_the_oldest_without_a_viewer_makes_room(ask_exposed: Ask) -> None:
    first, second = ({"Cookie": cookies_of(log_in(ask_exposed))} for _ in range(2))
    assert ask_exposed("GET", "/websockify", {**UPGRADE, **first}).status == 101
    for _ in range(login.MOST_SESSIONS - 2):
        log_in(ask_exposed)
    assert ask_exposed("GET", "/session", second).status == 200
    log_in(ask_exposed)
    assert [ask_exposed("GET", "/session", one).status for one in (first, second)] == [200, 401]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a=1&" * 100 + b"password=x", b"password", b"password=&password="])
def test_what_no_form_sends_is_a_wrong_password(ask_exposed: Ask, body: bytes) -> None:
    assert ask_exposed("POST", "/login", body=body).status == 403


def test_a_name_that_is_not_ours_comes_back_in_no_header(ask: Ask) -> None:
    answer = ask("GET", "/", {"Host": "evil.example;script-src"})
    assert answer.status == 421
    assert "evil" not in str(answer.headers)


def test_a_page_of_another_site_may_not_log_in(ask_exposed: Ask) -> None:
    assert log_in(ask_exposed, Origin="https://elsewhere.example").status == 403
    assert log_in(ask_exposed, Origin="null").status == 403


def test_wrong_passwords_are_refused_and_then_told_to_wait(ask_exposed: Ask) -> None:
    for _ in range(rules.Throttle.FREE):
        answer = log_in(ask_exposed, "wrong")
        assert answer.status == 403
        assert b"The password is wrong." in answer.read()
        assert answer.headers.get("Set-Cookie") is None
    answer = log_in(ask_exposed, "wrong")
    assert answer.status == 429
    assert answer.headers.get("Set-Cookie") is None
    assert int(answer.headers["Retry-After"]) >= 1
    assert b"Too many wrong passwords" in answer.read()


def test_a_new_browser_is_not_held_up_by_who_guesses_from_the_same_address(ask_exposed: Ask) -> None:
    while log_in(ask_exposed, "wrong").status != 429:
        pass
    assert log_in(ask_exposed).status == 303


def test_a_workstation_named_like_another_ones_cookie_shares_none_with_it(exposed: object) -> None:
    names = [
        line.partition("=")[0]
        for name in ("box", "box-known")
        for line in str(login.Login("", name)._begin()).split("Set-Cookie: ")[1:]
    ]
    assert len(set(names)) == len(names)


# ------------------------------------------------------------------------------------------------------- who is slow


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.6)
    return 0.6


def drip(near: socket.socket, data: bytes) -> float:
    """Seconds for which the other side took byte after byte."""
    began = time.monotonic()
    near.settimeout(0.1)
    for byte in data:
        try:
            near.sendall(bytes([byte]))
            if not near.recv(1 << 16):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_who_drips_a_handshake_holds_a_place_no_longer_than_anybody(exposed: object, impatient: float) -> None:
    with connected(exposed) as near:
        assert drip(near, b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc" + bytes(40)) < 2 * impatient


def test_who_drips_a_record_holds_a_place_no_longer_than_anybody(
    exposed: object, trusting: ssl.SSLContext, impatient: float
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname="box.example")
    with connected(exposed) as near:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                near.sendall(outgoing.read())
                incoming.write(near.recv(1 << 16))
        near.sendall(outgoing.read())
        client.write(b"GET / HTTP/1.1\r\nHost: box.example\r\n\r\n")
        assert drip(near, outgoing.read()) < 2 * impatient


def test_who_asks_late_gets_the_answer_whole(
    exposed: object, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An answer has time of its own, not what its request left over."""
    patience = 1.5  # 1.05 of them for 20 MB: on a busy machine that is not much
    monkeypatch.setattr(server, "IDLE_SECONDS", patience)
    (tmp_path / "large").write_bytes(b"x" * 20_000_000)
    exposed.files["/viewer.css"] = (str(tmp_path / "large"), "text/css")  # type: ignore[attr-defined]
    with connected(exposed) as near, trusting.wrap_socket(near, server_hostname="box.example") as wrapped:
        time.sleep(0.8 * patience)
        client = Client(wrapped)
        client.request("GET", "/viewer.css", headers={"Host": "localhost"})
        time.sleep(0.3 * patience)
        assert len(client.getresponse().read()) == 20_000_000


def test_a_length_of_thousands_of_digits_is_nonsense_like_any_other() -> None:
    near, far = loopback_pair()
    with near, far:
        near.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
        with pytest.raises(http_door.Gone):
            http_door.read_request(far, b"", PATIENCE)


def test_plain_http_gets_no_page_and_no_redirection(exposed: object) -> None:
    with connected(exposed) as near:
        client = Client(near)
        client.request("GET", "/", headers={"Host": "box.example"})
        answer = client.getresponse()
        assert (answer.status, answer.headers["Location"]) == (400, None)
        assert b"https" in answer.read()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(exposed: object, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version
    with connected(exposed) as near, pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        context.wrap_socket(near)


def test_tls_carries_much_in_both_directions_at_once(tmp_path: Path) -> None:
    """A viewer that is slow to read does not hold up what it types."""
    ensure_own(tmp_path / "authority", tmp_path / "tls.pem", [])
    near, far = loopback_pair()
    served = tls.TlsSocket(far, tls.make_context(str(tmp_path / "tls.pem")))
    context = ssl.create_default_context(cafile=tmp_path / "authority/ca.pem")
    down, up = b"d" * 20_000_000, b"u" * 1_000_000
    far.settimeout(PATIENCE)
    shaking = threading.Thread(target=served.shake_hands, daemon=True)
    shaking.start()
    with far, context.wrap_socket(near, server_hostname="localhost") as client:
        shaking.join(PATIENCE)
        threading.Thread(target=served.sendall, args=(down,), daemon=True).start()
        client.sendall(up)
        got = 0
        while got < len(up):
            got += len(served.recv(1 << 16))
        assert got == len(up)
        received = 0
        while received < len(down):
            received += len(client.recv(1 << 16))
        assert received == len(down)


# ----------------------------------------------------------------------------------------------------------- the rules


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_pause_grows_to_half_a_minute_and_is_forgotten_after_a_quarter_of_an_hour() -> None:
    clock = Clock()
    throttle = rules.Throttle(clock)
    waits = []
    for _ in range(13):
        while wait := throttle.admit("mallory"):
            waits.append(round(wait, 6))
            clock.now += wait
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert throttle.admit("mallory") > 0
    clock.now += 30 + rules.Throttle.FORGET + 1
    for _ in range(rules.Throttle.FREE):
        assert throttle.admit("mallory") == 0


def test_a_right_password_wipes_the_slate() -> None:
    throttle = rules.Throttle(Clock())
    for _ in range(3 * rules.Throttle.FREE):
        throttle.admit("me")
        throttle.passed("me")
    assert throttle.admit("me") == 0


def test_many_guessers_share_one_allowance_and_take_no_more_memory() -> None:
    clock = Clock()
    throttle = rules.Throttle(clock)
    admitted = sum(throttle.admit(f"bot {n}") == 0 for n in range(5000))
    assert admitted == rules.Throttle.BURST
    clock.now += 10
    assert sum(throttle.admit(f"other {n}") == 0 for n in range(5000)) == 10 * rules.Throttle.RATE
    assert len(throttle._seen) <= rules.Throttle.MOST


def test_an_ipv6_customer_is_one_guesser() -> None:
    assert rules.name_guesser("2001:db8::1") == rules.name_guesser("2001:db8::ffff:1")
    assert rules.name_guesser("2001:db8::1") != rules.name_guesser("2001:db8:0:1::1")
    assert rules.name_guesser("::ffff:192.0.2.1") == rules.name_guesser("192.0.2.1")
