"""What `devbox verify` checks of an exposed web door, on the real one in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.model import Exposure, Secret
from builder.suite import web
from builder.suite.results import Verdict
from builder.suite.subject import Subject
from tests.catalogue.webdoor import WEB_PASSWORD, load_webdoor
from tests.unit.suite.fakes import CONTAINER, RESOLVED, make_subject, result_of


@pytest.fixture
def port(exposed: object) -> Iterator[int]:
    """Of this machine, with the exposed door behind it."""
    server = load_webdoor("server")
    places = threading.BoundedSemaphore(server.MOST_CONNECTIONS)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while places.acquire():
                try:
                    raw, address = listener.accept()
                except OSError:
                    return
                threading.Thread(target=server.handle, args=(exposed, raw, address[0], places), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def subject(port: int, tmp_path: Path) -> Subject:
    exposure = Exposure(address="127.0.0.1", name="box.example", names=("box.example",), ssh=False)
    plain = make_subject(container=replace(CONTAINER, ports={**CONTAINER.ports, 6080: port}))
    return replace(
        plain,
        resolved=replace(RESOLVED, runtime=replace(RESOLVED.runtime, exposure=exposure)),
        keys=replace(plain.keys, web_password=Secret(WEB_PASSWORD), authority=str(tmp_path / "authority/ca.pem")),
    )


def test_a_sound_door_passes_every_check_and_is_left_without_a_session(subject: Subject, exposed: object) -> None:
    results = [result_of(case, subject) for case in web.make_cases(subject.resolved)]
    assert [result for result in results if result.verdict is not Verdict.PASSED] == []
    assert len(results) == 12
    assert not exposed.login._sessions  # type: ignore[attr-defined]


def test_a_logout_that_ends_nothing_is_found(
    subject: Subject, exposed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposed.login, "_end", lambda name: None)  # type: ignore[attr-defined]
    result = result_of(web.session, subject)
    assert (result.verdict, result.found) == (Verdict.FAILED, "(200, 200)")


def test_a_right_password_that_is_held_up_by_wrong_ones_is_found(
    subject: Subject, exposed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = exposed.login  # type: ignore[attr-defined]
    tried = entry.try_password

    def hold_up(body: bytes, guesser: str) -> object:
        wait = entry._throttle.admit(guesser)
        return (None, wait) if wait else tried(body, guesser)

    monkeypatch.setattr(entry, "try_password", hold_up)
    result = result_of(web.wrong_password, subject)
    assert (result.verdict, result.found) == (Verdict.FAILED, "status 429")
