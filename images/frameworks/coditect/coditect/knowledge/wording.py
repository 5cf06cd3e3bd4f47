"""Pieces of the wording rules that decisions, patterns and questions share."""

from __future__ import annotations

import re
from typing import Final

# What people put before the point: "Ok, then ...".
OPENING: Final = (
    r"(?:(?:ok(?:ay)?|yes|yeah|yep|no|sure|right|alright|fine|good|great|thanks|agreed|then|so|and|but|well|actually"
    r"|please|just|cool|perfect|also|one more thing|hmm)[,.:;! -]+)*"
)
# Said before a trigger, these make it a thought, a story or somebody else's.
_UNREAL: Final = re.compile(
    r"\b(?:if|unless|whether|suppose|imagine|assuming|in case|originally|previously|back then|at the time|once upon"
    r"|(?:last|that|a) (?:year|month|sprint|quarter)|years? ago|at my|used to|until|when|where|for example|for instance"
    r"|in theory|hypothetically|let's say|say)\b",
    re.IGNORECASE,
)
# The same, but only in the clause of the trigger: "That would be slow, so let's use X" is a decision.
_DOUBTED: Final = re.compile(
    r"\b(?:could|might|may|maybe|perhaps|would|why|what|how|should|shall|can|not|never|yet to|have to|need to|they"
    r"|people|someone|everybody|(?:did|have|has|do|does|had|is|are|was|would|could)n't|did|do)\b",
    re.IGNORECASE,
)
_CLAUSE: Final = re.compile(r"[,;:\u2013\u2014]|\s-\s|\b(?:so|and|but|then|because|since)\b", re.IGNORECASE)
_UNDONE: Final = re.compile(
    r"\bbut (?:that|it|this)\b|\b(?:regret|later reverted|then reverted|and reverted|turned out (?:to be )?(?:a"
    r"|wrong|bad)"
    r"|was a mistake)",
    re.IGNORECASE,
)


def rule(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def is_meant(said: str, start: int) -> bool:
    """Whether a trigger found at `start` is said for real: no condition before it, no doubt, not taken back."""
    before = said[:start]
    clause = _CLAUSE.split(before)[-1]
    return not (_UNREAL.search(before) or _DOUBTED.search(clause) or _UNDONE.search(said, start))
