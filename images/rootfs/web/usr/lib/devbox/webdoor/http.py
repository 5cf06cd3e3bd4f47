"""One request in, one answer out (RFC 9112), with the headers that keep a browser from being used against its user.

Knows no paths and decides nothing: that is `server`.
"""

import hashlib
import time

LARGEST_HEAD = 16 * 1024
LARGEST_BODY = 1024  # a password
CHUNK = 64 * 1024
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
NEVER_KEPT = "Cache-Control: no-store"
CLOSE = "Connection: close"
REASONS = {
    101: "Switching Protocols",
    200: "OK",
    303: "See Other",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    421: "Misdirected Request",
    429: "Too Many Requests",
    502: "Bad Gateway",
}
# Nothing from elsewhere, and no page around ours. noVNC draws its cursor from data: URLs. The web socket is named
# besides 'self', since Safari before 15.4 does not count it in.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' {socket}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: same-origin",  # with no-referrer, a browser sends our own form with the origin "null"
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
    "Permissions-Policy: camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), serial=(), usb=()",
)


class Gone(Exception):
    """The other side closed, or spoke nonsense: the connection is over."""


class Request:
    """What was asked. `path` is without its query: no answer depends on one."""

    def __init__(self, method, path, headers, body, rest):
        self.method, self.path, self.headers, self.body, self.rest = method, path, headers, body, rest
        self.host = headers.get("host", "").lower()


def read_request(client, rest, seconds):
    """The next request, whole within `seconds`: who drips byte by byte holds no place for ever. `rest` is what came
    behind the one before."""
    deadline = time.monotonic() + seconds
    data = rest
    while b"\r\n\r\n" not in data:
        if len(data) > LARGEST_HEAD:
            raise Gone
        data += _more(client, deadline)
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Gone
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        if name == "host" and name in headers:
            raise Gone  # two of them: which one was meant is anybody's guess
        headers[name] = value.strip()
    if words[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    size = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not size.isdecimal() or len(size) > 4 or int(size) > LARGEST_BODY:
        raise Gone  # no browser sends that here
    while len(rest) < int(size):
        rest += _more(client, deadline)
    body, rest = rest[: int(size)], rest[int(size) :]
    return Request(words[0], words[1].partition("?")[0], headers, body, rest)


def _more(client, deadline):
    left = deadline - time.monotonic()
    if left <= 0:
        raise Gone
    client.settimeout(left)
    data = client.recv(CHUNK)
    if not data:
        raise Gone
    return data


class Answers:
    """Writes answers to one client. `scheme` is of its web socket: ws or wss; `host` a name of ours, once it was called
    by one."""

    def __init__(self, client, scheme):
        self._client, self._scheme, self.host = client, scheme, ""

    def send(self, request, status, body=b"", kind=TEXT, extra=(NEVER_KEPT,)):
        socket = f"{self._scheme}://{self.host}" if self.host else ""
        lines = [
            f"HTTP/1.1 {status} {REASONS[status]}",
            # Of 304 they would be those of what the browser has (RFC 9110, 8.6 and 15.4.5).
            *(() if status == 304 else (f"Content-Type: {kind}", f"Content-Length: {len(body)}")),
            *HEADERS,
            "Content-Security-Policy: " + POLICY.format(socket=socket),
            *extra,
        ]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self._client.sendall(head if request.method == "HEAD" else head + body)

    def refuse(self, request, status, why):
        """An answer that ends the connection, in words."""
        self.send(request, status, why.encode() + b"\n", extra=(NEVER_KEPT, CLOSE))

    def send_file(self, request, body, kind):
        tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        # Kept, but asked for again each time: file names do not change when noVNC is updated.
        extra = (f"ETag: {tag}", "Cache-Control: no-cache")
        same = request.headers.get("if-none-match") == tag
        self.send(request, 304 if same else 200, b"" if same else body, kind, extra)
