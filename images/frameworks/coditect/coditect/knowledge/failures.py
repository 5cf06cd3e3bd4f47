"""Errors: the line that names one, and what people say about them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from coditect.knowledge.wording import is_meant, rule

if TYPE_CHECKING:
    from coditect.knowledge.prose import Sentence


def _lines_like(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"^{pattern}$", re.MULTILINE | re.IGNORECASE)


# Best first: the name of an error, a failed test by name, then what only says that something failed.
_NAMED: Final = (
    _lines_like(
        r"(?:[\w.]+(?:Error|Exception|NotFound)(?: \[\w+\])?:.*|E\s{2,}\S.*|(?:\S+:\d+(?::\d+)?: )?(?:fatal |syntax )?"
        r"error(?:\[\w+\]| \w[\w ./-]{0,40})?:.*|fatal:.*|panic:.*|.*: command not found|.*\berror TS\d+:.*"
        r"|\W*ERR_\w+.*)"
    ),
    _lines_like(r"(?:test \S+ \.\.\. FAILED|--- FAIL: .*|not ok .*|thread '.*' panicked.*)"),
    _lines_like(
        r"(?:FAILED\b.*|FAIL\b.*|npm ERR!.*|ERROR\b.*|.*\bpermission denied\b.*|make: \*\*\*.*"
        r"|.*No such file or directory.*)"
    ),
)
_SURE: Final = re.compile(
    r"^Traceback \(most recent call last\)|^(?:\S+:\d+(?::\d+)?: )?error(?:\[\w+\])?: |^fatal: |^FAILED |^npm ERR!"
    r"|^panic: "
    r"|: command not found$|^BUILD FAILED|\berror TS\d+: |^E {3}\S|^Exit code [1-9]|^make: \*\*\*",
    re.MULTILINE,
)
_CODE_ONLY: Final = re.compile(r"^(?:Exit code \d+|Command failed.*|\s*|[-=_ ]+|Traceback.*|>.*|npm ERR! code .*)$")
_NOT_ONE: Final = re.compile(
    r"user doesn't want to proceed|tool use was rejected|Request interrupted|String to replace not found"
    r"|has not been read yet"
    r"|Command timed out|requires approval|<tool_use_error>"
)
_EXPECTED: Final = rule(
    r"\b(?:should|must|will|has to|expect\w*|see|watch|sure|confirm|check|prove|verify|want)\b[^.\n]*\b(?:fails?"
    r"|failing|red|errors?"
    r"|refuses?|rejects?|reject\w*|blows? up|crash\w*)\b|\bfailing test\b|\breproduc\w+\b|\bon purpose\b"
    r"|\bdeliberately\b"
    r"|\bred first\b|\bbefore the fix\b"
)
_WAS_EXPECTED: Final = rule(
    r"\b(?:as expected|that(?:'s| is) expected|is expected|expected (?:failure|error)|fails? (?:correctly"
    r"|for the right reason)"
    r"|good[,:] (?:it|the test|that) (?:fails|refuses|rejects)|reproduced|intended)\b"
)
_REPORTED: Final = rule(
    r"\b(?:i|we|they|users|customers|someone)(?:'m| am| are|'re)? (?:also |now |always |keep )?(?:get|gets|getting"
    r"|see|seeing|have|hit)"
    r" (?:an?|the|this|these|lots of|some)?\s?(?:[\w_.-]+ ){0,4}(?:errors?|exceptions?|tracebacks?|crash|failures?"
    r"|4\d\d|5\d\d)\b"
    r"|\b(?:fails|failed|is failing|are failing|crashes|crashed|is crashing|broken|dead|stuck|frozen|unresponsive"
    r"|doesn't work|does not work|don't work"
    r"|not working|stopped working|throws|threw|hangs|hung|blows up|blew up|(?:is|are) (?:empty|blank|wrong|missing"
    r"|duplicated)"
    r"|gives me|complains|returns (?:a )?(?:4\d\d|5\d\d)|never (?:fires|arrives|finishes|returns|loads)"
    r"|loops forever)\b"
)
_WISH: Final = re.compile(
    r"^(?:please |also |then |and |now |ok,? )*(?:add|handle|write|make|show|log|retry|test|check|implement|create"
    r"|ensure|if|let)\b",
    re.IGNORECASE,
)
_CONFIRMED: Final = rule(
    r"\b(?:works|working|fixed|solved|resolved|(?:is|are|it's|they're|error|crash|problem|message) (?:all )?gone"
    r"|that did it|that was it"
    r"|did the trick|no (?:more|longer) (?:\w+ )?(?:errors?|crash\w*|fail\w*|hang\w*)|(?:passes|pass|runs|loads"
    r"|starts|builds|boots|reacts|responds|opens)"
    r" (?:now|again|fine)|all green|it's green|looks (?:good|right|fine) now|good now|back to normal)\b"
)
_COMPLAINT: Final = rule(
    r"\b(?:still|same (?:error|problem|issue|thing|result)|doesn't|does not|didn't|did not|isn't|is not|not (?:fixed"
    r"|working|quite)|no luck"
    r"|(?:fail\w*|broken|crash\w*|errors?|happen\w*|back) again|worse|nope|not yet|except|only (?:when|if|half"
    r"|partly)|should|would|if)\b|^no\b"
)
_CLAIMED: Final = rule(
    r"\b(?:fixed|root cause|the (?:problem|issue|bug|cause|culprit|reason) (?:is|was)|now (?:works|passes|returns"
    r"|loads|starts)|that was (?:it|the"
    r" (?:cause|bug|problem)))\b"
)
_CAUSE: Final = rule(
    r"\b(?:because|root cause|caused by|turns out|the (?:problem|issue|bug|cause|culprit|reason|fix|mistake)|missing"
    r"|forgot|was never|isn't"
    r" (?:installed|set|imported)|not (?:installed|exported|imported|registered|set)|needs? (?:to|a|an|the)"
    r"|instead of|should (?:have )?be"
    r"(?:en)?|expects?|requires?|lacks?|stale|conflict\w*|wrong|typo|fix(?:ed|es)?)\b"
)


_CAUSE_STATED: Final = rule(
    r"\broot cause\b|\bcaused by\b|\bthe (?:real |actual )?(?:problem|issue|bug|cause|culprit|reason|fix"
    r"|mistake) (?:is|was)\b"
)


def error_line(text: str) -> str:
    """The line that names the error: of a traceback the last, else the first."""
    for names in _NAMED:
        named = [found[0].strip() for found in names.finditer(text) if not _CODE_ONLY.match(found[0].strip())]
        if named:
            return re.sub(r"^E\s{2,}", "", named[-1 if "Traceback (most recent" in text else 0])
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if not _CODE_ONLY.match(line)), "")


def looks_failed(text: str) -> bool:
    return bool(_SURE.search(text))


def is_noise(text: str) -> bool:
    """A tool that was refused, stopped or misused: nothing about the work."""
    return bool(_NOT_ONE.search(text))


def announces_failure(text: str) -> bool:
    """The failure was wanted: a test that has to be red first, a refusal that is to be seen."""
    return bool(_EXPECTED.search(text))


def accepts_failure(text: str) -> bool:
    return bool(_WAS_EXPECTED.search(text))


def reports_error(sentence: Sentence) -> bool:
    found = _REPORTED.search(sentence.said)
    return bool(found and not _WISH.match(sentence.said) and is_meant(sentence.said, found.start()))


def confirms(sentence: Sentence) -> bool:
    return not sentence.asks and bool(_CONFIRMED.search(sentence.said)) and not _COMPLAINT.search(sentence.said)


def complains(sentence: Sentence) -> bool:
    return bool(_COMPLAINT.search(sentence.said))


def claims_fix(sentence: Sentence) -> bool:
    return not sentence.asks and bool(_CLAIMED.search(sentence.said))


def names_cause(sentence: Sentence) -> bool:
    return not sentence.asks and bool(_CAUSE.search(sentence.said))


def states_cause(sentence: Sentence) -> bool:
    return not sentence.asks and bool(_CAUSE_STATED.search(sentence.said))
