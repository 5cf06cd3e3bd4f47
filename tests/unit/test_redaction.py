"""What is taken out of a text, and what is left as it is."""

from __future__ import annotations

import pytest

from builder.console import make_reporter
from builder.core.wording import describe_event
from builder.errors import BuildError, HostError
from builder.model import LogLine, Note, StepProgress
from builder.redaction import has_login, redact

SECRET = "geheim-7f3a"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"http://me:{SECRET}@proxy.example:3128", "http://***@proxy.example:3128"),
        (f"cannot reach https://{SECRET}@git.example/x.git now", "cannot reach https://***@git.example/x.git now"),
        (f"https://{SECRET}:x-oauth-basic@git.example/x", "https://***@git.example/x"),
        (f"https://me:a/{SECRET}@proxy.example/", "https://***@proxy.example/"),
        (f"https://me:a@{SECRET}@proxy.example/", "https://***@proxy.example/"),
        (f"ssh://git:{SECRET}@git.example/x", "ssh://git:***@git.example/x"),
        (f"https://s3.example/a.tar?X-Sig={SECRET}&b={SECRET}#c", "https://s3.example/a.tar?X-Sig=***&b=***#c"),
        (f"Proxy-Authorization: Basic {SECRET}", "Proxy-Authorization: Basic ***"),
        (f"machine a login me password {SECRET}", "machine a login me password ***"),
        (f"//npm.example/:_authToken={SECRET}", "//npm.example/:_authToken=***"),
        (f"Authorization: {SECRET}", "Authorization: ***"),
        (f'"Authorization": "Bearer {SECRET}"', '"Authorization": "Bearer ***"'),
        (f'Authorization: Bearer "{SECRET}"', 'Authorization: Bearer "***"'),
        (f'//npm.example/:_password="{SECRET}"', '//npm.example/:_password="***"'),
        (f'_auth = "{SECRET}"', '_auth = "***"'),
        (f"https://me:{SECRET}@reg.example/a@sha256:00ff", "https://***@reg.example/a@sha256:00ff"),
        (f'{{"url": "https://me:{SECRET}@a.example/", "b": 1}}', '{"url": "https://***@a.example/", "b": 1}'),
    ],
)  # fmt: skip
def test_credentials_are_taken_out(text: str, left: str) -> None:
    assert redact(text) == left
    wide = redact(text, same_width=True)
    assert SECRET not in wide
    assert len(wide) == len(text)
    assert redact(wide) == wide
    assert redact(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "https://host.example:8080/simple/",
        "https://npm.example/@scope/name",
        "http://[::1]:80/@x",
        "ssh://git@git.example/x.git",
        "ssh://127.0.0.1:2222",
        "git@git.example:team/x.git",
        "unix:///var/run/docker.sock",
        "password: which, why none",
        "VAR=$PATH:/opt/x",
        "failed_auth = 12 times",
        "docker-image://debian:12@sha256:00ff",
        "docker-image://reg.example:5000/debian:12@sha256:00ff",
    ],
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_an_address_with_a_login_is_known() -> None:
    assert has_login(f"http://me:{SECRET}@mirror.example/debian")
    assert not has_login("http://mirror.example/debian/@x")


def test_no_part_of_an_error_shows_a_password() -> None:
    address = f"https://me:{SECRET}@host.example/simple"
    error = BuildError(f"cannot fetch {address}", where=address, detail=f"a\n{address}", hint=f"look at {address}")
    shown = [str(error), repr(error), *(str(part) for part in (error.message, error.where, error.detail, error.hint))]
    assert not [text for text in shown if SECRET in text]
    assert HostError("no address").where is None


@pytest.mark.parametrize("mode", ["plain", "json", "live", "quiet"])
def test_no_event_shows_a_password(mode: str) -> None:
    import io

    address = f"http://me:{SECRET}@proxy.example:3128"
    stream = io.StringIO()
    reporter = make_reporter(mode, stream, colour=False)
    reporter(Note(text=f"through {address}", level="warning"))
    reporter(LogLine(name="apt", text=f"Err: {address}"))
    reporter(StepProgress(name="base", text=f"I: {address}", state="done"))
    reporter.close()
    assert "proxy.example" in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert describe_event(Note(text="plain")) == "· plain"
