"""The files that may be asked for: a list made at the start; a path that is not on it is not served."""

import os
import sys

NOVNC = "/opt/novnc/lib/node_modules/@novnc/novnc"
FOLDERS = (("", "/usr/share/devbox/web"), ("/novnc/core", NOVNC + "/core"), ("/novnc/vendor", NOVNC + "/vendor"))
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def find_files(folders=FOLDERS):
    """{URL path: (file, content type)}."""
    files = {}
    for prefix, folder in folders:
        for where, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(where, name)
                kind = TYPES.get(os.path.splitext(name)[1])
                if kind:
                    files[prefix + path[len(folder) :]] = (path, kind)
    for needed in ("/index.html", "/login.html", "/novnc/core/rfb.js"):
        if needed not in files:
            sys.exit(f"web: {needed} is missing in this image")
    files["/"] = files["/index.html"]
    return files


def load_file(files, path):
    """(body, content type) or None."""
    if path not in files:
        return None
    name, kind = files[path]
    with open(name, "rb") as file:
        return file.read(), kind
