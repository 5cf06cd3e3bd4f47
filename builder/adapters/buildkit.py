"""Building with BuildKit through the engine's own API: one POST of a tar, a session for secrets, no client.

The SDK's build() knows only the classic builder (docker-py issue 2230): it waits for a line that BuildKit never
sends. Must not know what is built: bytes of a context come in, BuildEvents and an image id go out.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final

from builder.adapters.buildkit_trace import Trace, Vertex
from builder.adapters.engine.failures import FREE
from builder.adapters.urls import UNTRUSTED
from builder.errors import BuildError, EngineError, SilentEngineError
from builder.model import EMPTY, BuildEvent

if TYPE_CHECKING:
    from builder.adapters.engine.connection import Connection
    from builder.adapters.engine.views import Json

OnEvent = Callable[[BuildEvent], None]
CANCEL_S: Final = 5.0
SILENCE_S: Final = 1800.0  # a step can be quiet while it compiles; also of a context that BuildKit does not read on
TRIES: Final = 4  # of a build whose session is lost

# How BuildKit says that nobody answers for the secrets of a step, in the words of 20.10 and of later engines.
_LOST: Final = ("no active session", "only one connection allowed")

_CA: Final = f"the network re-signs TLS, or a mirror has an authority of its own: {UNTRUSTED}"
_NAMES: Final = "containers cannot resolve names: look at the engine's DNS and the proxy"
# What apt says where it cannot write what it unpacked, too.
_LISTS: Final = (
    "the mirror's lists could not be checked: is the engine's disk full (`docker system df`), or their key missing?"
)

# What is written in the log of a step that failed, or in its error, and what helps. First match wins.
_HINTS: Final = (
    ("no space left on device", f"{FREE}: `docker system df` shows what the engine holds"),
    ("exit code: 137", "the step was killed, most likely for lack of memory: give the engine more"),
    ("certificate verif", _CA),  # apt and pip
    ("No system certificates available", _CA),
    ("SELF_SIGNED_CERT_IN_CHAIN", _CA),
    ("UNABLE_TO_GET_ISSUER_CERT", _CA),
    ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", _CA),
    ("Temporary failure resolving", _NAMES),
    ("Could not resolve", _NAMES),
    ("EAI_AGAIN", _NAMES),
    ("Name or service not known", _NAMES),
    ("Temporary failure in name resolution", _NAMES),
    ("Unable to locate package", "this base has no package of that name: look at its release, or at the spelling"),
    (
        "404  Not Found",
        "the mirror does not have this: look at `mirrors.apt` in devbox.yaml and this machine's apt sources",
    ),
    ("code E404", "npm has no such package or version: look at its spelling, and at `mirrors.npm`"),
    (
        "No matching distribution found",
        "the package index has nothing that fits: look at the name, and at `mirrors.pypi`",
    ),
    ("invalid signature", _LISTS),
    ("weak security information", _LISTS),
    (
        "/committed: no such file or directory",
        "a part of the engine's build cache is gone: run it once more; `docker builder prune` empties that cache",
    ),
    *((mark, "the builder lost the session that hands it settings and images: run it once more") for mark in _LOST),
)


def build_image(
    engine: Connection,
    context: Callable[[], Iterator[bytes]],
    *,
    tag: str,
    on_event: OnEvent,
    labels: Mapping[str, str] = EMPTY,
    arguments: Mapping[str, str] = EMPTY,
    target: str | None = None,
    network: str | None = None,
    hosts: Mapping[str, str] = EMPTY,
    fresh: bool = False,
    build_id: str | None = None,
    secrets: Mapping[str, bytes] | None = None,
) -> str:
    """Build what `context` makes (a tar with a Dockerfile) into `tag` and return the image's id.

    `network` is host, none or None (a bridge); `hosts` are names the steps can resolve besides; `fresh` uses no cache;
    `secrets` are what steps mount by name, of which nothing stays on the engine; a Dockerfile that mounts any wants a
    session, and so this argument, even if all of them are missing.
    Every FROM must be on the engine already: without a session BuildKit can ask no registry on some engines.
    Whatever interrupts this (Ctrl-C, an error in `on_event`) cancels the build on the engine before it goes on;
    from another thread, `cancel_build(engine, build_id)` does. Raises BuildError with the failing instruction as
    `where` and the end of its log, EngineError where the engine itself fails.
    """
    if not engine.has_buildkit():
        raise EngineError(
            "this engine has no BuildKit",
            where=engine.host.named,
            hint="use Docker Engine 20.10 or newer; podman has none",
        )
    build_id = build_id or uuid.uuid4().hex
    params = _parameters(tag, build_id, labels, arguments, target, network, hosts)
    if fresh:
        params["nocache"] = "1"
    if secrets is None:
        return _post(engine, context(), params, build_id, on_event)
    from builder.adapters.buildkit_session import serve_secrets  # here: h2 is slow to import, and seldom needed

    left = TRIES
    while True:
        left -= 1
        try:
            with serve_secrets(engine, secrets) as session:
                return _post(engine, context(), {**params, "session": session}, build_id, on_event)
        except BuildError as error:
            # BuildKit does a step that two builds want once, and asks one of their sessions. Where that one was
            # interrupted or killed, the step fails for both, and ours has nothing wrong with it.
            if not left or not _has_lost_session(error):
                raise


def _post(
    engine: Connection,
    context: Iterable[bytes],
    params: Mapping[str, str | list[str]],
    build_id: str,
    on_event: OnEvent,
) -> str:
    messages = engine.stream(
        "cannot build",
        "/build",
        params=params,
        body=context,
        headers={"Content-Type": "application/x-tar"},
        silence_s=SILENCE_S,
    )
    running = True
    with closing(messages):
        try:
            image = _follow(messages, on_event)
            running = False
        except BuildError:
            running = False
            raise
        finally:
            if running:
                cancel_build(engine, build_id)
    return image


def cancel_build(engine: Connection, build_id: str) -> None:
    """Stop a build. One that has ended is no error; neither is an engine that is gone, for it builds nothing more."""
    try:
        engine.post("cannot cancel the build", "/build/cancel", params={"id": build_id}, timeout_s=CANCEL_S)
    except EngineError:
        return


def _parameters(
    tag: str,
    build_id: str,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
    target: str | None,
    network: str | None,
    hosts: Mapping[str, str],
) -> dict[str, str | list[str]]:
    """The query of `POST /build`. A session is named only while it is served: an engine waits for the other ones."""
    return {
        "version": "2",
        "t": tag,
        "buildid": build_id,
        "labels": json.dumps(dict(labels)),
        "buildargs": json.dumps(dict(arguments)),
        **({"target": target} if target else {}),
        **({"networkmode": network} if network else {}),
        **({"extrahosts": [f"{name}:{address}" for name, address in sorted(hosts.items())]} if hosts else {}),
    }


def _follow(messages: Iterator[Json], on_event: OnEvent) -> str:
    """Read the answer to its end: events on the way, the image's id last. HTTP 200 came long before a failure."""
    trace, image = Trace(), ""
    try:
        for message in messages:
            match message.get("id"):
                case "moby.buildkit.trace":
                    for event in trace.read(base64.b64decode(message["aux"])):
                        on_event(event)
                case "moby.image.id":
                    image = str(message["aux"]["ID"])
                case _ if error := message.get("error"):
                    raise _build_error(str(error), trace.failed())
    except SilentEngineError as silence:
        raise _silence_error(trace.running()) from silence
    if not image:
        raise BuildError("the engine ended the build without an image", hint="its log says more; run the command again")
    return image


