"""Building on podman: its Docker API builds with buildah, which knows the mounts of our Dockerfile, and tells of its
steps in lines of text where BuildKit sends its trace.

Must not know what is built: bytes of a context come in, BuildEvents and an image id go out.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from builder.adapters.buildkit import find_hint
from builder.adapters.clock import monotonic
from builder.errors import BuildError
from builder.model import BuildEvent, RenderedFile

if TYPE_CHECKING:
    from builder.adapters.engine.connection import Connection
    from builder.adapters.engine.views import Json
    from builder.model import RenderedTree

TAIL: Final = 20  # lines of a failed step that are shown
# "[2/4] STEP 3/7: RUN ...", without the first part where there is one stage only.
_STEP: Final = re.compile(r"(?:\[(?P<stage>\d+)/\d+\] )?STEP (?P<number>\d+/\d+): (?P<text>.*)", re.DOTALL)
_STAGE_NAME: Final = re.compile(r"FROM \S+ AS (\S+)$", re.IGNORECASE)
_COMMIT: Final = re.compile(r"(?:\[\d+/\d+\] )?COMMIT ")
_OWN: Final = re.compile(r"(?:\[\d+/\d+\] )?(?:STEP \d|COMMIT )|--> ")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FAILED: Final = re.compile(r'building at STEP "(.*)": ', re.DOTALL)
_EXIT_CODE: Final = re.compile(r"while running runtime: exit status (\d+)\s*$")


def with_secrets(tree: RenderedTree, secrets: Mapping[str, bytes]) -> RenderedTree:
    """The tree with the secrets as files: podman takes those out of it before it builds."""
    return {**tree, **{_secret_file(name): RenderedFile(data=data) for name, data in secrets.items()}}


def build_image(
    engine: Connection,
    context: Iterable[bytes],
    *,
    tag: str,
    on_event: Callable[[BuildEvent], None],
    secrets: Iterable[str] = (),
    fresh: bool = False,
) -> str:
    """Build `context` (a tar with a Dockerfile, and the secrets of these names in it) into `tag`; the image's id.

    `fresh` uses no cache. podman ends a build whose connection is closed, and so does whatever interrupts this.
    Raises BuildError with the failing instruction as `where` and the end of its log, EngineError where the engine
    itself fails.
    """
    wanted = [f"id={name},src={_secret_file(name)}" for name in secrets]
    messages = engine.stream(
        "cannot build",
        "/build",
        params={"t": tag, "layers": "1", "secrets": json.dumps(wanted), "nocache": str(int(fresh))},
        body=context,
        headers={"Content-Type": "application/x-tar"},
    )
    with closing(messages):
        return _follow(messages, on_event)


def _secret_file(name: str) -> str:
    return f"devbox-secret-{name}"


def _follow(messages: Iterator[Json], on_event: Callable[[BuildEvent], None]) -> str:
    teller, image = Teller(), ""
    for message in messages:
        if error := message.get("error"):
            for event in teller.fail(str(error)):
                on_event(event)
            raise teller.explain(str(error))
        if identity := (message.get("aux") or {}).get("ID"):
            image = str(identity)
        for event in teller.read(str(message.get("stream", ""))):
            on_event(event)
    if not image:
        raise BuildError("the engine ended the build without an image", hint="its log says more; run the command again")
    return image


@dataclass(slots=True, kw_only=True)
class Instruction:
    vertex: str
    began: float
    state: str = "done"  # that it will have in the end
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))

    def end(self, state: str) -> BuildEvent:
        return BuildEvent(vertex=self.vertex, state=state, seconds=monotonic() - self.began)


@dataclass(slots=True)
class Teller:
    """Turns buildah's lines into events of instructions, named as BuildKit names them.

    It does not say when an instruction has ended: that is told when the next one begins, or the image is written. Where
    one has failed, the next stage may begin all the same before it says so.
    """

    runs: Instruction | None = None
    ran: dict[str, Instruction] = field(default_factory=dict)  # by its text
    names: dict[str, str] = field(default_factory=dict)  # number of a stage -> its name
    rest: str = ""  # of a line whose end has not come yet: a message is what was written at once, and may be a word

    def read(self, text: str) -> Iterator[BuildEvent]:
        between = "\n" if _OWN.match(text) else ""  # a command may have ended without the end of a line
        *lines, self.rest = _LINE_END.split(self.rest + between + text)
        for line in lines:
            if found := _STEP.match(line):
                yield from self.end()
                yield self._begin(found["stage"] or "1", found["number"], found["text"])
            elif _COMMIT.match(line):
                yield from self.end()
            elif self.runs and line.startswith("--> Using cache"):
                self.runs.state = "cached"
            elif self.runs and line.strip() and not line.startswith("--> "):
                self.runs.tail.append(line)
                yield BuildEvent(vertex=self.runs.vertex, log=line)

    def end(self) -> Iterator[BuildEvent]:
        if self.runs:
            yield self.runs.end(self.runs.state)
            self.runs = None

    def fail(self, error: str) -> Iterator[BuildEvent]:
        if self.rest.strip() and self.runs:
            self.runs.tail.append(self.rest)
        failed = self._find(error)
        if self.runs is not failed:
            yield from self.end()
        if failed:
            yield failed.end("failed")

    def explain(self, error: str) -> BuildError:
        failed, found = self._find(error), _EXIT_CODE.search(error)
        tail = list(failed.tail) if failed else []
        return BuildError(
            f"the command ended with exit code {found[1]}" if found else error.strip(),
            where=failed.vertex if failed else "Dockerfile",
            detail="\n".join(tail) or None,
            hint=find_hint("\n".join([*tail, error])),
        )

    def _find(self, error: str) -> Instruction | None:
        """The instruction that failed: that which the error names, else the last one that began."""
        named = _FAILED.search(error)
        return self.ran.get(_key(named[1]) if named else "") or next(reversed(self.ran.values()), None)

    def _begin(self, stage: str, number: str, text: str) -> BuildEvent:
        if named := _STAGE_NAME.match(text):
            self.names[stage] = named[1].lower()
        name = self.names.get(stage, f"stage-{int(stage) - 1}")
        self.runs = Instruction(vertex=f"[{name} {number}] {text}", began=monotonic())
        self.ran.pop(_key(text), None)  # one of another stage: what begins is the last
        self.ran[_key(text)] = self.runs
        return BuildEvent(vertex=self.runs.vertex)


def _key(text: str) -> str:
    """An instruction is told as it is written, and in an error with other blanks."""
    return " ".join(text.split())
