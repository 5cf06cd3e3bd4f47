"""Podman's builder, told as BuildKit is: by lines that podman 4.3.1 wrote, and what is sent to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

import pytest

from builder.adapters.buildah import build_image, with_secrets
from builder.adapters.engine.connection import Connection
from builder.errors import BuildError
from builder.model import BuildEvent, RenderedFile

STAGES = [
    "[1/3] STEP 1/2: FROM devbox/base:debian-12-b93881b3f8e1 AS base\n",
    "[1/3] STEP 2/2: COPY rootfs/ /usr/lib/x/\n",
    "--> Using cache 3a0f9c294f2a343d65ae09fce4ac2a40afe89709ff73f882c9b17161be8f58a2\n",
    "--> 3a0f9c294f2\n",
    "[3/3] STEP 1/3: FROM 3a0f9c294f2a343d65ae09fce4ac2a40afe89709ff73f882c9b17161be8f58a2\n",
    "[3/3] STEP 2/3: COPY --from=side /out.txt /out.txt\n",
    "[2/3] STEP 1/2: FROM 3a0f9c294f2a343d65ae09fce4ac2a40afe89709ff73f882c9b17161be8f58a2 AS side\n",
    "[2/3] STEP 2/2: RUN --mount=type=cache,target=/root/.npm,id=devbox-e     date > /out.txt\n",
    "one\ntwo\n",
    "--> 51c7ce75d6a\n",
    "--> 54ee4cfad23\n",
    '[3/3] STEP 3/3: ENTRYPOINT ["/usr/lib/devbox/init"]\n',
    "[3/3] COMMIT docker.io/devbox/etest:1\n",
    "--> e176aeeb539\n",
    "Successfully tagged docker.io/devbox/etest:1\n",
    "e176aeeb5396e4ebd29cd90dd2b835fae9237d9793eb0f5364623f6a208a08f7\n",
]
IMAGE = "sha256:e176aeeb5396e4ebd29cd90dd2b835fae9237d9793eb0f5364623f6a208a08f7"
FAILED = 'building at STEP "RUN echo start; echo bad >&2; exit 7": while running runtime: exit status 7\n'


class Podman:
    """Answers a build with what it was given."""

    def __init__(self, *messages: object) -> None:
        self.messages, self.params = messages, dict[str, str]()

    def stream(self, doing: str, path: str, *, params: dict[str, str], **rest: object) -> Iterator[object]:
        self.params = params
        yield from self.messages


def build(podman: Podman, **options: object) -> tuple[str, list[BuildEvent]]:
    events: list[BuildEvent] = []
    image = build_image(cast("Connection", podman), (), tag="t", on_event=events.append, **options)  # type: ignore[arg-type]
    return image, events


def test_instructions_are_named_as_buildkit_names_them_and_each_ends_once() -> None:
    image, events = build(Podman(*({"stream": line} for line in STAGES), {"aux": {"ID": IMAGE}}))
    assert image == IMAGE
    assert [
        (event.state, event.vertex) for event in events if event.state != "running" and "FROM" not in event.vertex
    ] == [
        ("cached", "[base 2/2] COPY rootfs/ /usr/lib/x/"),
        ("done", "[stage-2 2/3] COPY --from=side /out.txt /out.txt"),
        ("done", "[side 2/2] RUN --mount=type=cache,target=/root/.npm,id=devbox-e     date > /out.txt"),
        ("done", '[stage-2 3/3] ENTRYPOINT ["/usr/lib/devbox/init"]'),
    ]
    assert [(event.vertex[:8], event.log) for event in events if event.log] == [
        ("[side 2/", "one"),
        ("[side 2/", "two"),
    ]


def test_a_failing_command_is_told_with_its_code_and_its_log() -> None:
    lines = ["STEP 1/2: FROM base\n", "STEP 2/2: RUN echo start; echo bad >&2; exit 7\n", "start\n", "bad\n"]
    with pytest.raises(BuildError) as caught:
        build(Podman(*({"stream": line} for line in lines), {"errorDetail": {"message": FAILED}, "error": FAILED}))
    assert caught.value.where == "[stage-0 2/2] RUN echo start; echo bad >&2; exit 7"
    assert (caught.value.message, caught.value.detail) == ("the command ended with exit code 7", "start\nbad")


def test_the_failing_instruction_is_the_one_that_the_error_names_though_another_began() -> None:
    lines = [
        "[2/3] STEP 1/2: FROM base AS tools\n",
        "[2/3] STEP 2/2: RUN echo start;     echo bad >&2;     exit 7\n",
        "bad\n",
        "[3/3] STEP 1/1: FROM base AS late\n",
    ]
    events: list[BuildEvent] = []
    podman = Podman(*({"stream": line} for line in lines), {"error": FAILED})
    with pytest.raises(BuildError) as caught:
        build_image(cast("Connection", podman), (), tag="t", on_event=events.append)
    assert (caught.value.where or "").startswith("[tools 2/2] RUN echo start;")
    assert caught.value.detail == "bad"
    assert [event.vertex[:9] for event in events if event.state == "failed"] == ["[tools 2/"]


def test_a_line_that_comes_in_pieces_is_one() -> None:
    pieces = ["STEP 1/2: FROM base\n", "STEP 2", "/2: RUN apt\n", "Read", "ing...", "E", ": ", "no package x", "yz"]
    _, events = build(
        Podman(*({"stream": text} for text in [*pieces[:5], "\r\n", "--> 51c\n"]), {"aux": {"ID": IMAGE}})
    )
    assert [event.log for event in events if event.log] == ["Reading..."]
    with pytest.raises(BuildError) as caught:
        build(Podman(*({"stream": text} for text in [*pieces[:5], "\n", *pieces[5:]]), {"error": FAILED}))
    assert (caught.value.where, caught.value.detail) == ("[stage-0 2/2] RUN apt", "Reading...\nE: no package xyz")


def test_a_command_that_ends_without_the_end_of_a_line_hides_no_instruction() -> None:
    lines = ["STEP 1/3: FROM base\n", "STEP 2/3: RUN printf x\n", "x", "STEP 3/3: RUN false\n"]
    with pytest.raises(BuildError) as caught:
        build(Podman(*({"stream": line} for line in lines), {"error": FAILED}))
    assert (caught.value.where, caught.value.detail) == ("[stage-0 3/3] RUN false", None)


def test_a_build_that_breaks_off_is_no_success() -> None:
    with pytest.raises(BuildError, match="without an image"):
        build(Podman({"stream": STAGES[0]}))


def test_secrets_go_as_files_that_the_request_names() -> None:
    tree = with_secrets({"Dockerfile": RenderedFile(data=b"FROM a")}, {"npmrc": b"one", "netrc": b"two"})
    podman = Podman({"aux": {"ID": IMAGE}})
    build(podman, secrets=("npmrc", "netrc"))
    wanted = [dict(part.split("=") for part in item.split(",")) for item in json.loads(podman.params["secrets"])]
    assert {item["id"]: tree[item["src"]].data for item in wanted} == {"npmrc": b"one", "netrc": b"two"}
