"""The web door of the group `doors`: the page, its web socket, and, where it is exposed, TLS and the login before them.

Every refusal is tried from outside. Nothing of a person's is touched: what logs in here logs out.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from builder.adapters.web import (
    Page,
    WebError,
    WebPlace,
    WebRefusedError,
    WebTlsError,
    ask,
    check_page,
    check_websocket,
    offers_tls,
)
from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure

if TYPE_CHECKING:
    from builder.model import Exposure, Resolved
    from builder.suite.subject import Subject

WEB_SOCKET: Final = "/websockify"
FOREIGN: Final = "http://elsewhere.invalid"
FOREIGN_HOST: Final = "elsewhere.invalid"
# What noVNC's own page takes from its address, and ours must not.
QUERY: Final = "/?host=elsewhere.invalid&port=1&path=other&encrypt=0&password=guessed&autoconnect=1"
POLICY: Final = ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'")
HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
COOKIE: Final = frozenset({"Secure", "HttpOnly", "SameSite=Strict", "Path=/"})
OLD: Final = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
MANY_TRIES: Final = 10
LOOK: Final = "devbox logs web"


def make_cases(resolved: Resolved) -> Iterator[Case]:
    yield from (page, socket, foreign, foreign_host, headers, query)
    if resolved.runtime.exposure is not None:
        yield from (plain_http, old_tls, certificate, login, session, wrong_password)


# ------------------------------------------------------------------------------------------------------- ways to it


def find_place(subject: Subject) -> WebPlace:
    """Where the web door is, without a session. Exposed, it is held to its certificate, one of ours to its address."""
    address, port = subject.place("web")
    exposure = subject.resolved.runtime.exposure
    if exposure is None:
        return WebPlace(host=address, port=port)
    name = address if exposure.certificate is None else None
    return WebPlace(host=address, port=port, tls=_trust(subject, exposure, named=name is not None), name=name)


@contextmanager
def entered(subject: Subject) -> Iterator[WebPlace]:
    """Logged in, where that is asked for, and out again: a session that is left open stays for half a day."""
    place = find_place(subject)
    if place.tls is None:
        yield place
        return
    place = replace(place, cookie=_cookies(_log_in(subject)))
    try:
        yield place
    finally:
        _log_out(place)


def _log_in(subject: Subject) -> Page:
    secret = subject.keys.web_password
    if secret is None:
        raise CheckFailure("a web password on this machine", "there is none", "devbox up")
    answer = _try_password(find_place(subject), secret.reveal())
    if answer.status != 303:
        raise CheckFailure("`devbox password web` to open a session", f"status {answer.status}", LOOK)
    return answer


def _try_password(place: WebPlace, password: str) -> Page:
    return ask(
        place, "POST", "/login", headers={"Origin": place.origin}, body=urlencode({"password": password}).encode()
    )


def _log_out(place: WebPlace) -> None:
    ask(place, "POST", "/logout", headers={"Origin": place.origin})


def _set_cookies(answer: Page) -> list[str]:
    return [value for name, value in answer.headers if name == "set-cookie"]


def _cookies(answer: Page) -> str:
    return "; ".join(line.partition(";")[0] for line in _set_cookies(answer))


# ---------------------------------------------------------------------------------------------------------- always


@case("doors.web-page", "the web page of the desktop is served", door="web")
def page(subject: Subject) -> None:
    with entered(subject) as place:
        try:
            found = check_page(place)
        except WebError as error:
            raise CheckFailure(f"a page at {place.origin}/", error.message, LOOK) from error
    if "html" not in found.content_type or b"viewer.js" not in found.body:
        told = f"{found.content_type}, {len(found.body)} bytes"
        raise CheckFailure("the page of the viewer", told, f"devbox open web --print, and look at {place.origin}/")


@case("doors.web-socket", "the web socket leads to the VNC server", door="web")
def socket(subject: Subject) -> None:
    with entered(subject) as place:
        try:
            found = check_websocket(place, WEB_SOCKET)
        except WebError as error:
            raise CheckFailure("101 and the banner of a VNC server", error.message, LOOK) from error
    if found.subprotocol not in ("binary", ""):
        raise CheckFailure("the subprotocol binary", found.subprotocol, LOOK)


@case("doors.web-foreign-origin", "a page of another site may not use the web socket", door="web")
def foreign(subject: Subject) -> None:
    with entered(subject) as place:
        _refuses(403, "a foreign origin", lambda: check_websocket(place, WEB_SOCKET, origin=FOREIGN))


@case("doors.web-foreign-host", "a name of another site that was made to point here is not answered", door="web")
def foreign_host(subject: Subject) -> None:
    """DNS rebinding: to the browser, the page of that name and this door would be the same site."""
    with entered(subject) as place:
        answer = ask(place, "GET", "/", headers={"Host": FOREIGN_HOST})
    if answer.status != 421:
        raise CheckFailure(f"status 421 for the name {FOREIGN_HOST}", f"status {answer.status}", LOOK)


@case("doors.web-headers", "the page tells browsers what not to allow", door="web")
def headers(subject: Subject) -> None:
    with entered(subject) as place:
        found = ask(place, "GET", "/")
    policy = found.header("content-security-policy")
    missing = [part for part in POLICY if part not in policy]
    missing += [f"{name}: {value}" for name, value in HEADERS.items() if found.header(name) != value]
    if missing or "unsafe" in policy:
        raise CheckFailure(f"headers with {'; '.join(missing) or 'nothing unsafe'}", policy or "no policy", LOOK)


@case("doors.web-query", "what stands behind a ? in the page's address changes nothing", door="web")
def query(subject: Subject) -> None:
    with entered(subject) as place:
        plain, queried = ask(place, "GET", "/"), ask(place, "GET", QUERY)
    if (plain.status, plain.body) != (queried.status, queried.body):
        raise CheckFailure("the same page", f"status {queried.status}, {len(queried.body)} bytes", LOOK)


# --------------------------------------------------------------------------------------------------------- exposed


@case("doors.web-plain-http", "without TLS there is neither page nor redirection", door="web")
def plain_http(subject: Subject) -> None:
    answer = ask(replace(find_place(subject), tls=None), "GET", "/")
    if answer.status != 400 or "html" in answer.content_type or answer.header("location"):
        told = f"status {answer.status}, {answer.content_type} {answer.header('location')}".rstrip()
        raise CheckFailure("status 400 and a line of text", told, LOOK)


@case("doors.web-old-tls", "TLS 1.0 and 1.1 are refused", door="web")
def old_tls(subject: Subject) -> None:
    offered = [version.name for version in OLD if offers_tls(find_place(subject), version)]
    if offered:
        raise CheckFailure("TLS 1.2 and newer alone", f"{', '.join(offered)} too", LOOK)


@case("doors.web-certificate", "the certificate is signed as it should be, and names the workstation", door="web")
def certificate(subject: Subject) -> str:
    exposure = subject.resolved.runtime.exposure
    assert exposure is not None  # noqa: S101  # there is no such case otherwise
    place = find_place(subject)
    names = (*exposure.names, *((place.host,) if exposure.certificate is None else ()))
    try:
        for name in names or (None,):
            ask(replace(place, tls=_trust(subject, exposure, named=name is not None), name=name), "GET", "/login")
    except WebTlsError as error:
        raise CheckFailure(f"a certificate for {', '.join(names) or 'it'}", error.message, "devbox up") from error
    return ", ".join(names)


def _trust(subject: Subject, exposure: Exposure, *, named: bool) -> ssl.SSLContext:
    """Our own authority alone; of a given certificate that one alone."""
    anchor = exposure.certificate or subject.keys.authority
    if anchor is None or not Path(anchor).is_file():
        raise CheckFailure("a certificate to trust on this machine", f"no file {anchor}", "devbox up")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = named
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=anchor)
    return context


@case("doors.web-login", "without a session there is the login page and nothing else", door="web")
def login(subject: Subject) -> None:
    place = find_place(subject)
    start = ask(place, "GET", "/")
    if (start.status, start.header("location")) != (303, "/login"):
        raise CheckFailure("the page to lead to the login", f"status {start.status}", LOOK)
    form = ask(place, "GET", "/login")
    if form.status != 200 or b'type="password"' not in form.body:
        raise CheckFailure("a form for the password", f"status {form.status}", LOOK)
    for path in ("/viewer.js", "/session"):
        if (status := ask(place, "GET", path).status) != 401:
            raise CheckFailure(f"status 401 for {path}", f"status {status}", LOOK)
    _refuses(401, "a web socket without a session", lambda: check_websocket(place, WEB_SOCKET, origin=place.origin))


@case(
    "doors.web-session",
    "the web password opens a session, by a cookie that no script and no other site gets; a logout ends it",
    door="web",
)
def session(subject: Subject) -> None:
    answer = _log_in(subject)
    place = replace(find_place(subject), cookie=_cookies(answer))
    inside = ask(place, "GET", "/session").status
    _log_out(place)
    if (statuses := (inside, ask(place, "GET", "/session").status)) != (200, 401):
        raise CheckFailure("status 200 for /session, and 401 after the logout", f"{statuses}", LOOK)
    lines = _set_cookies(answer)
    careless = [line for line in lines if not line.startswith("__Host-") or not set(line.split("; ")) >= COOKIE]
    if careless or not lines:
        told = "; ".join(careless[0].split("; ")[1:]) if careless else "no cookie"
        raise CheckFailure(f"cookies with {', '.join(sorted(COOKIE))}", told, LOOK)


@case("doors.web-wrong-password", "wrong web passwords are refused, and told to wait; the right one is not", door="web")
def wrong_password(subject: Subject) -> str:
    place = find_place(subject)
    for tries in range(MANY_TRIES):
        answer = _try_password(place, "guessed")
        if answer.status not in (403, 429) or _set_cookies(answer):
            raise CheckFailure("a wrong password to be refused", f"status {answer.status}", LOOK)
        if answer.status == 429 and answer.header("retry-after").isdecimal():
            with entered(subject):  # raises if it is held up by those guesses
                return f"after {tries}"
    raise CheckFailure("status 429 and a pause", f"{MANY_TRIES} guesses in a row get none", LOOK)


def _refuses(status: int, what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except WebRefusedError as refusal:
        if refusal.status == status:
            return
        raise CheckFailure(f"status {status}", str(refusal.status), LOOK) from refusal
    raise CheckFailure(f"status {status} for {what}", "the web socket opens", LOOK)
