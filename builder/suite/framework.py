"""Group `framework`: what is installed as the team's framework does its work.

The bundled one is used, in a store of its own below /tmp that is gone afterwards: the person's is not touched. Of
another one the commands are on the PATH, and the checks that devbox.yaml declares for it hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure, Finding
from builder.suite.subject import exec_hint
from builder.suite.tooling import make_declared

if TYPE_CHECKING:
    from builder.model import Resolved, ResolvedTool
    from builder.suite.subject import Subject

BUNDLED: Final = "coditect"
SERVICE: Final = "ingest"
PLAY_S: Final = 60.0  # several programs and restic's slow key, without a word, on a busy machine
LOOK: Final = "devbox verify --only framework"


def _message(number: int, text: str) -> str:
    content = {"role": "user", "content": text}
    told = {"type": "user", "uuid": f"u{number}", "sessionId": "verify", "timestamp": f"2026-01-01T00:00:0{number}Z"}
    return json.dumps({**told, "message": content})


ONCE: Final = _message(1, "the turquoise elephant")
IN_PASSING: Final = _message(
    2, f"{'of many other things, at some length, ' * 20} and of one turquoise pencil among them"
)
BESIDE: Final = _message(3, "nothing of the kind")
# One message in three guises (the second time with its keys in another order), and a line that broke off.
REORDERED: Final = json.dumps(dict(reversed(json.loads(ONCE).items())))
FIXTURE: Final = f"{IN_PASSING}\n{ONCE}\n{ONCE}\n{REORDERED}\n{BESIDE}\n{ONCE[:40]}\n"
DISTINCT: Final = 3
BROKEN: Final = 1
MENTIONS: Final = 2

TASKS: Final = """\
steps:
  second: {shell: "cat first && echo two >>first", needs: [first]}
  first: {shell: "echo one >first"}
