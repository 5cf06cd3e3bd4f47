"""YAML with its places: reads a file into nodes and collects what is wrong with them, each with line and column.

Knows nothing about steps. Every reader returns something usable after a problem, so that all problems are told at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from coditect.errors import UsageError
from coditect.steps.graph import nearest

TEXT_TAG: Final = "tag:yaml.org,2002:str"
NULL_TAG: Final = "tag:yaml.org,2002:null"
BOOL_TAG: Final = "tag:yaml.org,2002:bool"
TRUE_WORDS: Final = frozenset({"true", "yes", "on"})


@dataclass(frozen=True, order=True)
class Problem:
    line: int
    column: int
    text: str


class Problems:
    """What is wrong with one file. Told once, all together."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: set[Problem] = set()  # a set: an alias brings the same place twice

    def add(self, node: yaml.Node, text: str) -> None:
        self.found.add(Problem(node.start_mark.line + 1, node.start_mark.column + 1, text))

    def raise_any(self) -> None:
        """Raises UsageError when there is any."""
        told = sorted(self.found)
        if not told:
            return
        lines = [f"{self.file}:{problem.line}:{problem.column}: {problem.text}" for problem in told]
        if len(told) == 1:
            raise UsageError(told[0].text, where=f"{self.file}:{told[0].line}:{told[0].column}")
        raise UsageError("\n  ".join([f"{len(told)} problems", *lines]), where=str(self.file))


def read_nodes(file: Path) -> yaml.Node:
    """The root of a YAML file. Raises UsageError when there is no file, or no YAML in it."""
    try:
        with file.open("rb") as stream:
            root = yaml.compose(stream, Loader=yaml.SafeLoader)
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(file)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise UsageError(f"no YAML: {error.problem or error.context}", where=where) from error
    except yaml.YAMLError as error:
        raise UsageError(f"no YAML: {' '.join(str(error).split())}", where=str(file)) from error
    except RecursionError as error:
        raise UsageError("nested too deeply", where=str(file)) from error
    if root is None:
        raise UsageError("the file is empty", where=str(file), hint="it needs `steps:`")
    return root


class Reader:
    """Turns nodes into values; what does not fit goes to `problems`."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def mapping(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key -> (node of the key, node of the value). A key that stands twice is a problem; the first one counts."""
        if not isinstance(node, yaml.MappingNode):
            self.problems.add(node, f"{what}: a mapping is expected")
            return {}
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = self.text(key, f"a key of {what}")
            if name in found:
                line = found[name][0].start_mark.line + 1
                self.problems.add(key, f"{what}: {name!r} stands twice, first in line {line}")
            elif name:
                found[name] = (key, value)
        return found

    def fields(self, node: yaml.Node, what: str, valid: Collection[str]) -> dict[str, yaml.Node]:
        """A mapping whose keys are known."""
        found = self.mapping(node, what)
        for name, (key, _) in found.items():
            if name not in valid:
                known = nearest(name, valid) or f"; known are {', '.join(valid)}"
                self.problems.add(key, f"{what}: unknown key {name!r}{known}")
        return {name: value for name, (_, value) in found.items() if name in valid}

    def text(self, node: yaml.Node, what: str) -> str:
        """A scalar as it is written: `1.10` and `yes` stay what they are."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == NULL_TAG:
            self.problems.add(node, f"{what}: a text is expected")
            return ""
        if "\0" in node.value:
            self.problems.add(node, f"{what}: a zero byte cannot be handed to a program")
        return str(node.value)

    def texts(self, node: yaml.Node, what: str) -> list[str]:
        return [self.text(item, what) for item in self.items(node, what)]

    def items(self, node: yaml.Node, what: str) -> Sequence[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.problems.add(node, f"{what}: a list is expected, [a, b] or one `- a` a line")
        return []

    def integer(self, node: yaml.Node, what: str, least: int) -> int:
        text = self.text(node, what)
        if not text.isascii() or not text.isdigit() or int(text) < least:
            self.problems.add(node, f"{what}: a whole number from {least} is expected")
            return least
        return int(text)

    def boolean(self, node: yaml.Node, what: str) -> bool:
        if node.tag != BOOL_TAG:
            self.problems.add(node, f"{what}: true or false is expected")
            return False
        return str(node.value).lower() in TRUE_WORDS
