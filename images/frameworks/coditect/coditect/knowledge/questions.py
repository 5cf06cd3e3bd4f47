"""Which sentences ask, which answer, and which only say that nobody knows. Pure."""

from __future__ import annotations

from typing import Final

from coditect.knowledge.prose import Sentence, stems
from coditect.knowledge.wording import OPENING, rule

_SHORTEST: Final = 4
_RHETORICAL: Final = rule(
    r"(?:,\s*(?:right|no|ok(?:ay)?|yes|yeah|huh|eh|correct|or what|isn't (?:it|that)|aren't (?:we|they|you)"
    r"|doesn't it|don't (?:you|we)"
    r"|won't (?:it|we)|wouldn't (?:it|you)|didn't (?:it|we|i|you))\s*\?)"
    r"|^(?:right|really|why not|who knew|seriously|you know|what could (?:possibly )?go wrong|how hard can"
    r"|who (?:even )?(?:cares"
    r"|needs|doesn't|wouldn't)|isn't (?:it|that|this) (?:great|nice|obvious|funny|lovely|ironic)|what (?:else|more)"
    r" (?:is new|do you|could)|why (?:oh why|on earth|would anyone|do i even|am i)|see\b|got it|make sense|makes sense"
    r"|what was i thinking|how (?:did|could) i (?:miss|not)|you'd think|guess what|remember when|since when"
    r"|how did (?:we|i|you) ever|can you (?:believe|imagine))"
)
_OFFER: Final = rule(
    r"\b(?:(?:do you |would you )?(?:want|like) (?:me|us) to|would you like|shall i|should i (?:go ahead|proceed"
    r"|continue|start"
    r"|commit|push|run|apply|implement|fix|do|open|create|merge)|can i|may i|anything else|does (?:that"
    r"|this) (?:help|work|look"
    r"|make sense|sound)|is (?:that|this) (?:ok|okay|what you)|ready to|sound good|ok(?:ay)? (?:to|if)|let me know"
    r"|how does that"
    r"|what do you think|any (?:other )?questions)\b"
)
_REQUEST: Final = rule(
    rf"^{OPENING}(?:(?:can|could|would|will) (?:you|we|i) (?:please |just |also |quickly |maybe )*(?!tell|explain"
    rf"|say|find out)\w+"
    r"|(?:mind|care) (?:if|to|\w+ing)|how about (?:you|we|\w+ing)|why don't (?:you|we)|what about (?:you|we)"
    r"|any chance you)\b"
)
_ASKING: Final = rule(
    r"\b(?:who|what|whats|what's|when|where|which|whose|why|how|is|are|was|were|do|does|did|can|could|should|shall"
    r"|will|would"
    r"|has|have|had|isn't|aren't|doesn't|don't|am|any|or|may|must|might)\b"
)
_OPEN: Final = rule(
    r"^(?:open (?:question|point|issue)s?|question|tbd|to be (?:decided|determined|clarified)|unresolved"
    r"|unclear)\s*[:\u2013—-]\s*\S"
    r"|\b(?:still|yet) (?:unclear|undecided|unresolved|an open question|open) (?:whether|how|why|if|what|which|who"
    r"|when|where)\b"
    r"|\bwe (?:still )?(?:need|have) to (?:decide|figure out|find out|clarify|work out|agree on) (?:on )?(?:whether"
    r"|how|why|if"
    r"|what|which|who|when|where)\b"
    r"|\b(?:nobody|no one|i don't|i still don't|we don't|we still don't) (?:really )?knows? (?:yet )?(?:whether|how"
    r"|why|if|what"
    r"|which|who|when|where)\b"
    r"|^(?:todo:? )?(?:decide|find out|clarify|figure out|work out) (?:whether|how|why|what|which|who|when|where)\b"
    r"|\b(?:remains|is) (?:an )?(?:open question|to be (?:seen|decided|determined)|undecided)\b"
    r"|\bi (?:wonder|am wondering) (?:whether|how|why|if|what|which)\b|\bi'm (?:still )?(?:wondering"
    r"|not sure) (?:whether|how|why"
    r"|if|what|which|who)\b"
)
_IGNORANT: Final = rule(
    r"\b(?:i|we) (?:honestly |really |still |just )*(?:don't|do not|didn't|can't|cannot|couldn't|could not) (?:know"
    r"|tell|say|find"
    r"|determine|answer|see (?:from here|why)|verify|have (?:access|an answer|enough))\b|\b(?:not|isn't) (?:clear"
    r"|sure|documented"
    r"|certain|obvious)\b|\bunclear\b|\bno (?:idea|clue|way to (?:tell|know|test))\b|\b(?:nobody|no one) (?:can"
    r"|could) (?:know|tell|say)\b|\bhard to say\b|\byou'?(?:ll|d| would| will)?"
    r" (?:need|have) to (?:ask|check with)\b|\bdepends on (?:what|how|whether|who) \b|\b(?:would|need to|have to) ask\b"
)
_PUT_OFF: Final = rule(
    r"\b(?:later|park (?:that|it|this)|leave (?:that|it|this) open|don't know|not sure|no idea|let me (?:think|ask"
    r"|check|sleep)|sleep on|i'?ll"
    r" (?:think|ask|check|get back|have to)|i (?:need|have) to (?:ask|check|think)|good question|another (?:day"
    r"|time)|come back"
    r" to (?:that|it|this)|ask (?:the|me) |to be decided|tbd|undecided|skip that|ignore that)\b"
)
_ANNOUNCED: Final = rule(
    rf"^{OPENING}(?:let me|let's|i'?ll|i will|i'm going to|looking|checking|first|good question|great question|now"
    rf"|running"
    r"|reading|searching|one moment|give me|i need to|next)\b"
)
_ANSWERING: Final = rule(
    r"^(?:yes|yep|yeah|yup|no|nope|nah|sure|ok|okay|right|correct|exactly|neither|both|either|the (?:first|second"
    r"|third|former"
    r"|latter|last)|option|go (?:with|for|ahead)|please|of course|you'?re right|nobody|none|everybody|good point"
    r"|that's|definitely|absolutely|agreed|fine|[ab]\b|[123]\b|it is|it's|only"
    r"|not (?:yet|really))\b"
)


