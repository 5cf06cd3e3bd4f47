"""Values of options that plainly are what they should be, without pydantic, by which typer turns words into values: it
takes as long to import as all else that the command line needs.

What is not plain (a number, a path that cannot be read) is typer's own matter, with its messages. So is everything,
should another typer keep its coercion elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

SLOT: Final = "_runtime_param"  # typer makes its coercion when that is first asked for, and keeps it here
NOT_PLAIN: Final = object()
CHECKS: Final = ("parser", "exists", "writable", "resolve_path", "allow_dash", "path_type")  # that a path can ask for


def take_plainly(command: Any, ctx: Any) -> Any:  # typer has no public name for it
    """`command`, whose parameters try `Plainly` first."""
    for param in command.get_params(ctx) if command else ():  # and --help, which is made when it is asked for
        if hasattr(param, SLOT) and getattr(param, SLOT) is None:
            setattr(param, SLOT, Plainly())
    return command


class Plainly:
    """Stands before the coercion of one parameter."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # as typer asks for it
        found = _take(value, param)
        if found is not NOT_PLAIN:
            return found
        setattr(param, SLOT, None)
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _take(value: object, param: Any) -> object:
    wanted, asked = param.type_descriptor.annotation, param.type_descriptor.parameter_info
    many = param.multiple or param.nargs == -1
    if any(getattr(asked, check) for check in CHECKS):
        return NOT_PLAIN
    if value is None:
        return () if many else None
    if many:
        plain = wanted == list[str] and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return list(value) if plain else NOT_PLAIN  # type: ignore[call-overload]
    if wanted is str and isinstance(value, str):
        return value
    if wanted is Path and isinstance(value, str | Path) and asked.file_okay and asked.dir_okay and _is_readable(value):
        return Path(value)
    return NOT_PLAIN


def _is_readable(path: str | Path) -> bool:
    """As it has to be where there is such a path."""
    try:
        os.stat(path)  # noqa: PTH116  # the question that typer asks
    except OSError:
        return True
    return os.access(path, os.R_OK)
