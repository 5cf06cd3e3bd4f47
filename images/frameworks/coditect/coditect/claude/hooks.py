"""Our hook among the settings of Claude Code. Pure functions over the parsed settings: nothing of the user's is lost.

Settings have, for each event, a list of groups `{"matcher": ..., "hooks": [{"type": "command", "command": ...}]}`.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from coditect.errors import UsageError

# The ends of what can be lost: the session, and the long form of a conversation.
EVENTS: Final = ("SessionEnd", "PreCompact")
# Never fails, also when coditect is no longer installed. Claude Code ends with its hooks: `coditect claude hook` starts
# the real work as a process of its own and is done at once.
COMMAND: Final = "coditect claude hook >/dev/null 2>&1 || true"
HOOK: Final = {"type": "command", "command": COMMAND, "timeout": 10}
_MARK: Final = "coditect claude hook"

Settings = dict[str, Any]


def add_hooks(settings: Settings, where: str) -> Settings:
    """A copy with our hook at each event; one that the user has changed is left as it is."""
    result = copy.deepcopy(settings)
    hooks = result.setdefault("hooks", {})
    for event in EVENTS:
        if not _entries(settings, event, where):
            hooks.setdefault(event, []).append({"hooks": [dict(HOOK)]})
    return result


def remove_hooks(settings: Settings, where: str) -> Settings:
    """A copy without our hook, and without what is empty for that reason."""
    result = copy.deepcopy(settings)
    for event in EVENTS:
        if HOOK in _entries(settings, event, where):
            result["hooks"][event] = [left for group in result["hooks"][event] for left in _without(group)]
            if not result["hooks"][event]:
                del result["hooks"][event]
    if settings.get("hooks") and not result["hooks"]:
        del result["hooks"]
    return result


def tell_hooks(settings: Settings, where: str) -> dict[str, str]:
    """For each event: installed, changed (by the user), or missing."""
    return {event: _tell(_entries(settings, event, where)) for event in EVENTS}


def _tell(entries: list[Any]) -> str:
    if not entries:
        return "missing"
    return "installed" if HOOK in entries else "changed"


def _without(group: Any) -> list[Any]:
    """The group without our hook; no group when nothing else was in it."""
    if HOOK not in _hooks_of(group):
        return [group]
    left = [hook for hook in group["hooks"] if hook != HOOK]
    return [{**group, "hooks": left}] if left or set(group) - {"hooks", "matcher"} else []


def _entries(settings: Settings, event: str, where: str) -> list[Any]:
    """Hooks of this event that call us. Raises UsageError for settings of another shape than Claude Code's."""
    hooks = settings.get("hooks", {})
    groups = hooks.get(event, []) if isinstance(hooks, dict) else None
    if not isinstance(groups, list):
        raise UsageError(f"`hooks` of {event} is not as Claude Code has it; nothing was changed", where=where)
    return [hook for group in groups for hook in _hooks_of(group) if _MARK in str(_command_of(hook))]


def _hooks_of(group: Any) -> list[Any]:
    hooks = group.get("hooks") if isinstance(group, dict) else None
    return hooks if isinstance(hooks, list) else []


def _command_of(hook: Any) -> Any:
    return hook.get("command") if isinstance(hook, dict) else None
