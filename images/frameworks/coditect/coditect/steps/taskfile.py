"""The task file: its keys, their checks, and the steps it describes. Starts nothing.

jobs: 4
defaults: {timeout: 10m}
steps:
  fetch: {run: [git, fetch], retries: 2}
  build: {shell: "make -j2 | tee build.txt", needs: [fetch]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from coditect.steps.durations import parse_duration
from coditect.steps.graph import find_faults
from coditect.steps.model import NAME, NAME_RULE, Step
from coditect.steps.nodes import Problems, Reader, read_nodes

TOP_KEYS: Final = ("steps", "defaults", "jobs")
SETTING_KEYS: Final = ("env", "cwd", "timeout", "retries", "backoff", "allow_failure")
STEP_KEYS: Final = ("run", "shell", "needs", *SETTING_KEYS)
# -e: a line that fails ends the step, as everybody expects of several lines.
SHELL: Final = ("/bin/sh", "-e", "-c")
MOST_RETRIES: Final = 100


@dataclass(frozen=True)
class Tasks:
    steps: tuple[Step, ...]
    jobs: int | None = None


def load_tasks(file: Path) -> Tasks:
    """Read and check a task file. Raises UsageError that tells everything wrong with it, each with line and column."""
    root = read_nodes(file)
    problems = Problems(file)
    tasks = _TaskReader(problems, file.absolute().parent).read(root)
    problems.raise_any()
    return tasks


class _TaskReader:
    def __init__(self, problems: Problems, folder: Path) -> None:
        self.problems, self.folder = problems, folder
        self.reader = Reader(problems)
        # (step, name it needs) -> where that stands
        self.places: dict[tuple[str, str], yaml.Node] = {}

    def read(self, root: yaml.Node) -> Tasks:
        top = self.reader.fields(root, "the task file", TOP_KEYS)
        jobs = self.reader.integer(top["jobs"], "jobs", 1) if "jobs" in top else None
        defaults: dict[str, Any] = {}
        if "defaults" in top:
            defaults = self.settings(self.reader.fields(top["defaults"], "defaults", SETTING_KEYS), "defaults")
        if "steps" not in top:
            self.problems.add(root, "there is no `steps:`")
            return Tasks(())
        return Tasks(self.steps(top["steps"], defaults), jobs)

    def steps(self, node: yaml.Node, defaults: Mapping[str, Any]) -> tuple[Step, ...]:
        named = self.reader.mapping(node, "steps")
        if not named and isinstance(node, yaml.MappingNode) and not node.value:
            self.problems.add(node, "steps: there is none")
        steps = []
        for name, (key, body) in named.items():
            if not NAME.fullmatch(name):
                self.problems.add(key, f"step {name!r}: a name is made of {NAME_RULE}")
            steps.append(self.step(name, key, body, defaults))
        for fault in find_faults({step.name: step.needs for step in steps}):
            self.problems.add(self.places[fault.step, fault.need], fault.text)
        return tuple(steps)

    def step(self, name: str, key: yaml.Node, body: yaml.Node, defaults: Mapping[str, Any]) -> Step:
        what = f"step {name!r}"
        fields = self.reader.fields(body, what, STEP_KEYS)
        own = self.settings(fields, what)
        settings = {**defaults, **own, "env": {**defaults.get("env", {}), **own.get("env", {})}}
        command = self.command(key, fields, what)
        needs = self.needs(name, fields["needs"], what) if "needs" in fields else ()
        return Step(name, command, needs, **{"cwd": self.folder, **settings})

    def command(self, key: yaml.Node, fields: Mapping[str, yaml.Node], what: str) -> tuple[str, ...]:
        if ("run" in fields) == ("shell" in fields):
            self.problems.add(key, f"{what}: exactly one of run: [program, argument] and shell: text is expected")
            return ()
        if "shell" in fields:
            return (*SHELL, self.reader.text(fields["shell"], f"{what}: shell"))
        words = tuple(self.reader.texts(fields["run"], f"{what}: run"))
        if not words and isinstance(fields["run"], yaml.SequenceNode):
            self.problems.add(fields["run"], f"{what}: run: a program is expected")
        return words

    def needs(self, name: str, node: yaml.Node, what: str) -> tuple[str, ...]:
        for item in self.reader.items(node, f"{what}: needs"):
            need = self.reader.text(item, f"{what}: needs")
            if (name, need) in self.places:
                self.problems.add(item, f"{what}: needs {need!r} twice")
            elif need:
                self.places[name, need] = item
        return tuple(need for step, need in self.places if step == name)

    def settings(self, fields: Mapping[str, yaml.Node], what: str) -> dict[str, Any]:
        """The fields that a step and `defaults` have in common, as arguments of Step."""
        readers: Mapping[str, Callable[[yaml.Node, str], object]] = {
            "env": self.environment,
            "cwd": lambda node, place: self.folder / Path(self.reader.text(node, place)).expanduser(),
            "timeout": self.duration,
            "retries": self.retries,
            "backoff": self.duration,
            "allow_failure": self.reader.boolean,
        }
        return {key: readers[key](node, f"{what}: {key}") for key, node in fields.items() if key in readers}

    def environment(self, node: yaml.Node, what: str) -> dict[str, str]:
        found = self.reader.mapping(node, what)
        for name, (key, _) in found.items():
            if "=" in name:
                self.problems.add(key, f"{what}: a name without `=` is expected")
        return {name: self.reader.text(value, f"{what}: {name}") for name, (_, value) in found.items()}

    def retries(self, node: yaml.Node, what: str) -> int:
        number = self.reader.integer(node, what, 0)
        if number > MOST_RETRIES:
            self.problems.add(node, f"{what}: at most {MOST_RETRIES}")
        return number

    def duration(self, node: yaml.Node, what: str) -> float:
        text = self.reader.text(node, what)
        try:
            return parse_duration(text)
        except ValueError:
            if isinstance(node, yaml.ScalarNode):
                self.problems.add(node, f"{what}: a length of time is expected, such as 90, 1.5s, 2m or 1h30m")
            return 1.0
