"""One message and the state of its session in, changes of the items out. No file, no database, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coditect.knowledge import talk, work
from coditect.knowledge.prose import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coditect.knowledge.items import Change
    from coditect.knowledge.messages import Message
    from coditect.knowledge.state import State

# Raise it with every change of a rule: items of other versions are extracted anew.
VERSION: Final = 1

# Claude Code's own words in the user's name.
_MACHINE: Final = ("[Request interrupted", "Caveat: ", "This session is being continued", "<command-", "<local-command")


def feed(state: State, message: Message) -> Iterator[Change]:
    """What `message` changes; `state` is brought up to date."""
    if message.prose and not message.prose.startswith(_MACHINE):
        said = sentences(message.prose)
        if said:
            state.turn += 1
            yield from talk.hear(state, message, said)
            yield from work.hear(state, message, said)
    if message.calls or message.results:
        yield from work.watch(state, message)
