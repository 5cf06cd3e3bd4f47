"""The container in which restic works: its image made when it is first needed, its questions asked, its answers heard.

What restic says in vain becomes a BackupError here. Must not decide what is backed up or restored.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from builder.core.backups import FOLDER_INSIDE, Helper, Kind, Repository, Trouble, first_fatal, parse_place, understand
from builder.core.canonical import bytes_id, content_id
from builder.core.labels import LABEL_BASE, LABEL_HELPER_IMAGE
from builder.core.render import render_helper
from builder.core.runtime import expand_path
from builder.errors import BackupError, ConfigError, EngineError
from builder.model import BuildEvent, LogLine, Note, Secret, StepProgress, TaskEnded, TaskStarted
from builder.tasks.base import ensure_base
from builder.tasks.owner import refuse_others
from builder.tasks.packages import teller
from builder.tasks.prepare import prepare, read_request

if TYPE_CHECKING:
    from builder.core.config import Config
    from builder.tasks.interfaces import Context

REPOSITORY: Final = "devbox/backup:"
PROGRAM: Final = ("/usr/bin/python3", "-B", "-X", "utf8", "-m", "builder.adapters.backups.inside")
ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PYTHONPATH": "/usr/lib/devbox/helper"}
CACHE_INSIDE: Final = "/cache"
SOURCE: Final = "/source"
RESTORE: Final = "/restore"
SMALL, LARGE = "rw,nosuid,nodev,mode=1777,size=16m", "rw,nosuid,nodev,mode=1777"
TMPFS: Final = {"/run/backup": SMALL, "/tmp": LARGE, SOURCE: LARGE, RESTORE: LARGE}  # noqa: S108
READS: Final = ("DAC_READ_SEARCH",)  # every file, whoever owns it; nothing else
BECOMES: Final = ("SETGID", "SETUID")  # to write the repository as its owner
# To give each file its owner, mode and attributes again.
WRITES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP")

HINTS: Final = {
    Trouble.ABSENT: "`devbox backup` makes the first one",
    Trouble.PASSWORD: "`devbox password backup --set` takes the right one on standard input; the one of before is kept",
    Trouble.LOCKED: "wait until it has ended, and run the same command again",
    Trouble.NETWORK: "look at the network and at `backup.to`, then run the same command again",
    Trouble.DENIED: "look at the credentials of this machine for it, and at its rights there",
    Trouble.SESSION: "log in by hand to see why: it has to go without a question, with that key and that host key",
    Trouble.SPACE: "make room there, or keep less (`backup.keep_days`, `backup.exclude`)",
    Trouble.SNAPSHOT: "`devbox backups` lists them",
    Trouble.MANIFEST: "it was not made by this devbox: restore it with restic itself, or take another one",
    Trouble.VERSION: "restore it on a newer `base`: its restic is newer",
    Trouble.DAMAGED: "`restic check` tells how much of it; other snapshots may be whole",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One repository, with what opens it, and the image to work in."""

    context: Context
    config: Config
    repository: Repository
    image: str

    @property
    def project(self) -> str:
        return self.config.name

    def ask(
        self,
        act: str,
        password: Secret,
        *,
        volumes: Mapping[str, str] | None = None,
        restores: bool = False,
        **request: object,
    ) -> Mapping[str, Any]:
        """One act of the program inside, with `volumes` (key -> name) in its hands. Raises BackupError."""
        helper = self._make_helper(volumes or {}, restores=restores, makes=act in ("look", "make"))
        access = self.context.backups.access(self.repository, self._identity())
        told = {
            "act": act,
            "repository": self.repository.address,
            "password": password.reveal(),
            "environment": access.environment,
            "files": {name: base64.b64encode(data).decode() for name, data in access.files.items()},
            "options": access.options,
            "cache": bool(helper.folders.get(CACHE_INSIDE)),
            "host": self.project,
            "volumes": sorted(volumes or {}),
            **request,
        }
        return self._listen(helper, told)

    def _listen(self, helper: Helper, request: Mapping[str, object]) -> Mapping[str, Any]:
        with closing(self.context.engine().ask_helper(helper, request)) as answers:
            for answer in answers:
                match answer["event"]:
                    case "ended":
                        return answer
                    case "failed":
                        raise self._explain(answer)
                    case "note":
                        self.context.report(Note(text=f"restic: {answer['text']}", level="warning"))
                    case "phase":
                        self.context.report(StepProgress(name="backup", text=answer["text"], state="running"))
                    case "progress":
                        self._tell_progress(answer)
        raise BackupError(f"{helper.name} ended before its work was done", hint="run the same command again")

    def _tell_progress(self, answer: Mapping[str, Any]) -> None:
        self.context.report(
            StepProgress(
                name="backup",
                text="copy what is new",
                state="running",
                done=int(answer["done"]),
                total=int(answer["total"]),
                unit="bytes",
            )
        )

    def _explain(self, answer: Mapping[str, Any]) -> BackupError:
        said = str(answer["said"]).replace(FOLDER_INSIDE, self.repository.shown)
        trouble = understand(str(answer["command"]), int(answer["code"]), said)
        return RepositoryError(
            f"{trouble.value}: {first_fatal(said)}",
            where=self.repository.shown,
            hint=HINTS.get(trouble),
            detail=said if trouble is Trouble.OTHER else None,
            trouble=trouble,
        )

    def _identity(self) -> str | None:
        given = self.config.backup.identity
        return expand_path(given, self.context.facts) if given else None

    def _make_helper(self, volumes: Mapping[str, str], *, restores: bool, makes: bool) -> Helper:
        uid, gid = self.context.backups.owner(self.repository, make=makes)
        local = self.repository.kind is Kind.FOLDER
        folders = {FOLDER_INSIDE: self.repository.folder} if local else {}
        # A restore is root's work, whose files nobody else could use in the cache.
        if not (local or restores or self.context.engine().machine()):
            folders[CACHE_INSIDE] = self.context.backups.cache()
        root = RESTORE + SOURCE if restores else SOURCE
        return Helper(
            name="restic in a container beside the workstation",
            image=self.image,
            command=PROGRAM if restores else _as_owner(uid, gid),
            environment=ENVIRONMENT,
            volumes={f"{root}/{key}": name for key, name in volumes.items()},
            read_only=not restores,
            folders=folders,
            tmpfs=TMPFS,
            capabilities=WRITES if restores else (*READS, *BECOMES) if uid else READS,
            network=not local,
        )