def _build_error(error: str, vertex: Vertex | None) -> BuildError:
    tail = list(vertex.tail) if vertex else []
    evidence = "\n".join([*tail, error])
    return BuildError(
        _short(error),
        where=vertex.name if vertex else "Dockerfile",
        detail="\n".join(tail) or None,
        hint=find_hint(evidence),
    )


def _silence_error(vertex: Vertex | None) -> EngineError:
    """No BuildError: it did not fail, and has to be cancelled."""
    return EngineError(
        f"nothing was heard of the build for {SILENCE_S / 60:g} minutes",
        where=vertex.name if vertex else None,
        detail="\n".join(vertex.tail) if vertex else None,
        hint="a step can wait for ever where the engine's disk is full (`docker system df`), or for a server that does "
        "not answer; then run the same command again",
    )


def _has_lost_session(error: BuildError) -> bool:
    return any(mark in error.message for mark in _LOST)


def find_hint(evidence: str) -> str | None:
    """What helps, by the log of a step that failed and its error."""
    told = evidence.lower()  # what writes "no space left on device" has several ways to begin
    return next((hint for mark, hint in _HINTS if mark.lower() in told), None)


def _short(error: str) -> str:
    """BuildKit repeats the whole command before it says how it ended; `where` names the command already."""
    found = re.search(r"(?:complete successfully|executor failed running.*?): exit code: (\d+)", error, re.DOTALL)
    return f"the command ended with exit code {found[1]}" if found else error
