"""Verbs that look at a workstation and change nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from builder.cli.frame import (
    Json,
    app,
    environment_of,
    keys_of,
    load_config,
    options,
    print_json,
    project_of,
    say,
    session,
)
from builder.errors import ConfigError

if TYPE_CHECKING:
    from builder.tasks.status import Status


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the workstation of this folder.

    Where it is not healthy, which service is wrong and why.
    """
    from builder.tasks.status import describe_state

    found = _find_status(context, inside=as_json)
    if as_json:
        print_json(found)
    else:
        say(describe_state(found))


def _find_status(context: typer.Context, *, inside: bool) -> Status:
    from builder.shortcut import look_at_workstation

    if seen := look_at_workstation(options(context).directory, environment_of(context), inside=inside):
        return seen
    from builder.tasks.status import read_status

    with session(context) as ours:
        return read_status(ours, project_of(ours))


@app.command("list")
def list_workstations(context: typer.Context, as_json: Json = False) -> None:
    """Show every workstation on the engine."""
    from builder.tasks.status import list_statuses

    with session(context) as ours:
        found = list_statuses(ours)
    if as_json:
        print_json(list(found))
        return
    if not found:
        say("there are no workstations; `devbox up` makes one")
    for item in found:
        say(f"{item.name:<20}  {item.state:<9}  {item.endpoints.get('web', ''):<28}  {item.workspace}")


@app.command()
def top(context: typer.Context, as_json: Json = False) -> None:
    """Show what every workstation takes now: processor, memory, disk.

    The disk is what it wrote and its volumes, without the image, which others may share.
    """
    from builder.core.load import describe_loads
    from builder.tasks.top import measure_loads

    with session(context) as ours:
        found = measure_loads(ours)
    if as_json:
        print_json(list(found))
        return
    if not found:
        say("there are no workstations; `devbox up` makes one")
        return
    for line in describe_loads(found):
        say(line)


@app.command()
def logs(
    context: typer.Context,
    service: Annotated[Optional[str], typer.Argument(help="One service, such as xvnc; all of them without.")] = None,  # noqa: UP045  # typer reads it at run time on 3.10
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    tail: Annotated[Optional[int], typer.Option("--tail", "-n", min=0, help="Only the last lines.")] = None,  # noqa: UP045
) -> None:
    """Show what the workstation wrote."""
    from builder.tasks.access import read_logs

    with session(context) as ours:
        for line in read_logs(ours, project_of(ours), service=service, follow=follow, tail=tail):
            sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
            sys.stdout.buffer.flush()


@app.command()
def verify(
    context: typer.Context,
    as_json: Json = False,
    junit: Annotated[Optional[Path], typer.Option("--junit", help="Write the results as JUnit XML.")] = None,  # noqa: UP045
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--report", help="Write a folder with an HTML report: results, picture, time line, packages."),
    ] = None,
    only: Annotated[str, typer.Option("--only", help="Only these groups, with commas between them.")] = "",
    skip: Annotated[str, typer.Option("--skip", help="Not these groups.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Substitutions and other warnings fail.")] = False,
    image: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--image", help="Verify a throw-away of this image; no workstation is touched."),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=100, help="Throw-away starts of the group timing.")] = 5,
    cold: Annotated[bool, typer.Option("--cold", help="Drop this machine's page cache before each of them.")] = False,
) -> None:
    """Prove that the workstation keeps its promises; exit code 7 when it does not."""
    from builder.suite.registry import choose_groups
    from builder.suite.table import render_table
    from builder.suite.verify import refuse_failures
    from builder.suite.verify import verify as verify_subject
    from builder.wiring import open_subject

    groups = choose_groups(_words(only), _words(skip))
    with session(context) as ours, open_subject(ours, image, repeat=repeat, cold=cold) as subject:
        found = verify_subject(subject, groups, ours.report, strict=strict)
        if report is not None:
            from builder.suite.report import write_report

            write_report(found, subject, report)
    if junit is not None:
        from builder.suite.junit import write_junit

        write_junit(found, junit)
    if as_json:
        print_json(found)
    else:
        say(render_table(found))
    refuse_failures(found, held=subject.held == subject.plan)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


