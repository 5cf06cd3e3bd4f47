"""`devbox render`: write the rendered files, build and start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.tasks.prepare import (
    choose_ports,
    ensure_keys,
    make_spec,
    prepare,
    read_request,
    render_service,
    say_substitutions,
)

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context


def render_workspace(context: Context, *, ask: bool, again: bool) -> list[str]:
    """Write what `up` would build and start; the names of the files below .workstation/."""
    read_request(context)  # a mistake in devbox.yaml ends here, before anything is made
    with context.workspace.lock("render"):
        prepared = prepare(context, ask=ask, again=again)
        say_substitutions(context, prepared.plan.substitutions)
        runtime = prepared.resolved.runtime
        keys, _ = ensure_keys(context, runtime)
        state = context.workspace.load_state()
        ports = choose_ports(context, runtime, state, held=set(state.ports.values()))
        spec = make_spec(context, prepared, keys, ports)
        tree = {**prepared.image_tree, **render_service(context, spec)}
        context.workspace.write_tree(tree)
        return sorted(tree)
