"""Verbs that look ahead: what is asked for, what would be built, what stands in the way. None of them makes anything
but files of the workspace."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from builder.cli.frame import Again, Json, Yes, app, print_json, say, session

if TYPE_CHECKING:
    from builder.tasks.prepare import Request


@app.command()
def init(
    context: typer.Context,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    ci: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--ci", help="Write a CI file that verifies the workstation instead: github or gitlab."),
    ] = None,
) -> None:
    """Write a commented devbox.yaml; asks little."""
    from builder.tasks.init import ask_answers, write_ci, write_config

    with session(context) as ours:
        if ci is not None:
            say(f"{write_ci(ours, ci, force=force)} written; it brings the workstation up and verifies it")
            return
        answers = ask_answers(ours, (lambda question, default: default) if yes else _prompt)
        path = write_config(ours, answers, force=force)
    say(f"{path} written; `devbox up` starts the workstation")


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
    if explain:
        _explain(request, as_json=as_json)
        return
    values = config_as_dict(request.config)
    if as_json:
        print_json(values)
    else:
        say(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


def _explain(request: Request, *, as_json: bool) -> None:
    from builder.core.explain import explain_config
    from builder.suite.cis import list_exceptions

    settings = explain_config(request.config, request.resolved)
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
    assume: Annotated[bool, typer.Option("--assume", help="Ask nothing: take every source as reachable.")] = False,
) -> None:
    """Show what would be built, step by step."""
    from builder.tasks.prepare import prepare, say_substitutions

    with session(context) as ours:
        prepared = prepare(ours, ask=not assume, again=again)
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
    assume: Annotated[bool, typer.Option("--assume", help="Ask nothing: take every source as reachable.")] = False,
) -> None:
    """Write the Dockerfile and compose.yaml to .workstation/."""
    from builder.tasks.render import render_workspace

    with session(context) as ours:
        names = render_workspace(ours, ask=not assume, again=again)
    for name in names:
        say(f".workstation/{name}")


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at engine, disk, ports and sources, with hints."""
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
