"""The lock of a workspace: whether it answers what devbox.yaml asks, and asking the world for what it does not.

Owns the order: the file, then what this machine remembers, then the world. Writes the file nowhere but in `keep_lock`,
which a verb calls once what it stands for is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from builder.core.canonical import bytes_id, content_id
from builder.core.lock import FILE, Lock, LockedBase, Recipe, Wanted, answer_by, explain_stale, make_wanted
from builder.core.lock_file import dump_lock, parse_lock
from builder.core.plan import shapes_image
from builder.errors import HostError, LockError
from builder.model import Note, ProjectKind, ResolvedTool, Retrieval, Substitution
from builder.tasks.artifacts import bring_node
from builder.tasks.base import answer_base, download_progress, ensure_base, identities
from builder.tasks.closures import ask_npm, ask_python, name_projects
from builder.tasks.demand import USE, Demand
from builder.tasks.layout import Request, lay_out, resolve_for
from builder.tasks.packages import ask_packages, find_named

if TYPE_CHECKING:
    from builder.tasks.headstart import HeadStart
    from builder.tasks.interfaces import Context

FRESH_S: Final = 24 * 3600  # how long an answer counts as what there is now
REFRESH: Final = "`devbox lock` brings it up to date"


def find_lock(context: Context, request: Request, demand: Demand = USE, head: HeadStart | None = None) -> Lock:
    """The answers to what is asked for: as they are known, or asked now, with a `head` start for what is to be built.
    Raises LockError for a damaged file, and, if `demand` is frozen, for one that does not fit."""
    known = load_lock(context)
    if demand.frozen or demand.offline:
        return _insist(context, request, known)
    if known is not None and not demand.anew and not (stale := look_stale(context, request, known)):
        return known
    key = _memo_key(context, request, known)
    memo = _load_memo(context, request, key)
    if memo is not None and not demand.anew:
        if known is None:
            text = f"there is no {FILE} yet: what this machine asked before is taken; `devbox lock` asks anew"
            context.report(Note(text=text))
        return memo
    if known is not None and not demand.anew:
        told = f"{', '.join(stale[:3])}{' ...' if len(stale) > 3 else ''}"
        context.report(Note(text=f"{FILE} does not fit devbox.yaml any more: {told}; that is asked, the rest stays"))
    lock = ask_world(context, request, known or memo, demand, head)
    if demand.update is None:  # an update counts once it is in its place
        _save_memo(context, key, lock)
    return lock


def find_known(context: Context, request: Request) -> Lock | None:
    """What is known without asking: the file, whether it fits or not, or what this machine remembers."""
    return load_lock(context) or _load_memo(context, request, _memo_key(context, request, None))


def load_lock(context: Context) -> Lock | None:
    """What the file says; None where there is none."""
    data = context.workspace.load_lock()
    return None if data is None else parse_lock(data)


def keep_lock(context: Context, lock: Lock | None) -> str:
    """Write the file, if it does not say the same already, in whatever form. The sha256 of its bytes."""
    if lock is None:
        return ""
    before = context.workspace.load_lock()
    if before is not None and _says(before, lock):
        return bytes_id(before)
    data = dump_lock(lock)
    context.workspace.save_lock(data)
    context.report(Note(text=f"{FILE} is written{' anew' if before is not None else ''}: it belongs to the sources"))
    return bytes_id(data)


def _says(data: bytes, lock: Lock) -> bool:
    """Also where a tool for JSON, or Git with its ends of lines, wrote it anew."""
    try:
        return dump_lock(parse_lock(data)) == dump_lock(lock)
    except LockError:
        return False


def remember_lock(context: Context, request: Request, lock: Lock) -> None:
    """For other folders of this machine that ask the same: after an update they take the newer one, too."""
    _save_memo(context, _memo_key(context, request, None), lock)


def look_stale(context: Context, request: Request, lock: Lock) -> tuple[str, ...]:
    """Why the lock does not answer what is asked, in words; nothing where it does."""
    if lock.base.name not in request.catalog.bases:
        return (f"its base {lock.base.name} is unknown to this devbox",)
    return explain_stale(lock, _want(context, request, lock.base.name))


def _want(context: Context, request: Request, base: str) -> Wanted:
    """What is asked of the world, where the image stands on the base of this name."""
    used = resolve_for(context, request, base)
    return make_wanted(request.resolved, used, python=name_projects(context, used))


def _insist(context: Context, request: Request, lock: Lock | None) -> Lock:
    if lock is None:
        raise LockError("there is no lock", where=FILE, hint="`devbox lock` writes it; it belongs to the sources")
    if stale := look_stale(context, request, lock):
        raise LockError(f"does not fit devbox.yaml: {'; '.join(stale)}", where=FILE, hint=REFRESH)
    return lock


# -------------------------------------------------------------------------------------------------------- memory


def _memo_key(context: Context, request: Request, known: Lock | None) -> str:
    """What the answers depend on: what is asked, whom, and what a lock that is there keeps."""
    asked = _want(context, request, request.resolved.base.name)
    ways = context.sources.describe_network(request.resolved.base.distribution)
    mirrors = request.config.mirrors.model_dump()
    return content_id([asked, ways, mirrors, None if known is None else bytes_id(dump_lock(known))])


def _load_memo(context: Context, request: Request, key: str) -> Lock | None:
    """None where nothing is remembered that can be used here: what is damaged is only asked again. What is older than
    a day counts only for an image that is here: to build another one by it would mean to begin with old packages."""
    try:
        found = context.memo.load(key)
        lock = parse_lock(found[0]) if found else None
    except (HostError, LockError):
        return None
    if found is None or lock is None or look_stale(context, request, lock) or not _is_base_here(context, lock.base):
        return None
    return lock if found[1] < FRESH_S or _is_built(context, request, lock) else None


def _is_base_here(context: Context, base: LockedBase) -> bool:
    """A base that is gone, or another one by now, may have to come from elsewhere."""
    if base.how is Retrieval.BOOTSTRAP:
        return True
    image = context.engine().find_image(base.image)
    return image is not None and base.identity in identities(image)


def _is_built(context: Context, request: Request, lock: Lock) -> bool:
    return context.engine().find_image(lay_out(context, request, lock).plan.image) is not None


def _save_memo(context: Context, key: str, lock: Lock) -> None:
    """It only saves a question: where it cannot be kept, all goes on."""
    try:
        context.memo.save(key, dump_lock(lock))
    except HostError as error:
        text = f"the answers are not remembered on this machine: {error.message} ({error.where})"
        context.report(Note(text=text, level="warning"))


# --------------------------------------------------------------------------------------------------------- asking


def ask_world(
    context: Context, request: Request, known: Lock | None, demand: Demand, head: HeadStart | None = None
) -> Lock:
    """What can be had now; of `known` all that is not asked anew. Nothing of it is remembered. `head` begins with the
    packages of Debian where npm takes longer than apt."""
    base, instead = _ask_base(context, request, known, demand)
    used = resolve_for(context, request, base.name)
    wanted = _want(context, request, base.name)
    released = None if demand.update == () else find_named(used, known, demand.update or ())
    keep = None if demand.again or demand.update == () else known
    missing, commits = _ask_sources(context, used.tools, wanted, keep, demand.update or ())
    lock = Lock(
        devbox=context.assets.version,
        wanted=wanted,
        base=base,
        recipe=_make_recipe(context),
        substitutions=tuple(_tell_reason(context, item) for item in (*instead, *missing)),
        commits=commits,
    )
    stays = _keep_closures(known, demand)
    pool = ThreadPoolExecutor(1, thread_name_prefix="ask-npm")
    try:
        if any(stays is None or tool not in stays.npm for tool in wanted.npm):
            pool.submit(bring_node, context, used)  # one that fails is met again where it is used, and told there
            ensure_base(context, used.base, answer_by(lock).base, used.arch)  # npm and apt are asked in it side by side
        npm = pool.submit(ask_npm, context, request, lock, stays)
        lock = replace(lock, apt=ask_packages(context, request, lock, known, released))
        if head is not None and request.config.cache.registry is None and not npm.done():
            begun = lay_out(context, request, lock)
            head.begin(begun, context.sources.host_secrets(begun.resolved.base, lambda text: None))  # said by the build
        lock = replace(lock, npm=npm.result())
    except BaseException:
        context.stop()  # or the end would wait for an answer that nobody wants any more
        context.engine().cancel_builds()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return replace(lock, python=ask_python(context, request, lock, stays))


def _keep_closures(known: Lock | None, demand: Demand) -> Lock | None:
    """`known` with what stays of npm and Python."""
    if known is None or demand.update == ():
        return None
    names = demand.update or ()
    return replace(
        known,
        npm={tool: closure for tool, closure in known.npm.items() if tool not in names},
        python={tool: closure for tool, closure in known.python.items() if tool not in names},
    )


def _ask_base(
    context: Context, request: Request, known: Lock | None, demand: Demand
) -> tuple[LockedBase, tuple[Substitution, ...]]:
    """That of `known`, as long as the same is asked and nobody wants it anew."""
    resolved = request.resolved
    if known is not None and not demand.again and demand.update != () and same_base(request, known):
        return known.base, tuple(item for item in known.substitutions if item.what == "base")
    answer, instead = answer_base(context, resolved)
    base = LockedBase(name=answer.name, image=answer.reference, identity=answer.identity, how=answer.how)
    if known is not None and replace(known.base, how=base.how) == base:
        base = known.base  # found in another way, it is no other one
    return base, instead


def same_base(request: Request, known: Lock) -> bool:
    if known.base.name not in request.catalog.bases:
        return False
    was, now = known.wanted, make_wanted(request.resolved, request.resolved)
    return (was.base, was.image, was.substitute, was.arch) == (now.base, now.image, now.substitute, now.arch)


def _ask_sources(
    context: Context, tools: tuple[ResolvedTool, ...], wanted: Wanted, known: Lock | None, names: tuple[str, ...]
) -> tuple[tuple[Substitution, ...], Mapping[str, str]]:
    """Archives that cannot be had, and the commits of today; those of `known` where the same is asked."""
    kept = known.wanted if known else None
    absent = {item.what: item for item in known.substitutions} if known else {}
    missing: list[Substitution] = []
    commits: dict[str, str] = {}
    for tool in tools:
        anew = known is None or kept is None or tool.name in names
        if tool.archive is not None and tool.archive.fallback is not None:
            same = not anew and kept is not None and kept.downloads.get(tool.name) == wanted.downloads[tool.name]
            item = absent.get(tool.name) if same else _reach(context, tool)
            missing += [item] if item else []
        if tool.python is not None and tool.python.kind is ProjectKind.GIT:
            same = not anew and kept is not None and kept.repositories.get(tool.name) == wanted.repositories[tool.name]
            found = known.commits.get(tool.name) if same and known else None
            commits[tool.name] = found or context.sources.find_commit(tool.python)
    return tuple(missing), commits


def _reach(context: Context, tool: ResolvedTool) -> Substitution | None:
    """Fetch an archive that has a fallback; say what stands in its place where it cannot be had."""
    if tool.archive is None or tool.archive.fallback is None:
        return None
    reason = context.sources.reach_archive(tool, download_progress(context, tool.name, "ask for its archive"))
    if reason is None:
        return None
    return Substitution(
        what=tool.name, wanted=f"{tool.name} {tool.version or ''}".strip(), got=tool.archive.fallback, reason=reason
    )


def _tell_reason(context: Context, item: Substitution) -> Substitution:
    """Said when it is asked, and not locked: it is of this machine, and the lock is for all."""
    if item.reason:
        context.report(Note(text=f"{item.wanted} cannot be had: {item.reason}"))
    return replace(item, reason="")


def _make_recipe(context: Context) -> Recipe:
    assets = context.assets
    return Recipe(
        templates=content_id({name: text for name, text in assets.templates.items() if shapes_image(name)}),
        rootfs=content_id({path: [bytes_id(file.data), file.executable] for path, file in assets.rootfs.items()}),
    )