@app.command()
def screenshot(
    context: typer.Context, file: Annotated[Path, typer.Argument(help="Where the PNG goes.")], as_json: Json = False
) -> None:
    """Take a real picture of the desktop, through VNC."""
    from builder.tasks.access import find_place
    from builder.wiring import take_picture

    with session(context) as ours:
        settings = load_config(ours)
        place = find_place(ours, settings.name, "vnc")
        size = take_picture(place, keys_of(ours, settings).password, file)
    if as_json:
        print_json({"file": str(file), "width": size[0], "height": size[1]})
    else:
        say(f"{file}: {size[0]}x{size[1]}")


@app.command()
def compare(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Two images: tags, ids, or files of `docker save`. One is compared with the one of this folder.",
            metavar="IMAGE",
        ),
    ],
    as_json: Json = False,
    level: Annotated[
        str, typer.Option("--level", help="What is asked for: R0, R1, R2 or R3; less than that ends with 1.")
    ] = "R3",
) -> int:
    """Show what two images differ in: layers, settings, packages, files.

    Levels: R0 the same inputs, R1 the same packages, R2 the same files and settings but for times, R3 the same
    layers, byte for byte. Ends with 1 if less than the level holds.
    """
    from builder.adapters.savedimage import read_image_file
    from builder.core.compare import LEVELS
    from builder.tasks.compare import compare as compare_references
    from builder.tasks.compare import describe_comparison

    if len(images) > 2:
        raise ConfigError(f"{len(images)} images are too many", hint="name two, or one beside that of this folder")
    if level not in LEVELS:
        raise ConfigError(f"--level {level} is unknown", hint=f"it is {', '.join(LEVELS[:-1])} or {LEVELS[-1]}")
    with session(context) as ours:
        found = compare_references(ours, project_of(ours), images, read_image_file)
    if as_json:
        print_json(found)
    else:
        say(describe_comparison(found))
    return 0 if found.holds[level] else 1


@app.command()
def explain(context: typer.Context, as_json: Json = False) -> None:
    """Show what each tool costs in the image: megabytes, packages, layers, and when it is ready.

    ALONE is what nobody else needs: so much smaller is an image without the tool.
    """
    from builder.core.cost import describe_costs
    from builder.tasks.explain import explain_costs

    with session(context) as ours:
        found = explain_costs(ours)
    if as_json:
        print_json(found)
        return
    for line in describe_costs(found):
        say(line)


@app.command()
def sbom(
    context: typer.Context,
    form: Annotated[str, typer.Option("--format", help="cyclonedx (1.6) or spdx (2.3); both are JSON.")] = "cyclonedx",
    image: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--image", help="An image of the engine.", show_default="the one of this folder"),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Write to this file.", show_default="standard output"),
    ] = None,
) -> None:
    """List what is in the image: packages, licences and all other files."""
    from builder.adapters.sbom import BillFormat, render_bill
    from builder.tasks.sbom import read_bill

    if form not in [known.value for known in BillFormat]:
        raise ConfigError(f"--format {form} is unknown", hint="it is cyclonedx or spdx")
    if image == "":
        raise ConfigError("--image names no image", hint="leave it out for the image of this folder")
    if output is not None:
        hint = "without --output it goes to standard output"
        check_output(output, hint)  # before the image is read, which takes seconds
    with session(context) as ours:
        text = render_bill(read_bill(ours, project_of(ours), image), BillFormat(form))
    if output is None:
        typer.echo(text, nl=False)
        return
    from builder.adapters.files import write_atomic

    write_atomic(output, text.encode())
    say(f"{output} written")


def check_output(file: Path, hint: str = "name a file in a folder of yours") -> None:
    """It is written by a rename, which would put a plain file in the place of a device."""
    if not file.parent.is_dir():
        raise ConfigError("there is no such folder", where=str(file.parent), hint=hint)
    if file.exists() and not file.is_file():
        raise ConfigError("is no plain file", where=str(file), hint=hint)
