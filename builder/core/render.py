"""From a plan to text: the Dockerfile, compose.yaml and the files that the image takes.

Owns the Jinja environment and its quoting filters; only plain data reaches a template. Must not decide anything: what
is built is in the plan, how it runs is in the service spec.
"""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from builder.core.kept import KINDS
from builder.core.labels import LABEL_SIDECAR
from builder.core.plan import NO_PROJECTS, plain_name
from builder.core.projects import TREE
from builder.core.source import FORBIDDEN
from builder.errors import RenderError
from builder.model import BaseAnswer, Plan, Project, RenderedFile, RenderedTree, ServiceSpec, Sidecar, SidecarForm

if TYPE_CHECKING:
    from jinja2 import Environment

    from builder.core.kept import KeptFile

DOCKERFILE: Final = "Dockerfile"
COMPOSE: Final = "compose.yaml"
ROOTFS: Final = "rootfs/"
BASE: Final = "base/"
KEPT: Final = "packages"  # files of packages, where a build is to do without a network
NOTHING_LOCKED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
NO_CLOSURES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({})
# Files of images/rootfs that the first step copies, by the beginning of their names. They are a tree of their own: a
# single file, or the content of a folder, leaves its folder in the image with the time of the build.
EARLY: Final = ("etc/apt/", "etc/dpkg/", "etc/hosts", "etc/resolv.conf", "usr/lib/devbox/apt-", "usr/lib/devbox/settle")


def render_image(
    plan: Plan,
    *,
    rootfs: Mapping[str, RenderedFile],
    templates: Mapping[str, str],
    version: str,
    projects: Mapping[str, Project] = NO_PROJECTS,
    locked: Mapping[str, tuple[str, ...]] = NOTHING_LOCKED,
    closures: Mapping[str, Mapping[str, str]] = NO_CLOSURES,
) -> RenderedTree:
    """The Dockerfile and every file that it copies or mounts, by path below the build context.

    Raises RenderError for a template that cannot be rendered, and what `gather_files` raises.
    """
    dockerfile = _render(f"{DOCKERFILE}.j2", templates, plan=plan, version=version)
    return dict(
        sorted(
            {
                DOCKERFILE: dockerfile,
                **gather_files(plan, rootfs=rootfs, projects=projects, locked=locked, closures=closures),
            }.items()
        )
    )


def gather_files(
    plan: Plan,
    *,
    rootfs: Mapping[str, RenderedFile],
    projects: Mapping[str, Project] = NO_PROJECTS,
    locked: Mapping[str, tuple[str, ...]] = NOTHING_LOCKED,
    closures: Mapping[str, Mapping[str, str]] = NO_CLOSURES,
) -> RenderedTree:
    """Every file that the Dockerfile copies or mounts; no template is needed for them.

    `rootfs` maps `<part>/<path in the image>` to a file, `projects` a tool to its Python source, `locked` a step to the
    packages that are there after it, `closures` a step to the files that hold npm or pip to it. Raises RenderError for
    two parts that bring the same file.
    """
    tree: dict[str, RenderedFile] = {}
    for path, file in rootfs.items():
        part, _, target = path.partition("/")
        if part not in plan.parts:
            continue
        if ROOTFS + target in tree:
            raise RenderError(
                f"two parts of images/rootfs bring /{target}",
                where=f"images/rootfs/{path}",
                hint="one of them has to go, or its path to change",
            )
        tree[ROOTFS + target] = file
        if target.startswith(EARLY):
            tree[BASE + target] = file
    for name, project in projects.items():
        tree.update({f"{TREE}/{plain_name(name)}/{path}": file for path, file in project.files.items()})
    for step, lines in locked.items():
        tree[locked_file(step)] = _lines(lines)
    for built in plan.steps:
        for name, text in closures.get(built.name, {}).items():
            tree[f"locked/{built.options['stage']}/{name}"] = RenderedFile(data=text.encode())
    tree[ROOTFS + "etc/devbox/environment"] = _environment_file(plan)
    return tree


