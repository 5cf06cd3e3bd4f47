"""The security level `locked` on a real engine: everything works for a person, and nobody inside is or becomes root."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from builder.adapters.engine.client import Engine
from tests.engine.conftest import NewWorkstation, Workstation
from tests.engine.pictures import assert_desktop

LOCKED = "security: locked\n"
GROUPS = ("tooling", "promises", "cis", "framework", "ports", "doors", "desktop")


@pytest.fixture(scope="module")
def locked(session_workstations: NewWorkstation) -> Workstation:
    workstation = session_workstations("locked", LOCKED)
    workstation.up()
    return workstation


def results(workstation: Workstation, *groups: str) -> Mapping[str, Mapping[str, str]]:
    done = workstation.run("verify", "--json", "--only", ",".join(groups))
    assert done.returncode == 0, done.stderr
    return {item["id"]: item for item in json.loads(done.stdout)["results"]}


def test_a_locked_workstation_keeps_every_promise_and_every_predicate_of_cis(locked: Workstation) -> None:
    found = results(locked, *GROUPS)

    told = {id: item["note"] for id, item in found.items() if id.startswith("cis.") and item["note"]}
    assert told == {}, "an exception"
    assert len([id for id in found if id.startswith("cis.")]) >= 25
    assert "promises.no-sudo" in found
    assert "promises.sudo" not in found
    assert [id for id in found if "ssh" in id and not id.startswith("tooling.")] == []


def test_the_locked_desktop_is_painted(locked: Workstation) -> None:
    with locked.login_vnc() as client:
        assert_desktop(client.settle(0.5, 20, tolerance=0.002))


@pytest.mark.parametrize("path", ["/x", "/etc/x", "/usr/bin/x", "/var/tmp/x", "/opt/x"])
def test_nothing_is_written_outside_of_volumes_and_tmpfs(locked: Workstation, path: str) -> None:
    done = locked.run("exec", "--", "touch", path)

    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("path", ["/tmp/x", "/run/x", "~/x", "~/projects/x", "/dev/shm/x"])
def test_what_a_person_needs_can_be_written(locked: Workstation, path: str) -> None:
    locked.inside("sh", "-c", f"echo x >{path} && rm {path}")


@pytest.mark.parametrize("process", ["1", "self"])
def test_no_process_has_a_capability_or_can_gain_one(locked: Workstation, process: str) -> None:
    text = locked.inside("cat", f"/proc/{process}/status")
    status = {name: words.split() for name, _, words in (line.partition(":") for line in text.splitlines())}

    assert [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [["0" * 16]] * 5
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]
    assert "0" not in status["Uid"]


def test_a_setuid_program_gives_nothing(locked: Workstation) -> None:
    assert locked.inside("stat", "-c", "%U %a", "/usr/bin/sudo").split() == ["root", "4755"]
    done = locked.run("exec", "--", "sudo", "-n", "id")
    assert done.returncode != 0
    assert "no new privileges" in done.stderr


def test_a_new_password_is_taken_over_without_root(locked: Workstation) -> None:
    locked.ok("password", "--new")

    locked.login_vnc().close()


def test_ssh_at_the_level_locked_is_a_listed_exception_and_works(locked: Workstation) -> None:
    locked.write(f"{LOCKED}ports: {{ssh: true}}\n")
    locked.up()

    found = results(locked, "cis", "doors")

    exceptions = [id for id, item in found.items() if item["note"].startswith("exception of the level locked")]
    assert exceptions == ["cis.5.7"]
    assert found["doors.ssh-key"]["verdict"] in ("passed", "skipped")
    assert found["doors.ssh-root"]["verdict"] == "passed"


def test_a_locked_workstation_that_is_exposed_keeps_its_doors_and_needs_no_exception(locked: Workstation) -> None:
    locked.write(f"{LOCKED}expose: 127.0.0.2\n")
    locked.up()

    found = results(locked, "cis", "ports", "doors")

    assert [id for id, item in found.items() if item["note"].startswith("exception")] == []
    assert found["doors.web-session"]["verdict"] == "passed"
    copies = locked.inside("sh", "-c", 'cd "$XDG_RUNTIME_DIR/web" && stat -c "%n %U %a" *')
    assert {tuple(line.split()) for line in copies.splitlines()} == {
        (name, "dev", "600") for name in ("tls.pem", "vnc-password", "web-password.sha256")
    }


PASSWORD = "a password of 1 person"
BY_PASSWORD = r"""
set -eu
me=$(id -un) shell=$(getent passwd "$(id -un)" | cut -d: -f7)
echo "$me:$1" | sudo chpasswd
echo "$1" | su "$me" -c "echo su"
echo "$1" | chsh -s "$shell" && echo chsh
printf '%s\0' "$1" | /sbin/unix_chkpwd "$me" nonull && echo unix_chkpwd
printf '%s\n' "$1" "$1, changed" "$1, changed" | passwd && echo passwd
sudo usermod -aG games "$me"
sg games -c "id -gn"
"""


def test_after_a_password_is_set_at_dev_what_asks_for_one_works(new_workstation: NewWorkstation) -> None:
    workstation = new_workstation("passwords", "security: dev\n")
    workstation.up()

    told = workstation.inside("sh", "-c", BY_PASSWORD, "sh", PASSWORD).split()

    assert [word for word in ("su", "chsh", "unix_chkpwd", "passwd", "games") if word not in told] == []
    assert "cis.4.8" in results(workstation, "cis")


def test_the_levels_can_be_changed_and_a_home_of_somebody_else_is_told(
    new_workstation: NewWorkstation, engine: Engine
) -> None:
    workstation = new_workstation("relocked", "security: dev\n")
    workstation.up()
    image = workstation.container(engine).image_id
    workstation.inside("sh", "-c", "echo kept >~/mark")
    workstation.write(LOCKED)
    workstation.up()
    assert workstation.inside("cat", "mark").strip() == "kept"
    # One image for both, unless the id is one that only a build can give.
    own = workstation.inside("sh", "-c", "echo $(id -u):$(id -g)").strip()
    assert (workstation.container(engine).image_id == image) is (own == "1000:1000")

    workstation.write("security: dev\n")
    workstation.up()
    engine.run(workstation.container(engine).id, ["chown", "4321:4321", "/home/dev"], user="root")
    workstation.write(LOCKED)
    refused = workstation.run("up")

    assert refused.returncode == 6
    assert "/home/dev belongs to 4321:4321" in refused.stderr
    assert "security: dev" in refused.stderr


def test_the_secrets_stay_behind_a_folder_of_the_persons_own(locked: Workstation) -> None:
    folder = locked.secrets()

    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
