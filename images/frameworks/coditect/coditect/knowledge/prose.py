"""From the text of a message to sentences: what is code or quoted is blanked, so that no rule sees it as said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE: Final = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_TAGGED: Final = re.compile(r"<([a-z][a-z-]*-[a-z-]+)>.*?(?:</\1>|\Z)", re.DOTALL)
_QUOTED_LINE: Final = re.compile(r"^[ \t]*(?:>|\|).*$", re.MULTILINE)
_LOG_LINE: Final = re.compile(
    r"^[ \t]*(?:at \S+\(|File \"|Traceback|\d{4}-\d\d-\d\d[T ]\d\d:|\[[\w .:-]+\] |[{}<$%/@]|(?:def|class|import|from"
    r"|const|let|var|return|raise|assert|function|public|private|if|for|while) [^.?!]*[;:{)=]\s*$|(?://|#!|--) ).*$",
    re.MULTILINE,
)
_WRAPPED: Final = re.compile(r"(?<![.!?:\n])\n(?=[a-z(])")
_BULLET: Final = re.compile(r"^\s*(?:[-*•+]\s+|\d+[.)]\s+|#+\s+|\[[ x]\]\s+)*")
_CODE: Final = re.compile(r"`[^`\n]*`")
_QUOTED: Final = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|(?<!\w)'[^'\n]{1,200}'(?!\w)")
_END: Final = re.compile(r"(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\betc\.)(?<=[.!?])[\"')\]]*\s+")
_WORD: Final = re.compile(r"[a-z][a-z0-9+#]{2,}")
_ENDING: Final = re.compile(r"(?<=\w{3})(?:ies|ing|ions?|ed|es|s|e|y)$")
_DULL: Final = frozenset(
    [
        "the",
        "and",
        "for",
        "that",
        "this",
        "with",
        "from",
        "have",
        "has",
        "had",
        "are",
        "was",
        "were",
        "will",
        "would",
        "should",
        "could",
        "can",
        "does",
        "did",
        "not",
        "but",
        "you",
        "your",
        "our",
        "its",
        "they",
        "them",
        "then",
        "than",
        "what",
        "which",
        "when",
        "where",
        "why",
        "how",
        "who",
        "whom",
        "there",
        "here",
        "about",
        "into",
        "over",
        "just",
        "only",
        "also",
        "any",
        "all",
        "some",
        "use",
        "used",
        "using",
        "need",
        "needs",
        "want",
        "like",
        "make",
        "made",
        "get",
        "gets",
        "got",
        "one",
        "two",
        "way",
        "yes",
        "let",
        "please",
        "now",
        "new",
        "old",
        "still",
        "yet",
        "more",
        "most",
        "much",
        "many",
        "very",
        "really",
        "think",
        "know",
        "sure",
        "okay",
        "thing",
        "things",
        "it's",
        "don't",
        "we're",
        "i'm",
        "it",
    ]
)
LONGEST_SENTENCE: Final = 500


@dataclass(frozen=True)
class Sentence:
    """`said` is the text with quotations and code blanked, of the same length. `last` ends its paragraph."""

    text: str
    said: str
    last: bool

    @property
    def asks(self) -> bool:
        return self.said.rstrip("\"')]* ").endswith("?")


def sentences(text: str) -> list[Sentence]:
    """The sentences of a message, in order."""
    plain = text.replace("\r\n", "\n").replace("\u2019", "'").replace("**", "").replace("__", "")
    if "```" in plain or "~~~" in plain:
        plain = _FENCE.sub("\n", plain)
    if "<" in plain:
        plain = _TAGGED.sub("\n", plain)
    plain = _LOG_LINE.sub("\n", _QUOTED_LINE.sub("\n", plain))
    return [found for line in _WRAPPED.sub(" ", plain).split("\n") if line.strip() for found in _of_line(line)]


def _of_line(line: str) -> Iterator[Sentence]:
    line = _BULLET.sub("", line).rstrip()
    said = _QUOTED.sub(_blank, _CODE.sub(_blank, line))
    start = 0
    for end in [*(found.end() for found in _END.finditer(said)), len(line)]:
        if end > start and len(line[start:end]) <= LONGEST_SENTENCE:
            yield Sentence(line[start:end].strip(), said[start:end].strip(), end == len(line))
        start = end


def _blank(found: re.Match[str]) -> str:
    return "_" * len(found[0])


def stems(text: str) -> frozenset[str]:
    """The words that carry meaning, without their endings: enough to tell what two sentences have in common."""
    words = (word for word in _WORD.findall(text.lower()) if word not in _DULL)
    return frozenset(_ENDING.sub("", word) for word in words)
