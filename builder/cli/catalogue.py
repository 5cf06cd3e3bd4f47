"""Verbs that show what there is to choose from: the catalogue, and the schema of what a person writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from builder.cli.completion import complete_schema, complete_tool
from builder.cli.frame import Json, app, print_json, say, session
from builder.errors import ConfigError

tool_app = typer.Typer(help="Look at one tool of the catalogue.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tool_app, name="tool")


@app.command()
def schema(
    kind: Annotated[
        str,
        typer.Argument(help="config (devbox.yaml), tool, base, profile or sidecar.", autocompletion=complete_schema),
    ] = "config",
    output: Annotated[
        Optional[Path],  # noqa: UP045  # typer reads it at run time on 3.10
        typer.Option("--output", "-o", help="Write to this file.", show_default="standard output"),
    ] = None,
) -> None:
    """Show the JSON Schema of devbox.yaml, or of a file of the catalogue, for editors.

    It sees less than `devbox config`: neither names of the catalogue nor keys that belong together.
    """
    from builder.adapters.files import write_atomic
    from builder.cli.look import check_output
    from builder.core.schema import MODELS, schema_text

    if kind not in MODELS:
        raise ConfigError(f"there is no schema of {kind}", hint=f"it is {', '.join(MODELS)}")
    if output is None:
        typer.echo(schema_text(kind), nl=False)  # with no address masked: these are patterns
        return
    check_output(output, "without --output it goes to standard output")
    write_atomic(output, schema_text(kind).encode(), mode=0o644)
    say(f"{output} written")


@app.command()
def tools(context: typer.Context, as_json: Json = False) -> None:
    """List the tools that there are, with their versions."""
    from builder.core.tool_view import list_tools
    from builder.tasks.prepare import read_catalog

    with session(context) as ours:
        found = list_tools(read_catalog(ours), ours.assets.listing)
    if as_json:
        print_json(list(found))
        return
    for tool in found:
        say(f"{tool.name:<16}  {', '.join(tool.versions):<16}  {tool.summary}")


@tool_app.command("show")
def show_tool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of a tool.", autocompletion=complete_tool)],
    as_json: Json = False,
) -> None:
    """Show what a tool brings: packages, services, ports, variables, checks, and where its file lies."""
    from builder.core.tool_view import describe_tool, view_tool
    from builder.tasks.prepare import read_catalog

    with session(context) as ours:
        found = view_tool(name, read_catalog(ours), ours.assets.listing)
    if as_json:
        print_json(found)
        return
    for line in describe_tool(found):
        say(line)
