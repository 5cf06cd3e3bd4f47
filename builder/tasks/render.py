"""`devbox render`: write the rendered files, build and start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.tasks.ports import choose_ports
from builder.tasks.prepare import ensure_keys, make_spec, prepare, read_request, say_substitutions, write_files

if TYPE_CHECKING:
    from builder.tasks.demand import Demand
    from builder.tasks.interfaces import Context


def render_workspace(context: Context, *, ask: bool, demand: Demand) -> list[str]:
    """Write what `up` would build and start; the names of the files below .workstation/."""
    request = read_request(context)  # a mistake in devbox.yaml ends here, before anything is made
    with context.workspace.lock("render"):
        prepared = prepare(context, request=request, ask=ask, demand=demand)
        say_substitutions(context, prepared.plan.substitutions)
        runtime = prepared.resolved.runtime
        keys, _ = ensure_keys(context, runtime)
        state = context.workspace.load_state()
        ports = choose_ports(context, runtime, state, held=set(state.ports.values()))
        spec = make_spec(context, prepared, keys, ports)
        return sorted(write_files(context, prepared, spec))