# What restic needs around it: SSH for sftp, certificates for s3 and gs, Python for the program of ours.
HELPER_PACKAGES: Final = ("ca-certificates", "openssh-client", "python3", "restic")


def render_helper(
    base: BaseAnswer,
    program: RenderedTree,
    *,
    label: str,
    rootfs: Mapping[str, RenderedFile],
    templates: Mapping[str, str],
) -> RenderedTree:
    """The image in which restic runs, on the base of the workstation. `program` is what runs it."""
    step = {"name": "restic", "origin": "templates/helper.j2", "options": {"packages": HELPER_PACKAGES}}
    tree = {"Dockerfile": _render("helper.j2", templates, plan={"base": base}, step=step, label=label)}
    init = {path.removeprefix("init/"): file for path, file in rootfs.items() if path.startswith("init/")}
    tree |= {BASE + path: file for path, file in init.items() if path.startswith(EARLY)}
    tree |= {f"helper/{path}": file for path, file in program.items()}
    return dict(sorted(tree.items()))


def render_compose(
    spec: ServiceSpec, beside: Sequence[ServiceSpec] = (), *, templates: Mapping[str, str], version: str
) -> RenderedTree:
    """compose.yaml for the same container that devbox starts through the engine, and the sidecars `beside` it."""
    return {COMPOSE: _render(f"{COMPOSE}.j2", templates, spec=spec, specs=(spec, *beside), version=version)}


def render_sidecar(
    sidecar: Sidecar,
    form: SidecarForm,
    base: BaseAnswer,
    *,
    rootfs: Mapping[str, RenderedFile],
    templates: Mapping[str, str],
) -> RenderedTree:
    """The image of a sidecar that is built, on the base of the workstation."""
    step = {"name": sidecar.name, "origin": sidecar.origin, "options": {"packages": form.packages}}
    values = {
        "plan": {"base": base},
        "step": step,
        "run": form.run,
        "stop_signal": form.stop_signal,
        "label": LABEL_SIDECAR,
    }
    init = {path.removeprefix("init/"): file for path, file in rootfs.items() if path.startswith("init/")}
    tree = {BASE + path: file for path, file in init.items() if path.startswith(EARLY)}
    return dict(sorted({**tree, DOCKERFILE: _render("sidecar.j2", templates, **values)}.items()))


def render_question(
    plan: Plan,
    image: RenderedTree,
    files: RenderedTree,
    *,
    known: Collection[str],
    moment: str,
    strict: bool,
    templates: Mapping[str, str],
) -> RenderedTree:
    """A build that asks which packages the steps of `plan` would install, by the ways by which images are built.

    The steps that are `known` stand below it. `image` is the tree of the plan, `files` are the question; `moment` keeps
    it from being answered from the builder's cache. `strict` wants an answer of every mirror.
    """
    steps = [step for step in plan.steps if step.name in known]
    values = {"plan": plan, "steps": steps, "moment": moment, "strict": strict}
    needed = (BASE, *(locked_file(step.name) for step in steps))
    tree = {path: file for path, file in image.items() if path.startswith(needed)}
    return dict(sorted({**tree, **files, "Dockerfile": _render("question.j2", templates, **values)}.items()))


def render_npm_question(
    plan: Plan, image: RenderedTree, names: Collection[str], *, moment: str, newest: bool, templates: Mapping[str, str]
) -> RenderedTree:
    """A build that asks what npm would install for the steps of `names`, or, for `newest`, which version that is."""
    return _render_asking("npm", ("npm-ask",), plan, image, names, templates, moment=moment, newest=newest)


def render_python_question(
    plan: Plan, image: RenderedTree, names: Collection[str], *, moment: str, templates: Mapping[str, str]
) -> RenderedTree:
    """A build that asks what pip would take for the projects of the steps of `names`, on the packages of the image."""
    return _render_asking("python", ("python-install",), plan, image, names, templates, moment=moment)