"""

PLAYGROUND: Final = """
set -eu
folder=$(mktemp -d /tmp/devbox-verify.XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export CODITECT_STORE="$folder/store"
cat >given
"""


def make_cases(subject: Subject) -> Iterator[Case]:
    tool = find_framework(subject.resolved)
    if tool is None:
        return
    yield _commands(tool)
    if tool.name == BUNDLED:
        yield from (dedup, search, checkpoint, backup, steps, claude, ingest)
    for name, check in subject.framework:
        yield make_declared(f"framework.check.{name}", name, check)


def find_framework(resolved: Resolved) -> ResolvedTool | None:
    return next((tool for tool in resolved.tools if tool.name == BUNDLED or tool.name.startswith("framework:")), None)


def _play(subject: Subject, script: str, given: str = FIXTURE) -> str:
    """Stdout of a shell script that finds the text `given` in the file of that name, in a folder that goes again."""
    done = subject.run("sh", "-c", PLAYGROUND + script, stdin=given.encode(), patience_s=PLAY_S)
    if done.code != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise CheckFailure(f"`{script.strip()}` to succeed", f"exit code {done.code}: {said[-300:]}", LOOK)
    return done.stdout.decode(errors="replace")


def _read_json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CheckFailure(f"{what} to print JSON", repr(text[:200]), LOOK) from error


def _commands(tool: ResolvedTool) -> Case:
    """npm's commands are on the PATH by their folder, those of a Python project by links to them alone."""
    prefix = tool.npm.prefix if tool.npm else tool.python.prefix if tool.python else ""
    listing = f"ls {prefix}/bin" if tool.npm else f"find /usr/local/bin -lname '{prefix}/*' -printf '%f\\n'"
    script = f'{listing} | while read -r name; do echo "$name $(readlink -e "$(command -v "$name")" || true)"; done'

    def run(subject: Subject) -> str:
        found = dict(line.partition(" ")[::2] for line in subject.output("sh", "-c", script).splitlines())
        lost = sorted(name for name, path in found.items() if not path.startswith(f"{prefix}/"))
        if lost or not found:
            told = f"{', '.join(lost)} lead elsewhere" if lost else "none"
            raise CheckFailure(f"commands that lead into {prefix}", told, exec_hint("ls", "-l", "/usr/local/bin"))
        return ", ".join(sorted(found))

    return Case(id="framework.commands", title="the commands of the framework are on the PATH", check=run)


@case("framework.dedup", "coditect keeps each message once and sets a broken line aside")
def dedup(subject: Subject) -> str:
    script = "coditect sessions ingest --quiet given; cd store/context-storage; wc -l *_messages.jsonl quarantine.jsonl"
    kept, aside = (int(line.split()[0]) for line in _play(subject, script).splitlines()[:2])
    if (kept, aside) != (DISTINCT, BROKEN):
        told = f"{kept} kept, {aside} set aside"
        raise CheckFailure(f"{DISTINCT} messages kept, {BROKEN} line set aside", told, LOOK)
    return f"{kept} of {len(FIXTURE.splitlines()) - BROKEN} messages"


@case("framework.search", "cxq finds what was said, the best first")
def search(subject: Subject) -> None:
    script = "coditect sessions ingest --quiet given; coditect index >/dev/null; cxq --json turquoise"
    found = [hit["snippet"] for hit in _read_json(_play(subject, script), "cxq")]
    if len(found) != MENTIONS or "elephant" not in found[0]:
        raise CheckFailure("the message that is about it, then the one that mentions it", f"{found}", LOOK)


@case("framework.checkpoint", "coditect brings back the notes of a checkpoint")
def checkpoint(subject: Subject) -> None:
    script = """
coditect sessions ingest --quiet given
coditect checkpoint create first >/dev/null 2>&1
cp store/memory/notes.md before
echo "written later" >>store/memory/notes.md
coditect checkpoint restore first --discard >/dev/null 2>&1
! grep "written later" store/memory/notes.md && cmp before store/memory/notes.md && echo back
"""
    if (found := _play(subject, script).strip()) != "back":
        raise CheckFailure("the notes as they were at the checkpoint", found or "other notes", LOOK)


@case("framework.backup", "coditect brings back a backup of the memory", deadline_s=PLAY_S)
def backup(subject: Subject) -> None:
    script = """
export XDG_CONFIG_HOME="$folder/config" XDG_CACHE_HOME="$folder/cache" # the password of this backup, and restic's cache
coditect sessions ingest --quiet given
coditect backup --to "$folder/away" >/dev/null 2>&1
coditect restore --from "$folder/away" --to "$folder/again" >/dev/null 2>&1
kept=context-storage/unified_messages.jsonl
cmp store/$kept again/$kept && echo back
"""
    if (found := _play(subject, script).strip()) != "back":
        raise CheckFailure("the messages as they were", found or "other messages", LOOK)


@case("framework.steps", "coditect runs the steps of a file in the order of their needs")
def steps(subject: Subject) -> None:
    script = "mv given tasks.yaml; coditect run tasks.yaml --log quiet --json report --output logs; cat first report"
    written, brace, report = _play(subject, script, TASKS).partition("{")
    if written.split() != ["one", "two"] or not _read_json(brace + report, "coditect run")["ok"]:
        raise CheckFailure("the first step, then the second", repr(written), LOOK)


@case("framework.claude", "Claude Code has the slash command and the hook")
def claude(subject: Subject) -> None:
    argv = ("coditect", "claude", "install", "--check")
    done = subject.run(*argv)
    if done.code != 0:
        said = done.stdout.decode(errors="replace").strip()
        # Where its owner took them out or changed them, the home is left as it is: it is theirs.
        kind = CheckFailure if subject.fresh else Finding
        raise kind("both to be in ~/.claude", said or f"exit code {done.code}", exec_hint(*argv[:3]))


@case("framework.ingest", "sessions are read in the background, unless devbox.yaml says no")
def ingest(subject: Subject) -> str:
    if SERVICE in subject.resolved.runtime.environment.get("DEVBOX_OFF", "").split():
        running = subject.run("pgrep", "-x", "ingest", root=True)
        if running.code == 0:
            raise CheckFailure("no background service", "it runs", "devbox up --recreate")
        return "off, by devbox.yaml"
    look = subject.look()
    if SERVICE in look.red or SERVICE not in look.phases:
        found = look.red.get(SERVICE, "no service of the image declares it")
        raise CheckFailure("the service to watch ~/.claude/projects", found, f"devbox logs {SERVICE}")
    return "on"
