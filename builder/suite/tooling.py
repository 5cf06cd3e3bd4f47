"""Group `tooling`: what every tool declares in its own catalogue file, and what devbox.yaml declares, by testinfra.

Owns how a declared check is judged and named. Must not know any particular tool.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from builder.core.versions import satisfies, version_key
from builder.suite.cases import Case, case
from builder.suite.results import CheckFailure, Skipped
from builder.suite.subject import exec_hint

if TYPE_CHECKING:
    from builder.model import Check, Resolved, ResolvedTool, Substitution
    from builder.suite.cases import CheckFunction
    from builder.suite.subject import Subject


def make_cases(resolved: Resolved, substitutions: tuple[Substitution, ...]) -> Iterator[Case]:
    replaced = {item.what: item for item in substitutions}
    for tool in resolved.tools:
        if tool.archive and tool.name in replaced:
            yield _absent(tool.name, replaced[tool.name])
            continue
        # The first command that a tool declares is the tool itself: it has to be the version that was resolved.
        first = next((item for item in tool.checks if item.run), None)
        for name, check in name_checks(tool.checks):
            exact = tool.version if check is first else None
            yield make_declared(f"tooling.{tool.name}.{name}", tool.name, check, exact=exact)
        if tool.npm and not tool.checks:
            yield _npm_package(tool)
    yield debian_packages


def _absent(name: str, item: Substitution) -> Case:
    """Nothing of the tool itself can be checked; that it is missing is told by the group `degraded`."""

    def run(_: Subject) -> None:
        raise Skipped(f"in its place: {item.got}")

    return Case(id=f"tooling.{name}", title=f"{name} is there", check=run)


def name_checks(checks: Sequence[Check]) -> Iterator[tuple[str, Check]]:
    """A short name for each, by what it looks at; the second of a name gets a -2."""
    seen: dict[str, int] = {}
    for check in checks:
        words = check.run[0] if check.run else check.file or check.package or check.service or "nothing"
        name = re.sub(r"[^a-z0-9.+-]+", "-", words.rpartition("/")[2].lower()).strip("-") or "check"
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}-{seen[name]}"), check


def make_declared(id: str, owner: str, check: Check, *, exact: str | None = None, title: str | None = None) -> Case:
    """The case of one declared check; what it states together must hold together."""
    parts: list[tuple[str, CheckFunction]] = []
    if check.run:
        parts.append((f"`{_shown(check.run)}` works{_wanted(check, exact)}", _command(check, exact)))
    if check.file:
        parts.append((f"{check.file} is there", _file(check.file)))
    if check.package:
        parts.append((f"package {check.package} is installed{_wanted(check, None)}", _package(check)))
    if check.service:
        parts.append((f"service {check.service} is up", _service(check.service)))

    def run(subject: Subject) -> str | None:
        notes = [note for _, function in parts if (note := function(subject))]
        return ", ".join(notes) or None

    words = title or f"{owner}: " + ", ".join(text for text, _ in parts)
    return Case(id=id, title=words, check=run)


def _shown(argv: Sequence[str]) -> str:
    line = shlex.join(argv)
    return line if len(line) <= 48 else line[:45] + "..."


def _wanted(check: Check, exact: str | None) -> str:
    wanted = [item for item in (check.version, exact) if item]
    return f" and says {' and '.join(wanted)}" if wanted else ""


def _command(check: Check, exact: str | None) -> CheckFunction:
    def run(subject: Subject) -> str | None:
        line = shlex.join(check.run)
        done = subject.host.run(line)
        said = (done.stdout + done.stderr).strip()
        look = exec_hint(*check.run)
        if done.rc != 0:
            raise CheckFailure(f"`{line}` to succeed", f"exit code {done.rc}: {said[-300:]}", look)
        if not (check.version or exact):
            return None
        return judge_version(said, check.version, exact, look)

    return run


def judge_version(said: str, wanted: str | None, exact: str | None, look: str) -> str:
    """The version that a program told, held to a specifier and to the resolved version as far as that goes."""
    found = re.search(r"(?<![0-9.])[0-9]+(?:\.[0-9]+)+", said) or re.search(r"[0-9]+", said)
    expected = " and ".join(item for item in (wanted, exact) if item)
    if found is None:
        raise CheckFailure(f"version {expected}", f"no version in {said[:200]!r}", look)
    version = found.group()
    fits = wanted is None or satisfies(version, wanted)
    if exact is not None:
        parts = version_key(exact)
        fits = fits and version_key(version)[: len(parts)] == parts
    if not fits:
        raise CheckFailure(f"version {expected}", version, look)
    return version


def _file(path: str) -> CheckFunction:
    def run(subject: Subject) -> None:
        if not subject.root.file(path).exists:
            raise CheckFailure(f"{path} to exist", "no such file", exec_hint("ls", "-l", path))

    return run


def _package(check: Check) -> CheckFunction:
    def run(subject: Subject) -> str | None:
        name = check.package or ""
        look = exec_hint("dpkg-query", "-W", name)
        package = subject.root.package(name)
        if not package.is_installed:
            raise CheckFailure(f"the package {name} to be installed", "it is not", look)
        version = str(package.version)
        # dpkg's epoch ("1:2.39") says nothing about the program's own version.
        return judge_version(version.partition(":")[2] or version, check.version, None, look) if check.version else None

    return run


def _service(name: str) -> CheckFunction:
    def run(subject: Subject) -> None:
        done = subject.root.run("s6-svstat -o up,ready /run/service/%s && ls /run/service/%s", name, name)
        up, ready, *files = done.stdout.split() or ["false", "false"]
        # One that tells when it is ready and never is keeps dying: each of its starts is up for a moment.
        if up != "true" or (ready != "true" and "notification-fd" in files):
            told = f"up {up}, ready {ready}" if done.stdout else done.stderr.strip()
            raise CheckFailure(f"the service {name} to be up", told, f"devbox logs {name}")

    return run


def _npm_package(tool: ResolvedTool) -> Case:
    """A package of devbox.yaml's `npm:` declares nothing itself: it is there, in the version that was asked for."""
    npm = tool.npm
    assert npm is not None  # noqa: S101  # the caller looked

    def run(subject: Subject) -> str:
        path = f"{npm.prefix}/lib/node_modules/{npm.package}/package.json"
        found = subject.output("jq", "-r", ".version", path).strip()
        if found != npm.version:
            raise CheckFailure(f"{npm.package} {npm.version}", found, exec_hint("cat", path))
        return found

    return Case(id=f"tooling.{tool.name}", title=f"npm package {npm.package} {npm.version} is there", check=run)


@case("tooling.packages", "every Debian package of the plan is installed")
def debian_packages(subject: Subject) -> str:
    wanted = {package for tool in subject.resolved.tools for package in tool.apt}
    script = "dpkg-query -W -f '${Package} ${db:Status-Status}\\n'"
    listed = dict(line.split(" ", 1) for line in subject.root.check_output(script).splitlines())
    missing = sorted(name for name in wanted if listed.get(name) != "installed")
    if missing:
        look = exec_hint("dpkg-query", "-W", *missing[:3])
        raise CheckFailure(f"{len(wanted)} packages to be installed", f"without {', '.join(missing)}", look)
    return f"{len(wanted)} packages"
