"""From a plan to text: the Dockerfile, compose.yaml and the files that the image takes.

Owns the Jinja environment and its quoting filters; only plain data reaches a template. Must not decide anything: what
is built is in the plan, how it runs is in the service spec.
"""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError

from builder.core.plan import NO_PROJECTS, plain_name
from builder.core.projects import TREE
from builder.core.source import FORBIDDEN
from builder.errors import RenderError
from builder.model import Plan, Project, RenderedFile, RenderedTree, ServiceSpec

ROOTFS: Final = "rootfs/"


def render_image(
    plan: Plan,
    *,
    rootfs: Mapping[str, RenderedFile],
    templates: Mapping[str, str],
    version: str,
    projects: Mapping[str, Project] = NO_PROJECTS,
) -> RenderedTree:
    """The Dockerfile and every file that it copies, by path below the build context.

    `rootfs` maps `<part>/<path in the image>` to a file, `projects` a tool to its Python source. Raises RenderError for
    a template that cannot be rendered, and for two parts that bring the same file.
    """
    tree = {"Dockerfile": _render("Dockerfile.j2", templates, plan=plan, version=version)}
    for path, file in rootfs.items():
        part, _, target = path.partition("/")
        if part not in plan.parts:
            continue
        if ROOTFS + target in tree:
            raise RenderError(f"two parts of images/rootfs bring /{target}", where=f"images/rootfs/{path}")
        tree[ROOTFS + target] = file
    for name, project in projects.items():
        tree.update({f"{TREE}/{plain_name(name)}/{path}": file for path, file in project.files.items()})
    tree[ROOTFS + "etc/devbox/environment"] = _environment_file(plan)
    return dict(sorted(tree.items()))


def render_compose(spec: ServiceSpec, *, templates: Mapping[str, str], version: str) -> RenderedTree:
    """compose.yaml for the same container that devbox starts through the engine."""
    return {"compose.yaml": _render("compose.yaml.j2", templates, spec=spec, version=version)}


def _environment_file(plan: Plan) -> RenderedFile:
    """The image's ENV once more as a file, for sessions that the engine does not start (SSH, cron)."""
    path = ":".join([*plan.path, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    lines = [f"{name}={value}" for name, value in sorted({**plan.environment, "PATH": path}.items())]
    return RenderedFile(data=("\n".join(lines) + "\n").encode())


def _render(name: str, templates: Mapping[str, str], **values: object) -> RenderedFile:
    try:
        template = _make_environment(tuple(sorted(templates.items()))).get_template(name)
        return RenderedFile(data=template.render(values).encode())
    except TemplateError as error:
        raise RenderError(f"{error.message or error}", where=f"templates/{name}") from error


@functools.lru_cache(maxsize=2)  # compiling the templates is nine tenths of rendering them
def _make_environment(templates: tuple[tuple[str, str], ...]) -> Environment:
    environment = Environment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # no HTML here: every value goes through one of our own filters
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


def quote_environment(value: str) -> str:
    """A value of ENV or LABEL: double quotes, with what the Dockerfile grammar would expand or end escaped.

    Source: the Dockerfile reference, "Environment replacement" and "Parsing"; a line break has no escape there.
    """
    _refuse_controls(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def quote_shell(value: str) -> str:
    """One word of a shell line inside RUN. Line breaks are refused: a Dockerfile would end the instruction there."""
    _refuse_controls(value)
    return shlex.quote(value)


def _refuse_controls(value: str) -> None:
    """The last line of defence. Other signs that cannot be seen, such as a no-break space in a name, do no harm."""
    if FORBIDDEN.search(value):
        raise RenderError(f"a control character cannot be written in a Dockerfile: {value!r}")


def quote_compose(value: object) -> str:
    """A YAML flow scalar or list, as JSON, with the `$` that Compose would interpolate doubled.

    What YAML does not take as it is (line separators, C1 controls) is escaped. Source: YAML 1.2, 5.1 and 5.7.
    """
    if isinstance(value, tuple):
        value = list(value)
    text = json.dumps(value, ensure_ascii=False).replace("$", "$$")
    return "".join(character if character.isprintable() else _escape_yaml(character) for character in text)


def _escape_yaml(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        raise RenderError("a path that is not UTF-8 cannot be written in compose.yaml", hint="rename the folder")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "env": quote_environment,
    "sh": quote_shell,
    "compose": quote_compose,
}
