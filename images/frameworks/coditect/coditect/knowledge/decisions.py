"""Is this sentence a decision, and is it taken back? Pure; see docs/knowledge.md for the rules in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coditect.knowledge.wording import OPENING, is_meant, rule

if TYPE_CHECKING:
    from coditect.knowledge.prose import Sentence

_CHOOSE: Final = (
    r"(?:go with|go for|use|stick (?:with|to)|stay (?:with|on)|keep|switch(?: over)? to|move to|drop|adopt"
    r"|settle (?:on|for)"
    r"|pick|choose|skip|leave out|leave|replace|avoid|ship|store|split|defer|postpone|call (?:it|the|this)"
    r"|name (?:it|the)"
    r"|target|support|standardi[sz]e on|make (?:it|the|this)|put|rename|cap|limit|pin)"
)
_PASSING: Final = (  # "let's keep going", "let's leave it running": said of the next minute, not of the work
    r"(?! (?:going|trying|digging|moving|looking|reading|it running|an eye|that in mind|this in mind|in mind|in touch"
    r"|me posted|up the|track))"
)
_LABEL: Final = rule(
    r"^(?:final |my |our )?(?:decision|decided|agreed|verdict|resolution)\s*(?:\([^)]*\)\s*)?[:\u2013—]\s*\S"
)
_TAKEN: Final = rule(
    r"\b(?:we|i)(?:'ve|'d| have| both| all| just| finally)* (?:decided|agreed|settled (?:on|for)|chose|chosen|opted"
    r"|picked"
    r"|went (?:with|for))\b"
    r"|\b(?:we|i)\b[^.;]{0,60}\b(?:and|then|finally) (?:settled on|decided|agreed|chose|went with)\b"
    r"|\b(?:it|that|this)(?:'s| is| was| has been) (?:now )?(?:decided|settled|agreed|final)\b"
    r"|\b(?:the|our) (?:team|board|group) (?:has |have )?(?:voted|agreed|decided|settled) (?:for|to|on|that|against"
    r"|with)\b"
    r"|\bthe decision (?:is|was) (?:to|that|made)\b"
)
_LETS: Final = rule(rf"\blet'?s (?:just |simply |not |instead |rather |then |also |all )*{_CHOOSE}\b{_PASSING}")
_WILL: Final = rule(
    r"\b(?:we|i)(?:'ll| will|'re going to| are going to|'m going to| am going to) (?:not |just |only |simply "
    r"|therefore )*"
    rf"{_CHOOSE}\b{_PASSING}|\b(?:we|i)(?:'re| are|'m| am) (?:going with|sticking with|staying (?:with|on)|dropping"
    r"|switching to|keeping)\b|\bwe (?:stay with|stick with|stick to|go with|keep)\b(?! \w+ing\b)"
    r"|\bwe (?:won't|will not|are not going to|aren't going to|'re not going to|are not) (?:support|ship|use|do|add"
    r"|touch"
    r"|migrate|upgrade|keep|build|supporting|shipping|doing|adding|migrating|upgrading|building)\b"
)
_INSTEAD: Final = rule(
    r"\b(?:we|i)(?:'ll| will|'re going to| are going to) (?!see|need|have)\w+ .*(?:\binstead\b|\brather than\b"
    r"|\band not\b)"
)
_SUMMED_UP: Final = rule(
    r"^(?:ok(?:ay)?|fine|so|good|right|then|settled|done)\s*:\s+(?!(?:now|please|next|let me|can|go|add|run|fix|do"
    r"|commit|push|try"
    r"|look|check|show|write|what|why|how|who)\b)\S+ \S+"
)
_POINTS_BACK: Final = rule(
    r"^(?:(?:we|i)(?:'ve| have)? (?:decided|agreed|settled)(?: on)? (?:that|this|it)\b(?! (?:we|the|a|it|i|all|no"
    r"|every)\b)"
    r"|(?:it|that|this)(?:'s| is| was| has been) (?:now )?(?:decided|settled|agreed|final)\b)"
)
_WE_WILL: Final = rule(
    r"\b(?:we'll|we will|we're going to|i'll|i will) (?:therefore )?(?:go with|stick with|stay with|settle on)\b"
    r"|\b(?:going|sticking) with\b"
)
_ORDER: Final = rule(
    rf"^{OPENING}(?:go with|go for|stick with|stay with|switch to|settle on)\b"
    rf"|^{OPENING}(?:use|take|pick|choose|keep|make|drop|store|put) .*(?:\binstead\b|\brather than\b|\bover\b"
    rf"|\bnot\b|, no\b)"
    rf"|^{OPENING}\S+(?: \S+){{0,4}} (?:it is|it shall be|it will be)\s*[.!]?$"
    rf"|^{OPENING}(?!(?:thanks|bye|see|until|back|tomorrow|next|later|what|why|how|who|now|and|nothing|monday"
    rf"|friday)\b)"
    r"[\w.'-]+(?: [\w.'-]+){0,3},? then\s*[.!]?$"
    rf"|^{OPENING}(?:then |so )we (?!have|need|can|could|should|might|would|will|are|were|see|know|get|got|had|don't"
    rf"|must|may|did"
    r"|do not|never|always|just|still|ran|hit|lost)\w+ (?!\w+ing\b)"
)
_TO_LOOK: Final = rule(
    r"\bto (?:see|check|find|debug|look|verify|inspect|figure|understand|reproduce|confirm|search|locate|explore)\b"
)
_TAKEN_BACK: Final = rule(
    rf"^{OPENING}(?:scratch|forget|undo|revert|drop) (?:that|this|it)\b|\bnever ?mind\b|\bon second thoughts?\b"
    r"|\bchanged my mind\b|\blet'?s (?:revert|undo|roll back)\b|\b(?:revert|undo|roll back) (?:that|this|the|it)\b"
    r"|\bafter all\b|\bscrap (?:that|this|it)\b|\btake that back\b|\bi was wrong about\b"
)
_REFUSED: Final = rule(
    r"^(?:no|nope|nah|don'?t|do not|stop|wait|hold on|not so fast|please don'?t|i disagree|i'd rather not"
    r"|absolutely not)\b"
    r"(?! (?:problem|worries|objection|need|rush))"
)


def is_decision(sentence: Sentence, role: str) -> bool:
    """What a person settles, and what the assistant says was settled."""
    said = sentence.said
    if sentence.asks:
        return False
    if _LABEL.match(said):
        return True
    rules = (_TAKEN, _LETS, _WILL, _ORDER, _INSTEAD, _SUMMED_UP) if role == "user" else (_TAKEN, _WE_WILL)
    for found in (each.search(said) for each in rules):
        if found and is_meant(said, found.start()) and not _TO_LOOK.search(said, found.end()):
            return True
    return False


def points_back(sentence: Sentence) -> bool:
    """It settles what the sentence before says."""
    return bool(_POINTS_BACK.match(sentence.said))


def is_taken_back(sentence: Sentence) -> bool:
    """A person's words that undo a decision."""
    return not sentence.asks and bool(_TAKEN_BACK.search(sentence.said))


def is_refused(sentence: Sentence) -> bool:
    """The first words of a person who does not want what the assistant has just settled."""
    return bool(_REFUSED.match(sentence.said))
