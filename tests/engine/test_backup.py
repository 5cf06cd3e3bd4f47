"""Backups against a real engine and a real restic: what comes back is what was there, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.adapters.clock import wait_for
from builder.adapters.engine.client import Engine
from builder.core.labels import LABEL_HELPER
from builder.errors import BackupError
from builder.tasks import backup_helper
from builder.tasks.backup import take_backup
from builder.wiring import make_context
from tests.engine.conftest import Workstation, make_factory
from tests.engine.s3_server import s3_server

pytestmark = pytest.mark.engine_26

ODD = Path(__file__).parent / "data/odd_files.py"
HOME = "/home/dev"
CONFIG = "profile: headless\nbase: debian-12\ntools: {oh-my-zsh: false}\n"


def config(repository: Path, more: str = "") -> str:
    return f"{CONFIG}backup: {{to: {json.dumps(str(repository))}{more}}}\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody else than root: what is in it has to be theirs."""
    folder = tmp_path_factory.mktemp("repository")
    if os.geteuid() == 0:
        os.chown(folder, 1234, 1234)
    return folder


@pytest.fixture(scope="module")
def workstation(session_folder: Path, environment: Mapping[str, str], repository: Path) -> Iterator[Workstation]:
    for make in make_factory(session_folder, {**environment, "XDG_STATE_HOME": str(session_folder / "state-backup")}):
        made = make("backed-up", config(repository))
        made.up()
        made.ok("backup")
        yield made
        made.write(CONFIG)  # its end makes no backup


def odd(engine: Engine, workstation: Workstation, act: str, *, folder: str = f"{HOME}/odd") -> list[str]:
    """Make the odd files, or look at them, as root inside."""
    command = ["/usr/bin/python3", "-X", "utf8", "-c", ODD.read_text(), act, folder]
    done = engine.run(workstation.container(engine).id, command, user="root")
    assert done.code == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def helpers_of(engine: Engine) -> list[str]:
    with engine.asking("cannot list"):
        return [str(item["Id"]) for item in engine._api.containers(all=True, filters={"label": [LABEL_HELPER]})]


def wait_until_no_helper(engine: Engine) -> None:
    wait_for("the end of the helper", lambda: not helpers_of(engine) or None, deadline_s=30, interval_s=0.1)


def locks(repository: Path) -> list[Path]:
    """Without what restic was still writing: no restic takes that for a lock."""
    return [path for path in (repository / "locks").iterdir() if "-tmp-" not in path.name]


# --------------------------------------------------------------------------------------------------- the drill


def test_what_comes_back_is_what_was_there_while_the_workstation_works_on(
    engine: Engine, workstation: Workstation, repository: Path
) -> None:
    odd(engine, workstation, "make")
    before = odd(engine, workstation, "describe")
    assert len(before) > 10_000
    # Somebody writes all the time: that is told, and hinders nothing.
    workstation.inside("sh", "-c", "(while :; do date >noise; done) >/dev/null 2>&1 &")
    first = json.loads(workstation.ok("backup", "--json"))
    assert first["files"] > 10_000
    second = json.loads(workstation.ok("backup", "--json"))
    assert second["added"] < first["added"] / 10, "what is there already was copied again"
    assert {path.stat().st_uid for path in repository.rglob("*")} == {repository.stat().st_uid}
    old = engine.volumes("backed-up")

    done = workstation.run("restore", "--yes")
    assert done.returncode == 0, done.stderr
    assert "changed while they were backed up" in done.stderr
    assert odd(engine, workstation, "describe") == before
    new = set(engine.volumes("backed-up")) - set(old)
    assert set(old) < set(engine.volumes("backed-up")), "the old data went"
    assert len(new) == 2

    assert "up to date" in workstation.ok("up"), "the next up takes other volumes"
    workstation.ok("restore", "--discard-old", "--yes")
    assert set(engine.volumes("backed-up")) == new
    listed = json.loads(workstation.ok("backups", "--json"))
    assert [item["id"][:8] for item in listed[-2:]] == [first["snapshot"][:8], second["snapshot"][:8]]
    assert helpers_of(engine) == []
    removed = engine.run(workstation.container(engine).id, ["rm", "-rf", f"{HOME}/odd"], user="root")
    assert removed.code == 0  # the other tests need none of it, and would back it up each time