class RepositoryError(BackupError):
    """What restic could not do, told apart by its `trouble`."""

    def __init__(self, message: str, *, where: str, hint: str | None, detail: str | None, trouble: Trouble) -> None:
        super().__init__(message, where=where, hint=hint, detail=detail)
        self.trouble = trouble


def _as_owner(uid: int, gid: int) -> tuple[str, ...]:
    """Files of the repository belong to who owns its folder; of root's rights that of reading everything stays."""
    if uid == 0:
        return PROGRAM
    reads = "-all,+dac_read_search"
    words = ("/usr/bin/setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups")
    return (*words, "--inh-caps", reads, "--ambient-caps", reads, "--", *PROGRAM)


@contextmanager
def open_desk(context: Context, verb: str) -> Iterator[Desk]:
    """The repository of devbox.yaml, with this folder's lock. Raises ConfigError where there is none."""
    config = read_request(context).config
    to = config.backup.to
    if to is None:
        raise ConfigError(
            "no place for backups is set",
            where=context.config_file,
            hint="write `backup: /path/of/a/folder` (or sftp://user@host/path, s3:..., gs:...)",
        )
    with context.workspace.lock(verb):
        refuse_others(context, config.name)
        folder = expand_path(to, context.facts) if "://" not in to and not to.startswith(("s3:", "gs:")) else ""
        if folder and (there := context.engine().machine()):
            raise BackupError(
                f"this folder is on this machine, and the volumes are on {there}",
                where=f"{context.config_file}: backup",
                hint="name a place that both reach: sftp://user@host/path, s3:... or gs:...; `devbox down --volumes "
                "--no-backup` does without",
            )
        yield Desk(
            context=context, config=config, repository=parse_place(to, folder), image=ensure_helper_image(context)
        )


# ------------------------------------------------------------------------------------------------------- image


def ensure_helper_image(context: Context) -> str:
    """The image for helpers, built if it is not there: on the workstation's base, by the same installer."""
    prepared = prepare(context)
    answer = prepared.answers.base
    assets = context.assets
    tree = render_helper(
        answer, context.backups.program(), label=LABEL_HELPER_IMAGE, rootfs=assets.rootfs, templates=assets.templates
    )
    files = {path: [bytes_id(file.data), file.executable] for path, file in tree.items()}
    tag = f"{REPOSITORY}{content_id({'base': answer.identity, 'files': files})[:12]}"
    engine = context.engine()
    if engine.find_image(tag):
        return tag
    ensure_base(context, prepared.resolved.base, answer, prepared.resolved.arch)
    started = context.clock.now()
    context.report(TaskStarted(name="helper", text=f"build {tag}, in which restic runs"))
    secrets = context.sources.host_secrets(prepared.resolved.base, teller(context))
    engine.build(tree, {}, tag, _narrate(context), secrets=secrets)
    context.report(TaskEnded(name="helper", text=f"{tag} built", seconds=context.clock.now() - started))
    _remove_older(context, answer.name, tag)
    return tag


def _remove_older(context: Context, base: str, tag: str) -> None:
    """What earlier versions of this image left behind. One in which somebody works stays until the next time."""
    engine = context.engine()
    for image in engine.find_image_ids(LABEL_HELPER_IMAGE):
        if image.labels.get(LABEL_BASE) != base:
            continue  # another workstation's
        for name in image.tags:
            if name.startswith(REPOSITORY) and name != tag:
                try:
                    engine.remove_image(name)
                except EngineError as error:
                    context.report(Note(text=f"{name} stays for now: {error.message}"))


def _narrate(context: Context) -> Callable[[BuildEvent], None]:
    def hear(event: BuildEvent) -> None:
        if event.log:
            context.report(LogLine(name="helper", text=event.log))

    return hear
