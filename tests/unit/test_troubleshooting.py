"""docs/troubleshooting.md: its headings are what devbox says, so that a search for a message finds its chapter."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
# What others say (a browser, a viewer, ssh), and what nobody says.
NOT_OURS = {
    "Your connection is not private, or ERR_CERT_AUTHORITY_INVALID",
    "Host key verification failed",
    "The VNC viewer refuses the password",
    "the shell ends at once, or never comes",
    "Something else",
}


def said_lines() -> list[list[str]]:
    """The words of every line of what runs here or inside."""
    files = [
        path
        for folder in ("builder", "images/rootfs")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return [plain_words(line) for path in files for line in path.read_text(errors="replace").splitlines()]


def plain_words(line: str) -> list[str]:
    """Without names and numbers, which are another one each time."""
    return [word.lower() for word in re.findall(r"[^\s\"',:;.]+", line) if not re.search(r"[\d`({\[<>]", word)]


def says(words: list[str], line: list[str]) -> bool:
    """Whether `words` stand in a line in this order, maybe with others in between."""
    rest = iter(line)
    return all(word in rest for word in words)


def test_the_headings_of_troubleshooting_are_what_devbox_says() -> None:
    chapters = re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", TROUBLESHOOTING.read_text(), re.MULTILINE)
    lines = said_lines()
    assert {title for title, _ in chapters} >= NOT_OURS
    for title, text in chapters:
        if title in NOT_OURS:
            continue
        words = plain_words(title.partition(", ")[0])
        shown = "\n".join(re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))  # tests make these answers
        assert words
        assert any(says(words, line) for line in [*map(plain_words, shown.splitlines()), *lines]), title
