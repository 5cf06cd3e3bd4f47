"""Shell commands: what two runs of the same thing have in common, which only look, which change something. Pure."""

from __future__ import annotations

import re
from typing import Final

_BEFORE: Final = re.compile(
    r"^\s*(?:cd\s+\S+\s*(?:&&|;)\s*|sudo\s+|time\s+|timeout\s+\S+\s+|env\s+|[A-Za-z_]\w*=\S*\s+)+"
)
_AFTER: Final = re.compile(
    r"\s*(?:2>&1|(?:[12&]?>>?)\s*/dev/null|\|\s*(?:head|tail|tee|less|cat|grep|rg|wc)\b[^|]*)\s*$"
)
_RUNNERS: Final = re.compile(
    r"^(?:(?:uv|poetry|pipenv|hatch|pdm) run|npx|pnpm exec|yarn exec|bundle exec|python3?(?:\.\d+)? -m"
    r"|\S*/python3? -m)\s+"
)
_PARTS: Final = re.compile(r"\s*(?:&&|\|\||;|\||\n)\s*")
_WITH_VERB: Final = frozenset(
    [
        "git",
        "npm",
        "pnpm",
        "yarn",
        "cargo",
        "go",
        "make",
        "docker",
        "kubectl",
        "helm",
        "terraform",
        "gradle",
        "./gradlew",
        "mvn",
        "dotnet",
        "bundle",
        "pip",
        "pip3",
        "uv",
        "poetry",
        "apt",
        "apt-get",
        "brew",
        "systemctl",
        "just",
        "task",
        "rake",
        "alembic",
        "flask",
        "rails",
        "mix",
        "tox",
        "nox",
    ]
)
_LOOKING: Final = frozenset(
    [
        "ls",
        "cat",
        "head",
        "tail",
        "grep",
        "rg",
        "egrep",
        "ag",
        "find",
        "awk",
        "wc",
        "echo",
        "pwd",
        "cd",
        "which",
        "type",
        "whereis",
        "stat",
        "file",
        "du",
        "df",
        "ps",
        "env",
        "printenv",
        "date",
        "tree",
        "jq",
        "sleep",
        "true",
        "test",
        "[",
        "command",
        "less",
        "more",
        "sort",
        "uniq",
        "cut",
        "diff",
        "cmp",
        "printf",
        "whoami",
        "id",
        "uname",
        "hostname",
        "history",
        "man",
        "sed",
    ]
)
_LOOKING_GIT: Final = frozenset(
    ["status", "log", "diff", "show", "branch", "blame", "remote", "fetch", "ls-files", "rev-parse", "grep", "describe"]
)
_VERBOSITY: Final = frozenset(
    [
        "-v",
        "-vv",
        "-q",
        "-x",
        "-s",
        "-l",
        "--verbose",
        "--quiet",
        "--lf",
        "--no-header",
        "--tb=short",
        "--tb=long",
        "--color",
    ]
)
_CHANGING: Final = re.compile(
    r"(?:^|\s)(?:install|i|ci|add|sync|update|upgrade|tidy|get|mkdir|chmod|chown|cp|mv|rm|ln|touch|kill|pkill|start"
    r"|restart|up"
    r"|pull|checkout|switch|config|submodule|restore|reset|init|login|migrate|export|unset|enable|apply|generate|gen"
    r"|clean"
    r"|prune|link|patch|create\w*|drop\w*|lock|use|load|set|compile|codegen|rebuild|dedupe|remove|uninstall|stop"
    r"|down)(?:\s|$)"
    r"|(?:^|\s)sed (?:-\w+ )*-i|[^2&>]>\s*[^&/\s]|\b(?:migrate|codegen)\b"
)


def normal(command: str) -> str:
    """The command itself: without the folder, variables and pipes around it."""
    line = _BEFORE.sub("", command.strip().split("\n", 1)[0])
    while (shorter := _AFTER.sub("", line)) != line:
        line = shorter
    return " ".join(line.split())


def key(command: str) -> str:
    """Program and verb: `npm test`, `cargo build`, `pytest`."""
    words = _RUNNERS.sub("", normal(command)).split()
    if not words:
        return ""
    program = words[0].rsplit("/", 1)[-1]
    verbs = [word for word in words[1:] if not word.startswith("-")]
    if program not in _WITH_VERB or not verbs:
        return program
    return " ".join([program, *verbs[: 2 if verbs[0] in ("run", "compose") else 1]])


def targets(command: str) -> frozenset[str]:
    """What the command is let loose on: its words that are no options; `tests/a.py::test_b` is `tests/a.py`."""
    words = _RUNNERS.sub("", normal(command)).split()
    skipped = len(key(command).split())
    plain = [word for word in words if not word.startswith("-")][skipped:]
    return frozenset(word.split("::", 1)[0].rstrip("/") for word in plain if not word.isdigit())


def same_work(failed: str, passed: str) -> bool:
    """Whether the success of one command says something about the failure of the other."""
    if key(failed) != key(passed):
        return False
    before, after = targets(failed), targets(passed)
    return not after or before == after or bool(before & after)


def with_other_options(failed: str, passed: str) -> bool:
    """The same work with options that matter: what made it pass is the command line itself."""
    before, after = (frozenset(_RUNNERS.sub("", normal(command)).split()) for command in (failed, passed))
    return targets(failed) <= targets(passed) and bool((before ^ after) - _VERBOSITY)


def only_looks(command: str) -> bool:
    """Nothing is built, tested or changed: its failure is an answer, not an error."""
    parts = [_BEFORE.sub("", part).split() for part in _PARTS.split(command.strip()) if part.strip()]
    return all(not words or _looks(words) for words in parts)


def _looks(words: list[str]) -> bool:
    program = words[0].rsplit("/", 1)[-1]
    if program == "git":
        return len(words) > 1 and words[1] in _LOOKING_GIT
    return program in _LOOKING and not (program == "sed" and any(word.startswith("-i") for word in words))


def changes_something(command: str) -> bool:
    return bool(_CHANGING.search(f" {normal(command)}"))


def may_fail(command: str) -> bool:
    """The command line says itself that failing is fine."""
    return bool(re.search(r"\|\|\s*(?:true|:|echo)|(?:^|[;&]\s*)!\s", command))
