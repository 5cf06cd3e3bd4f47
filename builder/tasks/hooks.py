"""Runs the hooks of devbox.yaml inside, each once: `on_create` for a home, `on_start` for a start.

What has ended well is written down inside, by the hook's own process: in the home, and below /run, which is empty at
each start. So what a killed `up` left undone the next one does, and nothing twice; while one still runs, another waits
for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from builder.core.hooks import ALL, choose_hooks
from builder.errors import EngineError, NotReadyError
from builder.model import LogLine, TaskEnded, TaskStarted

if TYPE_CHECKING:
    from builder.model import Hook, Runtime
    from builder.tasks.interfaces import Context

AS_USER: Final = "/usr/lib/devbox/as-user"
MOMENTS: Final = ("on_create", "on_start")
TAIL: Final = 15
TIMED_OUT: Final = (124, 137)  # of timeout(1); the second where it had to kill
# Where a moment's list of hooks lies; both scripts begin with it. $1 is the moment.
_LIST: Final = """
case $1 in
on_create) list=$HOME/.local/state/devbox/on_create ;;
*) list=$XDG_RUNTIME_DIR/devbox-$1 ;;
esac
"""
READ: Final = _LIST + 'cat "$list" 2>/dev/null || :'
# $2: id, $3: seconds, $4: the line. The last line of the output is the code; what a hook leaves in the background may
# still hold the output open.
RUN: Final = (
    _LIST
    + """
mkdir -p "${list%/*}"
exec 9>>"$list.lock"
flock 9
if ! grep -qxF -e all -e "$2" "$list" 2>/dev/null; then
    cd "$HOME/projects" 2>/dev/null || cd "$HOME" || exit
    timeout --kill-after=5 "$3" sh -c "$4" 9>&- </dev/null 2>&1
    code=$?
    [ "$code" != 0 ] || echo "$2" >>"$list"
fi
printf '\\n{"devbox-hook": "%s", "code": %s}\\n' "$2" "${code:-0}"
"""
)
MARK: Final = _LIST + 'mkdir -p "${list%/*}" && echo "$2" >>"$list"'


def run_hooks(context: Context, container: str, runtime: Runtime) -> None:
    """Run what has not run yet. Raises NotReadyError for the first that fails, with the end of what it wrote."""
    for moment in MOMENTS:
        if hooks := choose_hooks(runtime, moment):
            _run_moment(context, container, moment, hooks)


def _run_moment(context: Context, container: str, moment: str, hooks: tuple[Hook, ...]) -> None:
    done = set(_inside(context, container, READ, moment).split())
    if ALL in done:
        return
    for hook in hooks:
        if hook.id not in done:
            _run(context, container, hook)
    if moment == "on_create":
        _inside(context, container, MARK, moment, ALL)


def _inside(context: Context, container: str, script: str, *words: str) -> str:
    result = context.engine().run(container, [AS_USER, "sh", "-c", script, "hooks", *words])
    if result.code != 0:
        raise EngineError(
            "what has run of the hooks cannot be read or written inside",
            detail=result.stderr.decode(errors="replace"),
            hint="is the home full, or read-only? `devbox shell` looks",
        )
    return result.stdout.decode(errors="replace")


def _run(context: Context, container: str, hook: Hook) -> None:
    began = context.clock.now()
    context.workspace.intend(f"running {hook.name}")
    context.report(TaskStarted(name="hooks", text=f"{hook.name}: {hook.line}"))
    words = [hook.moment, hook.id, str(hook.timeout_s), hook.line]
    written: list[str] = []
    code: int | None = None
    for data in context.engine().run_stream(container, [AS_USER, "sh", "-c", RUN, "hook", *words]):
        line = data.decode(errors="replace")
        if (told := _parse_end(line, hook)) is not None:
            code = told
            break
        if line.strip():
            context.report(LogLine(name=hook.moment, text=line))
            written = [*written[1 - TAIL :], line]
    seconds = context.clock.now() - began
    context.report(TaskEnded(name="hooks", text=hook.name, seconds=seconds, failed=code != 0))
    if code != 0:
        raise _explain(hook, code, written)


def _parse_end(line: str, hook: Hook) -> int | None:
    if '"devbox-hook"' not in line:
        return None
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return int(told["code"]) if isinstance(told, Mapping) and told.get("devbox-hook") == hook.id else None


def _explain(hook: Hook, code: int | None, written: list[str]) -> NotReadyError:
    if code is None:
        why = "ended with the workstation"
    elif code in TIMED_OUT:
        why = f"took more than {hook.timeout_s} s"
    else:
        why = f"failed with exit code {code}"
    return NotReadyError(
        f"{hook.name} {why}: {hook.line}",
        where="devbox.yaml",
        detail="\n".join(written),
        hint="the workstation runs: `devbox shell` looks around; the next `devbox up` goes on with this hook"
        + ("; `hooks.timeout` gives it more time" if code in TIMED_OUT else ""),
    )
