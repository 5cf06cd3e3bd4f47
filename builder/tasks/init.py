"""`devbox init`: a few questions, and the devbox.yaml that answers them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.catalog import parse_catalog
from builder.core.ci_template import CI_FILES
from builder.core.config import make_name, parse_config
from builder.core.config_template import InitAnswers, render_config_template
from builder.errors import ConfigError

if TYPE_CHECKING:
    from builder.tasks.interfaces import Context

Ask = Callable[[str, str], str]  # question, default -> answer


def ask_answers(context: Context, ask: Ask) -> InitAnswers:
    """Three questions, each with a default that is right for most. Raises ConfigError for an unknown answer."""
    catalog = parse_catalog(context.assets.listing)
    name = ask("Name of the workstation", make_name(context.facts.folder))
    profile = _choose(ask, "Profile", "workstation", sorted(catalog.profiles))
    base = _choose(ask, "Base", "ubuntu-22.04", sorted(catalog.bases))
    return InitAnswers(name=name, profile=profile, base=base)


def _choose(ask: Ask, question: str, default: str, choices: list[str]) -> str:
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


def write_config(context: Context, answers: InitAnswers, *, force: bool) -> Path:
    """Write devbox.yaml. Raises ConfigError when there is one already, or when an answer is not valid."""
    text = render_config_template(answers)
    parse_config(text, file=context.config_file, defaults=context.facts)
    path = context.workspace.root / context.config_file
    if context.config_text is not None and not force:
        raise ConfigError("there is a devbox.yaml already", where=str(path), hint="`devbox init --force` replaces it")
    context.workspace.write_config(text.encode())
    return path
