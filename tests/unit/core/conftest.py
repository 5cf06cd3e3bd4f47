"""Hypothesis without deadlines: a busy machine is no failure; the same examples in every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("core", deadline=None, derandomize=True)
settings.load_profile("core")
