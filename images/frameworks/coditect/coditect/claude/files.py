"""The files of Claude Code: read, and written whole or not at all. Must not decide what is in them."""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coditect.errors import CoditectError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_folder(given: str | None, environment: Mapping[str, str]) -> Path:
    """`--into`, else CLAUDE_CONFIG_DIR, else ~/.claude."""
    return Path(given or environment.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser().absolute()


def read_text(path: Path) -> str | None:
    """None when there is no such file. Raises CoditectError for one that cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UsageError("this is no UTF-8 text; nothing was changed", where=str(path)) from error
    except OSError as error:
        raise CoditectError(f"cannot be read: {error.strerror}", where=str(path)) from error


def parse_settings(text: str | None, path: Path) -> dict[str, Any]:
    """Raises UsageError for what could not be written again without a loss."""
    if text is None or not text.strip():
        return {}
    hint = "correct the file, then try again"
    try:
        settings = json.loads(text, object_pairs_hook=_refuse_twins)
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}; nothing was changed", where=str(path), hint=hint) from error
    if not isinstance(settings, dict):
        raise UsageError("a JSON object is expected; nothing was changed", where=str(path), hint=hint)
    return settings


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twins := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{', '.join(sorted(twins))} is there twice")
    return dict(pairs)


def format_settings(settings: dict[str, Any], like: str | None) -> str:
    """JSON indented as the text that was there before, with its line end or without."""
    indent = re.search(r"^\{\r?\n([ \t]+)\"", like or "")
    text = json.dumps(settings, indent=indent[1] if indent else 2, ensure_ascii=False)
    return text if like and not like.endswith("\n") else text + "\n"


def write_text(path: Path, text: str, before: str | None) -> None:
    """Replace the file, unless somebody else has changed it since it was read. A link stays a link, a mode a mode."""
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=target.parent)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
                file.write(text)
            part.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o600)
            if read_text(path) != before:
                raise RefusedError("changed while it was read; nothing was written", where=str(path), hint="try again")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CoditectError(f"cannot be written: {error.strerror}", where=str(path)) from error


def remove_file(path: Path) -> None:
    """And its folder, if nothing else is in it."""
    path.unlink()
    with suppress(OSError):  # not empty
        path.parent.rmdir()
