"""Verbs that look ahead: what is asked for, what would be built, what stands in the way. None of them makes anything
but files of the workspace."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from builder.cli.completion import complete_system
from builder.cli.frame import Again, Frozen, Json, Yes, app, make_demand, print_json, say, session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.tasks.prepare import Request


@app.command()
def init(
    context: typer.Context,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    ci: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--ci",
            help="Write a CI file that verifies the workstation instead: github or gitlab.",
            autocompletion=complete_system,
        ),
    ] = None,
) -> None:
    """Look at the folder and write a commented devbox.yaml; asks little.

    In a terminal it asks a few questions; with --yes, or elsewhere, none. A devbox.yaml that is there is left
    alone, but with --force.
    """
    from builder.adapters.folder import read_files
    from builder.core.clues import KNOWN_FILES
    from builder.tasks.init import ask_answers, refuse_written, write_ci, write_config

    with session(context) as ours:
        if ci is not None:
            say(f"{write_ci(ours, ci, force=force)} written; it brings the workstation up and verifies it")
            return
        refuse_written(ours, force=force)
        silent = yes or not sys.stdin.isatty()
        files = read_files(ours.workspace.root, KNOWN_FILES)
        answers = ask_answers(ours, files, _take_default if silent else _prompt)
        path = write_config(ours, answers, force=force)
    say(f"{path} written; `devbox up` starts the workstation")


def _take_default(question: str, default: str) -> str:
    return default


def _prompt(question: str, default: str) -> str:
    answer: str = typer.prompt(question, default=default, err=True)
    return answer


@app.command()
def config(
    context: typer.Context,
    as_json: Json = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say where each setting comes from, and what its security level means.")
    ] = False,
) -> None:
    """Show the configuration with every default filled in."""
    import yaml

    from builder.core.config import config_as_dict
    from builder.tasks.prepare import read_request

    with session(context) as ours:
        request = read_request(ours)
        network = ours.sources.describe_network(request.resolved.base.distribution) if explain else {}
    if explain:
        _explain(request, network, as_json=as_json)
        return
    values = config_as_dict(request.config)
    if as_json:
        print_json(values)
    else:
        say(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


def _explain(request: Request, network: Mapping[str, tuple[str, str]], *, as_json: bool) -> None:
    from builder.core.explain import explain_config
    from builder.suite.cis import list_exceptions

    settings = explain_config(request.config, request.resolved, network)
    level, exceptions = request.resolved.runtime.level.value, list_exceptions(request.resolved)
    if as_json:
        print_json({"settings": settings, "security": {"level": level, "exceptions": exceptions}})
        return
    width = max(len(setting.key) for setting in settings)
    for setting in settings:
        value = "-" if setting.value is None else json.dumps(setting.value, ensure_ascii=False)
        say(f"{setting.key:<{width}}  {value:<24}  {setting.origin}")
    say()
    say(f"security level {level}, " + ("with these exceptions to CIS:" if exceptions else "without exception to CIS"))
    for item in exceptions:
        say(f"  {item.id:<5}  {item.title}: {item.reason}")


@app.command()
def plan(
    context: typer.Context,
    as_json: Json = False,
    again: Again = False,
    frozen: Frozen = False,
    assume: Annotated[bool, typer.Option("--assume", help="Ask nothing: take every source as reachable.")] = False,
) -> None:
    """Show what would be built, step by step.

    Each step with its id: equal ids build equal results.
    """
    from builder.tasks.prepare import prepare, say_substitutions

    demand = make_demand(frozen=frozen, again=again)
    with session(context) as ours:
        prepared = prepare(ours, ask=not assume, demand=demand)
        say_substitutions(ours, prepared.plan.substitutions)
    if as_json:
        print_json(prepared.plan)
        return
    say(f"image {prepared.plan.image}")
    for step in prepared.plan.steps:
        say(f"  {step.id[:12]}  {step.kind:<9}  {step.name:<16}  {step.summary}")


@app.command()
def render(
    context: typer.Context,
    again: Again = False,
    frozen: Frozen = False,
    assume: Annotated[bool, typer.Option("--assume", help="Ask nothing: take every source as reachable.")] = False,
    as_json: Json = False,
) -> None:
    """Write the Dockerfile and compose.yaml to .workstation/.

    compose.yaml starts the same container where devbox is not installed, once the image is there.
    """
    from builder.tasks.render import render_workspace

    demand = make_demand(frozen=frozen, again=again)
    with session(context) as ours:
        names = render_workspace(ours, ask=not assume, demand=demand)
    if as_json:
        print_json({"files": [f".workstation/{name}" for name in names]})
        return
    for name in names:
        say(f".workstation/{name}")


@app.command()
def devcontainer(
    context: typer.Context,
    output: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--output", "-o", help="Another file of this folder.", show_default=".devcontainer/devcontainer.json"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that devbox did not write.")] = False,
    as_json: Json = False,
) -> None:
    """Write devcontainer.json, by which editors open this workstation.

    A file that devbox did not write is left alone, but with --force.
    """
    from builder.tasks.devcontainer import write_devcontainer

    with session(context) as ours:
        path = write_devcontainer(ours, output, force=force)
    if as_json:
        print_json({"file": str(path)})
    else:
        say(f"{path} written; commit it, it names nothing of this machine")


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at engine, disk, ports and sources, with hints.

    Also at versions of the engine with known holes, what each means here, and when the support of a base ends.
    Ends with 8 if something must be mended.
    """
    from builder.tasks.doctor import examine
    from builder.wiring import look_at_host

    with session(context) as ours:
        findings = examine(ours, look_at_host)
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            say(f"{finding.mark} {finding.topic:<14} {finding.text}")
            if finding.hint:
                say(f"  hint: {finding.hint}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(8)


@app.command()
def version(as_json: Json = False) -> None:
    """Show the version of devbox."""
    from builder.adapters.assets import find_version

    if as_json:
        print_json({"devbox": find_version(), "python": sys.version.split()[0]})
    else:
        say(f"devbox {find_version()}")
