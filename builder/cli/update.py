"""`up --update` and `rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002  # typer reads the annotations at run time

from builder.cli.frame import Json, app, environment_of, options, print_json, say, session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.tasks.status import Status


def update_to_newest(
    context: typer.Context, *, names: tuple[str, ...], as_json: bool, recreate: bool, build_here: bool
) -> None:
    """What `up --update` does, and prints."""
    from builder.cli.bring_up import print_up
    from builder.shortcut import take_fingerprint
    from builder.tasks.status import read_status
    from builder.tasks.update import update_workstation
    from builder.wiring import check_image

    fingerprint = take_fingerprint(options(context).directory, environment_of(context))
    with session(context, build_here=build_here) as ours:
        done = update_workstation(
            ours,
            fingerprint=fingerprint,
            check=lambda prepared: check_image(ours, prepared),
            names=names,
            recreate=recreate,
        )
        status = read_status(ours, done.outcome.project, proved=done.outcome.phases)
    if as_json:
        print_json(
            _extend(status, "update", {"changed": done.outcome.changed, "from": done.before, "packages": done.changes})
        )
        return
    phases = done.outcome.phases
    print_up(status, as_json=False, changed=done.outcome.changed, seconds=max(phases.values(), default=None))


@app.command()
def rollback(context: typer.Context, as_json: Json = False) -> None:
    """Go back to the workstation of before the last change; volumes are kept as they are now.

    `devbox up` stays there until devbox.yaml changes, or `devbox up --update`. A second rollback goes forward
    again.
    """
    from builder.tasks.rollback import roll_back
    from builder.tasks.status import describe_summary, read_status

    with session(context) as ours:
        done = roll_back(ours)
        status = read_status(ours, done.project, proved=done.phases)
    if as_json:
        told = {"image": done.image, "made": done.made, "differs": done.differs, "stays": done.stays}
        print_json(_extend(status, "rollback", told))
        return
    say(f"{status.name} is back at {done.image}, made {done.made[:16]}")
    if done.stays:
        say("`devbox up` stays there until devbox.yaml changes, or `devbox up --update`")
    say(describe_summary(status))


def _extend(status: Status, key: str, told: Mapping[str, object]) -> dict[str, object]:
    """The JSON of `status`, with what happened beside it."""
    from builder.core.canonical import make_plain

    plain = make_plain(status)
    return {**plain, key: told} if isinstance(plain, dict) else {key: told}
