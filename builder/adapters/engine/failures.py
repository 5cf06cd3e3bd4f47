"""Every way in which the engine can fail us, told apart once: any exception of the SDK becomes an EngineError.

Owns the sentences and hints. Must not retry or decide anything.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Final

import docker.credentials
import docker.errors
import requests.exceptions

from builder.errors import EngineError, LostEngineError, PortTakenError, SilentEngineError

if TYPE_CHECKING:
    from builder.adapters.engine.host import EngineHost

START_HINT: Final = "start it (`systemctl start docker`, or `dockerd` as root), or set DOCKER_HOST to one that runs"
FREE: Final = "free some disk"  # what begins a hint about the engine's disk
REFUSED_HINT: Final = "`devbox status` shows what is there; the engine's log says more (`journalctl -u docker`)"
_REMOVALS: Final = {
    "container": "docker rm -f",
    "network": "docker network rm",
    "volume": "docker volume rm",  # with all that is in it
}

_PORT_HINTS: Final = (
    "another container publishes this port; `docker ps` names it",
    "a program of this machine listens on this port; `ss -ltnp` names it",
)

_NO_SOURCE: Final = "create that folder, or take the mount out of devbox.yaml"
_NOT_SEEN: Final = (
    "does that engine see this machine's folders? `--host ssh://user@host` brings to another what it needs"
)
_NO_IMAGE: Final = "that registry has no such image: look at name and tag"

# What engines write into an error answer, and what helps. First match wins.
_ANSWERS: Final = (
    ("no space left on device", f"{FREE}: `docker system df` shows what the engine holds"),
    ("port is already allocated", _PORT_HINTS[0]),
    ("address already in use", _PORT_HINTS[1]),
    ("no such image", "build or pull the image first"),
    ("no such host", "the engine cannot resolve names: look at its DNS settings"),
    ("bind source path does not exist", _NO_SOURCE),
    ("no basic auth credentials", "log in to that registry with `docker login`"),
    ("unauthorized", "log in to that registry with `docker login`"),
    ("pull access denied", "the image does not exist, or needs `docker login`"),
    ("toomanyrequests", "the registry limits how often it is asked: wait, or log in with `docker login`"),
    ("denied:", "that login may not do this: ask whoever runs the registry for the right to it"),
    ("x509:", "the engine does not trust that certificate: its authority belongs into /etc/docker/certs.d/HOST/ca.crt"),
    (
        "http response to https client",
        "that registry speaks plain HTTP, which an engine takes on loopback, or as one of its `insecure-registries`",
    ),
    ("dial tcp", "the engine cannot get there: look at that address, and at the engine's own network and proxy"),
    ("manifest unknown", _NO_IMAGE),
    ("manifest_unknown", _NO_IMAGE),  # Engine 26.1 hands on what the registry wrote
    ("name unknown", "that registry has nothing of this name: look at the path behind its host"),
    ("has active endpoints", "another container uses this network: disconnect it, then run the command again"),
    ("authorization denied by plugin", "an authorization plugin of this engine forbids it: ask its administrator"),
)


@contextmanager
def explained(doing: str, host: EngineHost) -> Iterator[None]:
    """Turn any failure of the SDK or the wire inside the block into an EngineError that begins with `doing`."""
    try:
        yield
    except docker.errors.APIError as error:
        raise answer_error(doing, error.status_code or 0, str(error.explanation or ""), host) from error
    except (requests.exceptions.JSONDecodeError, json.JSONDecodeError) as error:
        raise EngineError(
            f"{doing}: the answer cannot be read ({error})",
            where=host.named,
            hint="is this address really a container engine? its log says more",
        ) from error
    except docker.credentials.StoreError as error:
        raise login_error(doing, error) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, HTTPException, OSError) as error:
        raise wire_error(doing, error, host) from error


def answer_error(doing: str, status: int, text: str, host: EngineHost) -> EngineError:
    """An error that the engine itself wrote."""
    if not text.strip():
        text = f"status {status} without a reason"
    known = next((hint for mark, hint in _ANSWERS if mark in text.lower()), None)
    if known == _NO_SOURCE and host.socket is None:
        known = _NOT_SEEN
    known = point_at(known, host.remote)
    if known is None and status >= 500:
        known = "that is a failure inside the engine: its log says more (`journalctl -u docker`)"
    kind = PortTakenError if known in _PORT_HINTS else EngineError
    return kind(f"{doing}: {text.strip()}", where=host.named, hint=known or REFUSED_HINT)


def point_at(hint: str | None, machine: str) -> str | None:
    """Say whose disk it is, where that is not this machine's."""
    return hint.replace(FREE, f"{FREE} on {machine}") if hint and machine else hint


def wire_error(doing: str, error: BaseException, host: EngineHost) -> EngineError:
    """No answer, or one that broke off."""
    for cause in _causes(error):
        match cause:
            case docker.credentials.StoreError():
                return login_error(doing, cause)
            case FileNotFoundError() | ConnectionRefusedError() if host.remote:
                return LostEngineError(
                    f"the tunnel to {host.remote} has ended", where=host.source, hint="run the same command again"
                )
            case FileNotFoundError():
                return EngineError(f"no engine: there is no socket {host.socket}", where=host.source, hint=START_HINT)
            case PermissionError():
                return permission_error(host)
            case ConnectionRefusedError():
                return EngineError(f"no engine listens at {host.named}", where=host.source, hint=START_HINT)
            case ssl.SSLError():
                return EngineError(
                    f"{doing}: TLS with {host.named} failed ({cause})",
                    where=host.source,
                    hint="look at DOCKER_CERT_PATH (ca.pem, cert.pem, key.pem) and DOCKER_TLS_VERIFY",
                )
            case TimeoutError() | requests.exceptions.Timeout():
                return SilentEngineError(
                    f"{doing}: {host.named} accepts connections and does not answer",
                    where=host.source,
                    hint="the engine hangs or is overloaded: look at its log, then restart it",
                )
    return LostEngineError(
        f"{doing}: the connection to {host.named} broke ({_innermost(error)})",
        where=host.source,
        hint="the engine may have been restarted: run the same command again",
    )


def login_error(doing: str, error: docker.credentials.StoreError) -> EngineError:
    return EngineError(
        f"{doing}: the login for its registry cannot be read ({error})",
        where="config.json of Docker",
        hint="`credsStore` and `credHelpers` there name a program docker-credential-...: is it there, does it work?",
    )


def permission_error(host: EngineHost) -> EngineError:
    return EngineError(
        f"this user may not use the engine's socket {host.socket or host.url}",
        where=host.source,
        hint="join its group (`sudo usermod -aG docker $USER`, then log in again), or use a rootless engine",
    )


def foreign_error(kind: str, name: str) -> EngineError:
    """Something has a name of ours and is not ours: it is left alone, whatever it is."""
    return EngineError(
        f"a {kind} named {name} exists and was not made by devbox",
        hint=f"choose another name with `name:` in devbox.yaml, or remove it yourself: `{_REMOVALS[kind]} {name}`",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is wrapped in it: urllib3 keeps the cause in args, Python in __context__."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (*current.args, getattr(current, "reason", None), current.__cause__, current.__context__)
        queue.extend(item for item in inner if isinstance(item, BaseException))


def _innermost(error: BaseException) -> str:
    *_, last = _causes(error)
    return str(last) or type(last).__name__
