"""A broken framework: one that forgets, repeats itself, or is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from builder.model import Check
from builder.suite.session import Wanted
from tests.engine.mutations.ways import Mutation, down


def wrap(command: str, script: str) -> str:
    """A shell script in the place of a command, that may call the real one as "$real"."""
    return f"""
rm /usr/local/bin/{command}
cat >/usr/local/bin/{command} <<'END'
#!/bin/sh
real=/opt/coditect/bin/{command}
{script}
END
chmod 755 /usr/local/bin/{command}
"""


TWICE: Final = """
"$real" "$@" || exit
case "$1 $2" in
    "sessions ingest") kept=$CODITECT_STORE/context-storage/unified_messages.jsonl && head -n 1 "$kept" >>"$kept" ;;
esac
"""
NO_RESTORE: Final = """
[ "$1 $2" = "checkpoint restore" ] || exec "$real" "$@"
"""
NO_BACKUP: Final = """
[ "$1" = restore ] || exec "$real" "$@"
"""
NO_STEPS: Final = """
[ "$1" = run ] || exec "$real" "$@"
echo '{"ok": true}' >report
echo two >first
"""


def framework_check(wanted: Wanted) -> Wanted:
    """`framework.checks` of devbox.yaml."""
    return replace(wanted, framework=(("memory", Check(run=("coditect", "--version"), version="<0.0.1")),))


FRAMEWORK: Final = (
    Mutation(
        id="a command of the framework leads nowhere",
        groups=("framework",),
        caught=("framework.commands",),
        inside="ln -s /opt/coditect/bin/gone /usr/local/bin/gone",
    ),
    Mutation(
        id="a message is kept twice", groups=("framework",), caught=("framework.dedup",), inside=wrap("coditect", TWICE)
    ),
    Mutation(
        id="the worst is found first",
        groups=("framework",),
        caught=("framework.search",),
        inside=wrap("cxq", '"$real" "$@" | jq reverse'),
    ),
    Mutation(
        id="a checkpoint is not brought back",
        groups=("framework",),
        caught=("framework.checkpoint",),
        inside=wrap("coditect", NO_RESTORE),
    ),
    Mutation(
        id="a backup is not brought back",
        groups=("framework",),
        caught=("framework.backup",),
        inside=wrap("coditect", NO_BACKUP),
    ),
    Mutation(
        id="steps are not run", groups=("framework",), caught=("framework.steps",), inside=wrap("coditect", NO_STEPS)
    ),
    Mutation(
        id="no slash command",
        groups=("framework",),
        caught=("framework.claude",),
        inside="rm -r /home/dev/.claude/commands",
    ),
    Mutation(
        id="nobody reads the sessions",
        groups=("framework", "tooling"),
        caught=("framework.ingest", "tooling.coditect.ingest"),
        because="the tool declares the service in its catalogue file",
        inside=down("ingest"),
    ),
    Mutation(
        id="a check of the framework in devbox.yaml",
        groups=("framework",),
        caught=("framework.check.memory",),
        promise=framework_check,
    ),
)