_ORDER: Final = rule(
    rf"^{OPENING}(?:now|next|add|run|commit|fix|show|write|remove|delete|open|push|rename|change|update|move|look"
    rf"|check|start"
    r"|continue|go on|do|make|create|build|deploy|implement)\b"
)


def asks_openly(sentence: Sentence, role: str) -> bool:
    """A real question: neither rhetoric nor an offer nor a polite order; or words for something that is open."""
    said = sentence.said
    if not sentence.asks:
        return bool(_OPEN.search(said)) and not said.startswith("If ")
    if (
        not stems(said)
        or len(said.split()) < _SHORTEST
        or len(said) > 300
        or not _ASKING.search(said)
        or _RHETORICAL.search(said)
    ):
        return False
    if role == "assistant":
        return not _OFFER.search(said) and not _REQUEST.match(said)
    return not _REQUEST.match(said) and not _OFFER.search(said)


def is_answer(sentence: Sentence) -> bool:
    """A statement that can settle something: no question, no announcement, no `I don't know`."""
    return not (
        sentence.asks or _ANNOUNCED.match(sentence.said) or is_ignorance(sentence) or _OPEN.search(sentence.said)
    )


def is_ignorance(sentence: Sentence) -> bool:
    return bool(_IGNORANT.search(sentence.said))


def puts_off(sentence: Sentence) -> bool:
    """A person who is asked, and does not answer now."""
    return bool(_PUT_OFF.search(sentence.said))


def opens_as_answer(sentence: Sentence) -> bool:
    return bool(_ANSWERING.match(sentence.said))


def is_order(sentence: Sentence) -> bool:
    """A person who goes on to the next thing."""
    return bool(_ORDER.match(sentence.said))
