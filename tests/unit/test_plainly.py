"""Values of options without pydantic: they are what typer makes of them, and what is not plain is left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import pytest
import typer

from builder.cli.habits import Verbs

WORDS: tuple[tuple[str, ...], ...] = (
    ("verb",), ("verb", "a", "b"), ("-C", "/tmp", "--log", "x", "verb"), ("-C", "none", "verb", "-n", "7"),
    ("verb", "-n", "x"), ("verb", "--file", "/none"), ("verb", "--file", "/etc/passwd"), ("--log", "", "verb", ""),
    ("verb", "--flag"), ("verb", "--file", "/tmp"),
)  # fmt: skip


def run(words: tuple[str, ...], cls: type[typer.core.TyperGroup]) -> object:
    """What the functions of a command line get, or how it fails."""
    app = typer.Typer(cls=cls)
    got: list[object] = []

    @app.callback()
    def options(
        directory: Annotated[Path, typer.Option("-C")] = Path(),
        log: Annotated[str, typer.Option()] = "auto",
        host: Annotated[Optional[str], typer.Option()] = None,  # noqa: UP045
    ) -> None:
        got.extend((directory, log, host))

    @app.command()
    def verb(
        names: Annotated[Optional[list[str]], typer.Argument()] = None,  # noqa: UP045
        number: Annotated[Optional[int], typer.Option("-n")] = None,  # noqa: UP045
        file: Annotated[Optional[Path], typer.Option(exists=True, dir_okay=False)] = None,  # noqa: UP045
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ) -> None:
        got.extend((names, number, file, flag))

    try:
        app(list(words), standalone_mode=False)
    except typer.TyperException as error:
        return error.format_message()
    return got


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_value_is_what_typer_makes_of_it(words: tuple[str, ...]) -> None:
    assert run(words, Verbs) == run(words, typer.core.TyperGroup)


def test_a_folder_that_may_not_be_read_is_typers_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    assert "is not readable" in str(run(("-C", str(tmp_path), "verb"), Verbs))
