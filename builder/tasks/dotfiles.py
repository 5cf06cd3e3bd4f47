"""A person's dotfiles, put into a home once: fetched here, unpacked in ~/.dotfiles, and installed there.

A failure is a warning: a workstation without them is one. Where it stands is written down in the home.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from builder.errors import EngineError, HostError
from builder.model import Note, TaskEnded, TaskStarted
from builder.tasks.hooks import AS_USER, TIMED_OUT

if TYPE_CHECKING:
    from builder.model import Dotfiles, ExecResult
    from builder.tasks.interfaces import Context

# What Codespaces and its like look for, in their order.
SCRIPTS: Final = "install.sh install bootstrap.sh bootstrap script/bootstrap setup.sh setup script/setup"
_STATE: Final = "state=$HOME/.local/state/devbox/dotfiles; target=$HOME/.dotfiles; "
LOOK: Final = _STATE + 'cat "$state" 2>/dev/null || :'
UNPACK: Final = (
    _STATE
    + """
[ ! -e "$target" ] || { echo "there is a ~/.dotfiles already" >&2; exit 1; }
rm -rf "$target.new" && mkdir -p "$target.new" "${state%/*}" && tar -x -C "$target.new" &&
echo unpacked >"$state" && mv "$target.new" "$target"
"""
)
# Without a script each file below a dot is linked to, one by one, so that ~/.config stays a folder of the home; what
# was there before is kept beside.
INSTALL: Final = (
    _STATE
    + '[ -e "$target" ] || mv "$target.new" "$target"; '  # what was cut off just before that
    + f'cd "$target" || exit; for script in {SCRIPTS}; do'
    + """
    [ -f "$script" ] || continue
    if [ -x "$script" ]; then set -- "$1" "./$script"; else set -- "$1" sh "$script"; fi
    timeout --kill-after=5 "$@" </dev/null >/tmp/dotfiles.log 2>&1
    code=$?
    tail -n 15 /tmp/dotfiles.log
    [ "$code" = 0 ] && echo "done" >"$state"
    exit "$code"
done
find . -mindepth 1 \\( -path ./.git -o -path ./.github \\) -prune -o -path './.*' \\( -type f -o -type l \\) \\
    ! -path ./.gitignore ! -path ./.gitmodules ! -path ./.gitattributes -print |
    while IFS= read -r file; do
        file=${file#./}
        mkdir -p "$HOME/$(dirname "$file")" || exit
        [ -L "$HOME/$file" ] || [ ! -e "$HOME/$file" ] || mv "$HOME/$file" "$HOME/$file.before-dotfiles" || exit
        ln -sfn "$target/$file" "$HOME/$file" || exit
    done && echo "done" >"$state"
"""
)


def bring_dotfiles(context: Context, container: str, wanted: Dotfiles | None, *, offline: bool = False) -> None:
    """Nothing where the home has them, or none are wanted. `offline` asks no server."""
    if wanted is None:
        return
    state = _inside(context, container, LOOK).stdout.decode().strip()
    if state == "done":
        return
    if offline and wanted.git is not None:
        text = f"the dotfiles of {wanted.git} are not fetched: --offline uses no network"
        context.report(Note(text=text, level="warning"))
        return
    began = context.clock.now()
    context.workspace.intend("bringing the dotfiles")
    context.report(TaskStarted(name="dotfiles", text=f"dotfiles of {wanted.source}"))
    why = _try(context, container, wanted, unpacked=state == "unpacked")
    seconds = context.clock.now() - began
    context.report(TaskEnded(name="dotfiles", text="dotfiles", seconds=seconds, failed=bool(why)))
    if why:
        hint = "`devbox shell` looks around; the next `devbox up` that has something to do tries again"
        context.report(Note(text=f"the dotfiles are not there: {why}. {hint}", level="warning"))


def _try(context: Context, container: str, wanted: Dotfiles, *, unpacked: bool) -> str:
    """Why it did not work, or nothing."""
    try:
        if not unpacked:
            result = _inside(context, container, UNPACK, stdin=context.sources.pack_dotfiles(wanted))
            if result.code != 0:
                return _last(result) or "they could not be unpacked"
        result = _inside(context, container, INSTALL, str(wanted.timeout_s))
    except (EngineError, HostError) as error:
        return str(error).replace("\n", " ")
    if result.code in TIMED_OUT:
        return f"their script took more than {wanted.timeout_s} s (dotfiles.timeout)"
    return f"they ended with exit code {result.code}: {_last(result)}" if result.code != 0 else ""


def _inside(context: Context, container: str, script: str, *words: str, stdin: bytes = b"") -> ExecResult:
    return context.engine().run(container, [AS_USER, "sh", "-c", script, "dotfiles", *words], stdin=stdin)


def _last(result: ExecResult) -> str:
    lines = (result.stdout + result.stderr).decode(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:])
