"""The exception tree: one exit code per family, as documented, and a message that says what to do."""

from __future__ import annotations

import inspect
import re

from builder import errors
from builder.errors import BuildError, ConfigError, DevboxError, EngineError

ALL = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, DevboxError)]
FAMILIES = [item for item in ALL if item is DevboxError or DevboxError in item.__bases__]


def test_every_family_has_an_exit_code_of_its_own() -> None:
    codes = [family.exit_code for family in FAMILIES]
    assert len(codes) == len(set(codes))
    assert sorted(codes) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 130]


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    drawn = re.findall(r"(\w+) {2,}(\d+) {2,}\S", str(errors.__doc__))
    assert {name: int(code) for name, code in drawn} == {item.__name__: item.exit_code for item in ALL}


def test_what_is_below_a_family_shares_its_code() -> None:
    assert BuildError.exit_code == EngineError.exit_code == 5


def test_a_message_has_place_evidence_and_hint_each_on_its_line() -> None:
    error = ConfigError("is wrong", where="devbox.yaml:1:2", detail="name: X\n      ^\n", hint="write x")
    assert str(error).splitlines() == ["devbox.yaml:1:2: is wrong", "name: X", "      ^", "hint: write x"]
    assert str(DevboxError("alone")) == "alone"
