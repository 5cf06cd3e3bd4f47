"""`devbox init`: a look at the folder, a few questions, and the devbox.yaml that answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.core.catalog import parse_catalog
from builder.core.ci_template import CI_FILES
from builder.core.clues import read_clues
from builder.core.config import parse_config
from builder.core.config_template import InitAnswers, render_config_template
from builder.core.proposal import make_proposal
from builder.core.schema import schema_text
from builder.errors import ConfigError
from builder.model import Note

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context

Ask = Callable[[str, str], str]  # question, default -> answer

TAKE: Final = ("yes", "no")


def ask_answers(context: Context, files: Mapping[str, str], ask: Ask) -> InitAnswers:
    """A few questions, each with a default that is right for most. What the folder's `files` say is the default.

    Raises ConfigError for an unknown answer.
    """
    ours = context.assets.ours or context.assets  # the file that is written names no catalogue of one's own
    catalog = parse_catalog(ours.listing)
    found = make_proposal(read_clues(files), catalog, context.facts)
    answers = found.answers
    if found.taken and _choose(ask, f"Take what was found: {', '.join(found.taken)}?", "yes", TAKE) == "no":
        answers = InitAnswers(name=answers.name, why={"name": answers.why.get("name", ())})
    else:
        for text in found.warnings:
            context.report(Note(text=text, level="warning"))
    name = ask("Name of the workstation", answers.name)
    profile = _choose(ask, "Profile", answers.profile, sorted(catalog.profiles))
    base = _choose(ask, "Base", answers.base, sorted(catalog.bases))
    changed = {key for key, same in (("name", name == answers.name), ("base", base == answers.base)) if not same}
    why = {key: reasons for key, reasons in answers.why.items() if key not in changed}
    return replace(answers, name=name, profile=profile, base=base, why=why)


def _choose(ask: Ask, question: str, default: str, choices: Sequence[str]) -> str:
    answer = ask(f"{question} ({', '.join(choices)})", default)
    if answer not in choices:
        raise ConfigError(f"{question.lower()} {answer!r} is unknown", hint=f"choose one of {', '.join(choices)}")
    return answer


def write_ci(context: Context, system: str, *, force: bool) -> Path:
    """Write the file that makes `system` verify the workstation. Raises ConfigError for an unknown one."""
    if system not in CI_FILES:
        raise ConfigError(f"--ci {system} is unknown", hint=f"it is {' or '.join(CI_FILES)}")
    file = CI_FILES[system]
    return context.workspace.write_file(file.path, file.text.encode(), force=force)


def refuse_written(context: Context, *, force: bool) -> None:
    """Raises ConfigError when there is a devbox.yaml already: before anything is asked."""
    if context.config_text is not None and not force:
        path = context.workspace.root / context.config_file
        raise ConfigError("there is a devbox.yaml already", where=str(path), hint="`devbox init --force` replaces it")


def write_config(context: Context, answers: InitAnswers, *, force: bool) -> Path:
    """Write devbox.yaml, and its schema for editors. Raises ConfigError when there is one already, or when an answer is
    not valid."""
    parse_config(render_config_template(answers), file=context.config_file, defaults=context.facts)
    refuse_written(context, force=force)
    schema = context.workspace.write_schema(schema_text().encode())
    context.workspace.write_config(render_config_template(replace(answers, schema=schema)).encode())
    return context.workspace.root / context.config_file
