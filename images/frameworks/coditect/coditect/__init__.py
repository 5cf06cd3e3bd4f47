"""A memory for developers who work with Claude Code."""

__version__ = "0.1.0"
