"""Questions to the engine without the SDK, whose import costs more than a no-op `up` or a `status` may take.

Only for an engine behind a plain unix socket that answers as expected; anything else is None, and the caller asks the
SDK, which explains what is wrong.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from builder.adapters.clock import wait_for
from builder.adapters.engine.host import find_host
from builder.adapters.engine.views import container_view
from builder.adapters.remote.marks import unmark_folder
from builder.core.labels import LABEL_WORKSPACE
from builder.errors import EngineError, NotReadyError

if TYPE_CHECKING:
    from builder.views import ContainerView

ANSWER_S: Final = 2.0
CHUNK: Final = 1 << 16


def look_containers(environment: Mapping[str, str], label: str) -> list[ContainerView] | None:
    """Containers that carry `label` (key=value), also stopped ones, by name; None where only the SDK can tell."""
    try:
        remote = bool(find_host(environment).remote)
        name, _, value = label.partition("=")
        asked = name if remote and name == LABEL_WORKSPACE else label  # over there a mark is before the folder
        query = urlencode({"all": "1", "filters": json.dumps({"label": [asked]})})
        found = json.loads(_ask(environment, "GET", f"/containers/json?{query}"))
        views = sorted((container_view(item) for item in found), key=lambda view: view.name)
        if not remote:
            return views
        unmarked = (unmark(view) for view in views)
        return [view for view in unmarked if asked == label or view.labels[LABEL_WORKSPACE] == value]
    except _NOT_HERE:
        return None


def unmark(view: ContainerView) -> ContainerView:
    """One of another machine, with the folder of this one that it was made from, if it was."""
    labels = {**view.labels, LABEL_WORKSPACE: unmark_folder(view.labels.get(LABEL_WORKSPACE, ""))}
    return replace(view, labels=labels)


def look_at_output(environment: Mapping[str, str], container: str, argv: Sequence[str]) -> bytes | None:
    """What a short command prints in a container; None where it fails, or only the SDK can tell."""
    try:
        # With a terminal the stream is the output itself, without frames around it.
        order = {"AttachStdout": True, "Tty": True, "Cmd": list(argv)}
        execution = json.loads(_ask(environment, "POST", f"/containers/{container}/exec", order))["Id"]
        output = _ask(environment, "POST", f"/exec/{execution}/start", {"Tty": True})
        return output if _wait_code(environment, execution) == 0 else None
    except _NOT_HERE:
        return None


def _wait_code(environment: Mapping[str, str], execution: str) -> int:
    """The stream can end a moment before the engine has written the code down."""

    def look() -> int | None:
        answer = json.loads(_ask(environment, "GET", f"/exec/{execution}/json"))
        return None if answer["Running"] or answer["ExitCode"] is None else int(answer["ExitCode"])

    return wait_for("the exit code of a command", look, deadline_s=ANSWER_S, interval_s=0.01)


# Not swallowed: the caller asks again through the SDK, and that answer says why.
_NOT_HERE: Final = (EngineError, NotReadyError, OSError, ValueError, KeyError, TypeError)


def _ask(environment: Mapping[str, str], method: str, path: str, order: Mapping[str, object] | None = None) -> bytes:
    """One request. The path names no API version: the engine answers in its own, and what is read here is in all.

    HTTP/1.0 by hand: the answer is all that comes until the engine hangs up. http.client would take longer to import
    than the whole exchange takes.
    """
    place = find_host(environment).socket
    if place is None:
        raise EngineError("the engine is not behind a unix socket")
    body = json.dumps(order).encode() if order is not None else b""
    lines = [
        f"{method} {path} HTTP/1.0",
        "Host: engine",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        engine.settimeout(ANSWER_S)
        engine.connect(str(place))
        engine.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = b"".join(iter(lambda: engine.recv(CHUNK), b""))
    head, found, rest = answer.partition(b"\r\n\r\n")
    status = head.split(None, 2)[1:2]
    if not found or status not in ([b"200"], [b"201"]):
        raise EngineError(f"{method} {path}: {b' '.join(status).decode()}")
    return rest
