"""Is this sentence a standing convention? Pure; repeated commands, the other patterns, are counted in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coditect.knowledge.wording import OPENING, is_meant, rule

if TYPE_CHECKING:
    from coditect.knowledge.prose import Sentence

_PAST: Final = (
    r"(?!(?:been|got|had|was|were|saw|did|found|knew|intended|meant|thought|heard|came|went|wrote|made|ran|\w+ed|a|the"
    r"|happens?|seems?|works?|fails?|breaks?|gets?|crash\w*|returns?|get|see|end up|forget|have trouble|worked"
    r"|wondered)\b)"
)
_ALWAYS: Final = rule(
    rf"^{OPENING}(?:(?:remember|note|important|reminder|rule|in general|generally)[,:]? )*"
    rf"(?:always|never|don't ever|do not ever) (?!mind\b|again\b|ever\b|seen\b){_PAST}[a-z]+"
    r"|(?<!it )(?<!that )(?<!this )(?<!there )\b(?:is|are) (?:always|never) \w+(?:ed|en|t|de)\b"
    rf"|\b(?:we|you|i|everyone|everybody|tests|migrations|commits|handlers|scripts) (?:should |must |need to "
    rf"|have to |want to"
    rf" |want you to |want )?(?:always|never) {_PAST}[a-z]+"
)
_WE: Final = rule(
    r"(?<!did )(?<!do )(?<!should )(?<!can )(?<!could )(?<!that )(?<!which )(?<!when )(?<!if )(?<!what )(?<!how )"
    r"(?<!where )(?<!why )(?<!until )(?<!will )"
    r"\bwe (?:only |all |generally |usually |normally |typically |strictly |do not |don't )*(?:use|prefer|follow"
    r"|keep|put|write"
    r"|name|format|store|call|squash|rebase|avoid|commit|mock|document|tag|deploy|log|raise|wrap|sort|prefix"
    r"|validate|pin|review|merge|test)\b(?! \w+ing\b)"
)
_HABIT: Final = rule(
    r"\b(?:for|under|everywhere|instead of|only|all|every|each|before|after|don't|do not|over|rather than|in (?:this"
    r"|our|the)"
    r"|prefer|generally|usually|normally|never|not|with|as|by|without|throughout|directly|in (?:code|tests?|docs"
    r"|production|general))\b"
)
_MOMENT: Final = rule(
    r"\b(?:right now|at the moment|currently|for now|today|yesterday|tomorrow|this time|again|here because|temporarily"
    r"|this (?:week|sprint|pr|branch)|until)\b"
)
_STANDING: Final = rule(
    r"\b(?:from now on|from here on|going forward|by convention|as a (?:general )?rule|(?:our|team|house"
    r"|the project'?s?)"
    r" (?:convention|rule|policy|standard|style)s?\b(?! violation)|house (?:style|rule))"
    r"|^(?:convention|rule|policy|guideline|house rule|pattern)s?\s*:\s*\S"
    r"|\bfor (?:all )?(?:the )?future(?: work)?\b|^(?:write this down|remember this|keep in mind|for the record)\b"
)
_ANNOUNCED: Final = rule(r"\b(?:house|ground|some|few|coding|team|basic) (?:rules|conventions|guidelines)\b")
_POINTS_BACK: Final = rule(
    r"(?:^|, )(?:this|that|it)(?:'s| is) (?:a|the|our) (?:general |house |team |fixed )?(?:rule|convention|policy"
    r"|standard)\b"
    r"|^(?:this|that) (?:goes|holds|applies|is true) (?:for|to) (?:all|every|any)"
)
_CONVENTION_IS: Final = rule(
    r"\b(?:convention|rule|policy) (?:here|in this (?:repo|repository|project|codebase)|of this (?:repo|project"
    r"|codebase))?"
    r" ?(?:is|seems to be) |\b(?:this|the) (?:repo|repository|project|codebase|team) (?:consistently "
    r"|always )(?:uses?|names?"
    r"|puts?|keeps?|wraps?|writes?|prefixes)\b|^(?:convention|pattern)\s*:\s*\S"
)
_EVERY: Final = rule(
    rf"(?:^{OPENING}|: )(?:all|every|each|any|no|new) (?!of\b|tests? (?:should|must|have to|need to) (?:pass"
    rf"|be green))(?:[\w/-]+ ){{1,5}}"
    r"(?:must|should|has to|have to|needs? to|needs?|goes?|go|lives?|live|gets?|get|starts? with|ends? with|is named"
    r"|are named"
    r"|belongs?|without)\b"
)
_HERE: Final = rule(
    r"\b(?:in|for|across|throughout) (?:this|our|the whole|the) (?:repo(?:sitory)?|project|codebase|code base"
    r"|monorepo),? "
    r"(?:we|all|every|use|please|always|never|no)\b"
)
_PREFER: Final = rule(
    rf"^{OPENING}prefer .+ (?:over|to|instead of|rather than) |\b(?:we|i) prefer .+ (?:over|to|instead of|rather than) "
)
_EVER: Final = rule(
    rf"(?:^{OPENING}|: )(?:don't|do not|no) \w+.* (?:ever|anywhere|any ?more|in this (?:repo|project|codebase|crate"
    rf"|package|module"
    r"|service)|in (?:tests|production code))\b"
)
_WHENEVER: Final = rule(
    rf"^{OPENING}(?:whenever|every time|each time|any time|anytime|when(?= you)) (?:you|we|i) (?:add|change|touch"
    rf"|write|create|edit|rename"
    r"|introduce|commit|open|merge|release|modify|fix|bump|make|need|delete|remove)\b"
)
_NOBODY: Final = rule(
    rf"(?:^{OPENING}|: )(?:nobody|no one) (?:applies|edits|merges|pushes|deploys|commits|touches|changes|releases"
    rf"|deletes|writes"
    r"|creates|uses|calls|runs|logs|force-pushes|rewrites|installs)\b"
)
_MUST: Final = rule(
    rf"(?:^{OPENING}|: )(?:the |our )?(?:[\w-]+ ){{0,2}}[\w-]+s (?:must not|mustn't|may not|must never|may only"
    rf"|can only|must always)\b"
    rf"|(?:^{OPENING}|: )(?:the |our )?(?:[\w-]+ ){{0,2}}[\w-]+s (?:belong|go|live|come) (?:in|into|under|from"
    rf"|next to|at|through)\b"
)
_EACH: Final = rule(
    r"\b(?:before|after|on|for|with|in) (?:each|every|any) (?:single )?(?:commit|push|pr|pull request|merge|release"
    r"|change"
    r"|deploy\w*|migration|new \w+|endpoint|module|test|bug ?fix|feature)\b"
)


def is_pattern(sentence: Sentence, role: str) -> bool:
    """A person's standing order, or a convention that the assistant found and calls one."""
    said = sentence.said
    if sentence.asks or _MOMENT.search(said) or announces_rules(sentence):
        return False
    rules = (
        (_ALWAYS, _STANDING, _EVERY, _HERE, _PREFER, _EVER, _EACH, _NOBODY, _MUST)
        if role == "user"
        else (_CONVENTION_IS,)
    )
    if any(found and is_meant(said, found.start()) for found in (each.search(said) for each in rules)):
        return True
    return role == "user" and (bool(_WHENEVER.search(said)) or _is_habit(said))


def announces_rules(sentence: Sentence) -> bool:
    """What is stated after it, in the same message, is a rule."""
    return bool(_ANNOUNCED.search(sentence.said)) and not sentence.asks


def is_stated(sentence: Sentence) -> bool:
    return not sentence.asks and len(sentence.said.split()) > 2 and is_meant(sentence.said, 0)


def points_back(sentence: Sentence) -> bool:
    """It makes a rule of the sentence before."""
    return bool(_POINTS_BACK.search(sentence.said))


def _is_habit(said: str) -> bool:
    found = _WE.search(said)
    return bool(found and is_meant(said, found.start()) and _HABIT.search(said, found.start()))