def _render_asking(
    kind: str,
    programs: Sequence[str],
    plan: Plan,
    image: RenderedTree,
    names: Collection[str],
    templates: Mapping[str, str],
    **values: object,
) -> RenderedTree:
    steps = [step for step in plan.steps if step.name in names]
    trees = tuple(f"{step.options['tree']}/" for step in steps if "tree" in step.options)
    below = tuple(locked_file(step.name) for step in plan.steps if step.kind == "apt")
    needed = (BASE, *below, *trees, *(f"{ROOTFS}usr/lib/devbox/{name}" for name in programs))
    tree = {path: file for path, file in image.items() if path.startswith(needed)}
    text = _render(f"ask/{kind}.j2", templates, plan=plan, steps=steps, **values)
    return dict(sorted({**tree, "Dockerfile": text}.items()))


def render_fetch(
    plan: Plan, image: RenderedTree, files: Sequence[KeptFile], *, moment: str, templates: Mapping[str, str]
) -> RenderedTree:
    """A build that ends with `files` and nothing else, as `<kind>/<file>`, by the ways by which images are built."""
    lines = {kind: [file.line for file in files if file.kind == kind] for kind in KINDS}
    kinds = [kind for kind in KINDS if lines[kind]]
    below = tuple(locked_file(step.name) for step in plan.steps if step.kind == "apt")
    tree = {path: file for path, file in image.items() if path.startswith((BASE, *below))}
    tree |= {f"{KEPT}/{kind}": _lines(lines[kind]) for kind in kinds}
    tree |= {f"{KEPT}/fetch-{kind}": _program(f"fetch-{kind}", templates) for kind in kinds}
    text = _render("packages/fetch.j2", templates, plan=plan, kinds=kinds, moment=moment)
    return dict(sorted({**tree, "Dockerfile": text}.items()))


def render_lay_out(plan: Plan, locked: Sequence[str], *, moment: str, templates: Mapping[str, str]) -> RenderedTree:
    """A build that puts what lies in the context's folder `KEPT` to where the steps of `plan` look for it. `locked` is
    what is installed in the end."""
    text = _render("packages/lay-out.j2", templates, plan=plan, moment=moment)
    tree = {f"{KEPT}/locked": _lines(locked), f"{KEPT}/lay-out": _program("lay-out", templates), "Dockerfile": text}
    return dict(sorted(tree.items()))


def _program(name: str, templates: Mapping[str, str]) -> RenderedFile:
    return RenderedFile(data=templates[f"packages/{name}"].encode(), executable=True)


def _lines(lines: Sequence[str]) -> RenderedFile:
    return RenderedFile(data="".join(f"{line}\n" for line in lines).encode())


def locked_file(step: str) -> str:
    """Where the build context has what the lock says of a step."""
    return f"locked/{plain_name(step)}"


def _environment_file(plan: Plan) -> RenderedFile:
    """The image's ENV once more as a file, for sessions that the engine does not start (SSH, cron)."""
    path = ":".join([*plan.path, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    lines = [f"{name}={value}" for name, value in sorted({**plan.environment, "PATH": path}.items())]
    return RenderedFile(data=("\n".join(lines) + "\n").encode())


def _render(name: str, templates: Mapping[str, str], **values: object) -> RenderedFile:
    from jinja2 import TemplateError  # here: it takes long, and an `up` has other things to do first

    try:
        template = _make_environment(tuple(sorted(templates.items()))).get_template(name)
        return RenderedFile(data=template.render(values).encode())
    except TemplateError as error:
        raise RenderError(f"{error.message or error}", where=f"templates/{name}") from error


@functools.lru_cache(maxsize=2)  # compiling the templates is nine tenths of rendering them
def _make_environment(templates: tuple[tuple[str, str], ...]) -> Environment:
    from jinja2 import DictLoader, Environment, StrictUndefined

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
    "locked": lambda step: quote_shell(locked_file(step)),
}