def test_another_machine_goes_on_with_the_password_and_devbox_yaml(
    engine: Engine, workstation: Workstation, session_folder: Path, environment: Mapping[str, str], repository: Path
) -> None:
    workstation.inside("sh", "-c", "mkdir -p ~/few && echo kept >~/few/note && ln -sf note ~/few/link")
    workstation.ok("backup")
    before = odd(engine, workstation, "describe", folder=f"{HOME}/few")
    elsewhere = {**environment, "XDG_STATE_HOME": str(session_folder / "state-elsewhere")}
    for make in make_factory(session_folder, elsewhere):
        other = make("elsewhere", config(repository))
        refused = other.run("restore", "--from", "backed-up")
        assert (refused.returncode, "the password of the backups is not on this machine" in refused.stderr) == (9, True)
        refused = other.run("backup")
        assert refused.returncode == 5, "there is nothing to back up yet"
        other.ok("password", "backup", "--set", stdin="wrong\n")
        refused = other.run("restore", "--from", "backed-up")
        assert (refused.returncode, "the password does not open it" in refused.stderr) == (9, True)
        password = workstation.ok("password", "backup").strip()
        other.ok("password", "backup", "--set", stdin=f"{password}\n")
        refused = other.run("restore")
        assert "there are backups of: backed-up" in refused.stderr
        other.started = True
        other.ok("restore", "--from", "backed-up", "--yes")
        restored = engine.volumes("elsewhere")
        assert [name.rpartition("_")[0] for name in restored] == ["elsewhere_home", "elsewhere_projects"]
        other.up()
        assert engine.volumes("elsewhere") == restored, "the next up takes other volumes"
        assert odd(engine, other, "describe", folder=f"{HOME}/few") == before
        other.ok("backup")
        assert len(json.loads(other.ok("backups", "--all", "--json"))) > len(json.loads(other.ok("backups", "--json")))
        other.write(CONFIG)


# ---------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_backup_that_is_killed_leaves_a_repository_that_works_and_no_container(
    engine: Engine, workstation: Workstation, repository: Path, number: signal.Signals
) -> None:
    workstation.inside("sh", "-c", f"head -c 300000000 /dev/urandom >{HOME}/large")
    with workstation.spawn("backup") as process:
        # In the middle: restic holds its lock, and the large file is on its way.
        wait_for("restic at work", lambda: locks(repository) or None, deadline_s=60, interval_s=0.05)
        os.kill(process.pid, number)
        assert process.wait(30) == (130 if number is signal.SIGINT else -signal.SIGKILL)
    wait_until_no_helper(engine)
    assert locks(repository) == [], "its lock would be in the way of the next one"
    workstation.inside("rm", f"{HOME}/large")
    workstation.ok("backup")
    password = {"RESTIC_PASSWORD": workstation.ok("password", "backup").strip()}
    check = ["restic", "--no-cache", "-r", str(repository), "check"]
    subprocess.run(check, check=True, capture_output=True, env={**os.environ, **password})


def test_a_restore_that_is_killed_leaves_the_old_volumes_in_use(engine: Engine, workstation: Workstation) -> None:
    used = engine.volumes("backed-up")
    with workstation.spawn("restore", "--yes") as process:
        wait_for(
            "new volumes", lambda: len(engine.volumes("backed-up")) > len(used) or None, deadline_s=60, interval_s=0.05
        )
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert "up to date" in workstation.ok("up")
    workstation.ok("restore", "--discard-old", "--yes")
    assert engine.volumes("backed-up") == used
    assert helpers_of(engine) == []


def test_a_repository_that_another_one_works_on_takes_a_backup_and_keeps_old_ones(
    workstation: Workstation, repository: Path
) -> None:
    password = workstation.ok("password", "backup").strip()
    command = ["restic", "--no-cache", "-r", str(repository), "backup", "--stdin", "--host", "somebody"]
    environment = {**os.environ, "RESTIC_PASSWORD": password}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as other:
        wait_for("the other's lock", lambda: locks(repository) or None, deadline_s=30, interval_s=0.05)
        done = workstation.run("backup")
        other.communicate(b"x")
    assert done.returncode == 0, done.stderr
    assert "the backup is made, but old ones stay for now" in done.stderr
    assert "already locked" in done.stderr


