"""Read a URL: bounded in time, never from https down to http, with the proxies and certificates of this machine.

Owns the HTTP conversation only. What is done with the bytes, and whether they are the right ones, is the caller's.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final, cast

from builder.errors import ConfigError, HostError
from builder.redaction import has_login

UNTRUSTED: Final = "`ca_bundle` in devbox.yaml names the file with the certificates of your network's own authority"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, which is another one inside a build step."""
    host = urllib.parse.urlsplit(url if "://" in url else f"//{url}").hostname or ""
    return host in LOOPBACK or host.startswith("127.")


def make_bypass(no_proxy: str) -> Callable[[str], bool]:
    """Whether a host is asked without a proxy, by the rules of curl and urllib."""
    # Documented for proxy_bypass, and missing in typeshed.
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    told = no_proxy.replace("*.", ".")  # as programs in Go write a domain
    return lambda host: bool(proxy_bypass_environment(host, {"no": told}))


class Unreachable(HostError):
    """A source on the network (or a local file named as a source) could not be had; a substitution may apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An open answer. `size` is what the server announces, 0 where it does not."""

    stream: IO[bytes]
    size: int


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but neither from https to http nor to another scheme."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in {"https", urllib.parse.urlsplit(req.full_url).scheme}:
            raise Unreachable(f"redirects to {scheme or 'nowhere'}, which is less safe", where=req.full_url)
        if has_login(newurl):
            raise Unreachable("redirects to an address with a password in it", where=req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str, *, allow_http: bool = False) -> None:
    """Refuse what is not https; http is fine on loopback, or where `allow_http` (content signed otherwise).

    An address with a password counts as unreachable: it would be written into the sources of what is built from it.
    """
    if has_login(url):
        raise Unreachable("its address holds a password, which would end up in an image", where=url)
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname:
        raise ConfigError("this URL has no host", where=url, hint="write it as https://host/path")
    if parts.scheme == "https" or (parts.scheme == "http" and (allow_http or parts.hostname in LOOPBACK)):
        return
    raise ConfigError(f"{parts.scheme}: is not allowed here", where=url, hint="use an https URL or a local file")


@contextlib.contextmanager
def open_url(
    url: str, *, timeout_s: float, allow_http: bool = False, head: bool = False, ca: bytes | None = None
) -> Iterator[Response]:
    """Open `url` for reading. `timeout_s` bounds every single network operation; `ca` is trusted beside the
    certificates of this machine. Raises Unreachable."""
    check_url(url, allow_http=allow_http)
    method = "HEAD" if head else "GET"
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "devbox"})  # noqa: S310  checked above
    opener = urllib.request.build_opener(_NoDowngrade(), urllib.request.HTTPSHandler(context=_trust(ca)))
    with translated(url):
        answer = cast("http.client.HTTPResponse", opener.open(request, timeout=timeout_s))
    with answer:
        length = answer.headers.get("Content-Length", "")
        yield Response(stream=answer, size=int(length) if length.isdigit() else 0)


def _trust(ca: bytes | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(cadata=ca.decode("ascii", "ignore"))
        except ssl.SSLError as error:
            hint = "it has to hold certificates as PEM; `openssl x509 -in FILE -text` shows the first"
            raise HostError(f"the CA bundle cannot be used: {error.reason}", where="ca_bundle", hint=hint) from error
    return context


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the many exceptions of a network conversation into one `Unreachable` that says what happened."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise Unreachable(f"the server says {error.code} {error.reason}", where=url) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted here: {error.reason.verify_message}"
            raise Unreachable(text, where=url, hint=UNTRUSTED) from error
        unknown = isinstance(error.reason, socket.gaierror)
        reason = "its server's name cannot be looked up" if unknown else f"cannot be reached: {error.reason}"
        raise Unreachable(reason, where=url) from error
    except http.client.InvalidURL as error:  # its words are a piece of the address, which can be one of a password
        raise Unreachable("its address, or that of the proxy, is none", where=url) from error
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise Unreachable(f"the connection failed: {error or type(error).__name__}", where=url) from error
