"""Decisions, patterns, open questions and fixes, taken from messages by the rules of docs/knowledge.md.

messages -> rules (pure; one session's state at a time) -> items in a database -> Markdown pages in Git.
"""