def test_what_cannot_be_read_is_named_and_no_success(
    workstation: Workstation, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the right to read every file nothing is unreadable: here it is left out."""
    workstation.inside("sh", "-c", f"chmod 755 {HOME}; echo x >{HOME}/closed; chmod 0 {HOME}/closed")
    monkeypatch.setattr(backup_helper, "READS", ())
    for name, value in workstation.environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "own"
    folder.mkdir()
    context = make_context(workstation.folder, lambda event: None, os.environ)
    context = replace(context, config_text=config(folder, ", volumes: home").encode())
    kept = context.backups.password("backed-up", workstation.folder)
    with pytest.raises(BackupError, match="lacks what could not be read") as caught:
        take_backup(context)
    assert kept == context.backups.password("backed-up", workstation.folder)
    assert caught.value.detail is not None
    assert "home/closed" in caught.value.detail.splitlines()


def test_a_place_that_is_not_there_is_told_before_anything_is_done(workstation: Workstation, tmp_path: Path) -> None:
    written = (workstation.folder / "devbox.yaml").read_text()
    try:
        workstation.write(config(tmp_path / "no/disk"))
        done = workstation.run("backup")
        assert (done.returncode, "hint: mount the disk" in done.stderr) == (9, True)
        workstation.write(f"{CONFIG}backup: sftp://me@127.0.0.1:9/b\n")
        done = workstation.run("backup")
        assert done.returncode == 9
        assert "hint: " in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        workstation.write(written)


# --------------------------------------------------------------------------------------------------- elsewhere


def test_a_backup_goes_by_sftp_to_a_real_sshd_with_its_host_key_pinned(
    engine: Engine, workstation: Workstation, tmp_path: Path
) -> None:
    """The workstation's own sshd is the other machine; its /tmp is no volume."""
    state = workstation.secrets().parent
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    port = workstation.port("ssh")
    kind, blob = (workstation.secrets() / "ssh_host_ed25519_key.pub").read_text().split()[:2]
    known = home / ".ssh/known_hosts"
    written = (workstation.folder / "devbox.yaml").read_text()
    by_home = {"HOME": str(home)}
    try:
        identity = json.dumps(str(state / "id_ed25519"))
        workstation.write(
            f"{CONFIG}backup:\n  to: sftp://dev@127.0.0.1:{port}/tmp/backups\n"
            f"  volumes: projects\n  identity: {identity}\n"
        )
        known.write_text("[127.0.0.1]:1 ssh-ed25519 AAAA\n")
        refused = workstation.run("backup", environment=by_home)
        assert refused.returncode == 9
        assert "access was refused: Host key verification failed" in refused.stderr
        assert workstation.run("exec", "--", "ls", "/tmp/backups").returncode != 0, "something was sent to a stranger"
        known.write_text(f"[127.0.0.1]:{port} {kind} {blob}\n")
        for verb in (["backup"], ["backups"]):
            done = workstation.run(*verb, environment=by_home)
            assert done.returncode == 0, done.stderr
        assert "config" in workstation.inside("ls", "/tmp/backups").split()
        done = workstation.run("restore", "--to", "beside", environment=by_home)
        assert done.returncode == 0, done.stderr
        assert engine.volumes("beside") == ("beside_projects",)
    finally:
        workstation.write(written)
        for name in engine.volumes("beside"):
            engine.remove_volume(name)


@pytest.mark.long  # the server's packages
def test_a_backup_goes_to_s3_and_comes_back(workstation: Workstation, tmp_path: Path) -> None:
    written = (workstation.folder / "devbox.yaml").read_text()
    keys = {"AWS_ACCESS_KEY_ID": "devbox", "AWS_SECRET_ACCESS_KEY": "geheim-genug"}
    try:
        with s3_server(tmp_path / "server") as address:
            workstation.write(f"{CONFIG}backup: s3:{address}/bucket/below\n")
            workstation.inside("sh", "-c", f"echo kept >{HOME}/far")
            for verb in (["backup"], ["backup"], ["backups"]):
                done = workstation.run(*verb, environment=keys)
                assert done.returncode == 0, done.stderr
            assert len(done.stdout.splitlines()) == 2
            workstation.inside("rm", f"{HOME}/far")
            done = workstation.run("restore", "--yes", environment=keys)
            assert done.returncode == 0, done.stderr
            assert workstation.inside("cat", f"{HOME}/far") == "kept\n"
        done = workstation.run("backup", environment=keys)
        assert done.returncode == 9
        assert "it cannot be reached" in done.stderr
    finally:
        workstation.write(written)
    workstation.ok("restore", "--discard-old", "--yes")


# ------------------------------------------------------------------------------------------------ the last verb


def test_down_with_volumes_shows_what_is_lost_asks_and_backs_up_first(engine: Engine, workstation: Workstation) -> None:
    workstation.inside("sh", "-c", "echo kept >~/note")
    before = len(json.loads(workstation.ok("backups", "--json")))
    shown = typed(workstation, "another", "down", "--volumes")
    assert re.search(r"backed-up_home\S*  [\d.,]+ MB in \d+ files: .*note", shown)
    assert "the name was not typed" in shown
    assert len(engine.volumes("backed-up")) == 2
    assert len(json.loads(workstation.ok("backups", "--json"))) == before
    shown = typed(workstation, "backed-up", "down", "--volumes")
    assert re.search(r"snapshot [0-9a-f]{8} made", shown)
    assert engine.volumes("backed-up") == ()
    workstation.ok("restore", "--yes")
    workstation.up()
    assert workstation.inside("cat", f"{HOME}/note") == "kept\n"


def typed(workstation: Workstation, answer: str, *arguments: str) -> str:
    """Run the verb on a terminal, and type `answer` when it asks; all that it showed."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as screen:
        process = subprocess.Popen(
            workstation.argv(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=dict(workstation.environment)
        )
        os.close(theirs)
        shown, answered = b"", False
        while True:
            try:
                data = os.read(screen.fileno(), 4096)
            except OSError:  # EIO: the other side is closed
                break
            if not data:
                break
            shown += data
            if not answered and b"to go on" in shown:
                answered = True
                screen.write(f"{answer}\n".encode())
        process.wait(60)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace")).replace("\r", "")


def test_nothing_is_lost_in_silence_where_no_place_for_backups_is_set(engine: Engine, workstation: Workstation) -> None:
    written = (workstation.folder / "devbox.yaml").read_text()
    try:
        workstation.write(CONFIG)
        done = workstation.run("down", "--volumes")
        assert done.returncode == 2
        assert "no backup is made of backed-up_home" in done.stderr
        assert len(engine.volumes("backed-up")) == 2
    finally:
        workstation.write(written)
