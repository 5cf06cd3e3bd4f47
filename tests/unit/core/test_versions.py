"""Version comparison as catalogue files use it."""

from __future__ import annotations

import pytest

from builder.core.versions import satisfies


@pytest.mark.parametrize(
    ("version", "spec", "fits"),
    [
        ("18.18.2", ">=18", True), ("18", ">=18.0", True), ("18.18.2", ">=22", False), ("3.9", ">=3.10", False),
        ("3.10", ">=3.9", True), ("2.39.5", ">=2.25,<3", True), ("3.0", ">=2.25,<3", False), ("1.2", "==1.2.0", True),
        ("1.2.1", "!=1.2", True), ("2.0.0-rc1", ">1.9", True), ("2", "<=2.0", True),
    ],
)  # fmt: skip
def test_numbers_are_compared_part_by_part(version: str, spec: str, fits: bool) -> None:
    assert satisfies(version, spec) is fits


@pytest.mark.parametrize("spec", ["18", "~=1.2", ">=x", ">= 18", ""])
def test_another_form_is_no_specifier(spec: str) -> None:
    with pytest.raises(ValueError, match="not a version specifier"):
        satisfies("1", spec)
