"""Which files of a Python project go into a build, and what a source of one is known by.

Pure: names and bytes in. Reading the files is the work of the adapters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from builder.core.canonical import bytes_id, content_id
from builder.model import Project, PythonSource, RenderedFile

TREE: Final = "projects"  # folder of the build context

# What neither building nor running needs. Hidden folders (.git, .venv, caches) stay out as well.
_NEVER: Final = frozenset(("__pycache__", "node_modules"))
_NOT_AT_THE_TOP: Final = frozenset(("build", "dist", "env", "test", "tests", "venv"))
_NO_FILES: Final = (".pyc", ".pyo")


def is_wanted(path: Sequence[str]) -> bool:
    """Whether the file or folder at `path`, in parts below the project's own folder, goes into the build."""
    name = path[-1]
    if name.startswith(".") or name in _NEVER or name.endswith((*_NO_FILES, ".egg-info")):
        return False
    return len(path) > 1 or name not in _NOT_AT_THE_TOP


def describe_tree(files: Mapping[str, RenderedFile], summary: str) -> Project:
    """A project whose files are at hand: it is what they hold."""
    identity = content_id({path: [bytes_id(file.data), file.executable] for path, file in files.items()})
    return Project(identity=identity, summary=summary, files=files)


def describe_commit(source: PythonSource, commit: str) -> Project:
    """A Git source is known by its commit: where it came from does not change what is in it."""
    name = source.location.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return Project(identity=commit, summary=f"{name} {commit[:12]}")


def describe_wheel(source: PythonSource, sha256: str) -> Project:
    return Project(identity=sha256, summary=f"{source.location.rpartition('/')[2]} {sha256[:12]}")
