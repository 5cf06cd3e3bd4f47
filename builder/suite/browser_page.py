"""Runs inside the workstation: serves one page on loopback and opens it in the browser, with a profile of its own.

Not imported: its text is sent inside. The page takes another colour when a key is pressed. It ends by itself after a
while, with the browser, whatever happens to who started it.
"""

import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

LIFE_S = 90
PAGE = """<!DOCTYPE html><title>devbox verify</title><style>html {{ background: {first} }}</style>
<script>addEventListener("keydown", () => {{ document.documentElement.style.background = "{then}"; }});</script>"""


class Page(BaseHTTPRequestHandler):
    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)


def stop(*_: object) -> None:
    raise SystemExit


def main(folder: Path, first: str, then: str) -> None:
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, stop)
    signal.alarm(LIFE_S)
    Page.text = PAGE.format(first=first, then=then).encode()
    server = HTTPServer(("127.0.0.1", 0), Page)
    (folder / "profile").mkdir()
    argv = ["firefox-esr", "--no-remote", "--profile", str(folder / "profile")]
    browser = subprocess.Popen([*argv, f"http://127.0.0.1:{server.server_port}/"], start_new_session=True)
    try:
        (folder / "pids.new").write_text(f"{os.getpid()} {browser.pid}\n")
        (folder / "pids.new").rename(folder / "pids")
        server.serve_forever()
    finally:
        os.killpg(browser.pid, signal.SIGTERM)
        browser.wait(10)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
