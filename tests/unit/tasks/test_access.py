"""The ssh command and the section for ~/.ssh/config: the host key is pinned, and nothing is forwarded unasked."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builder.model import Keys, Secret
from builder.tasks.access import render_ssh_config, ssh_command

KEYS = Keys(folder="/s/secrets", password=Secret("x"), identity="/s/id_ed25519", known_hosts="/s/known hosts")


def test_command_trusts_the_pinned_key_alone_whatever_the_persons_settings_say() -> None:
    words = ssh_command(KEYS, "dev", ("127.0.0.1", 2222))
    assert words[:5] == ["ssh", "-p", "2222", "-i", "/s/id_ed25519"]
    assert words[-1] == "dev@127.0.0.1"
    for setting in (
        'UserKnownHostsFile="/s/known hosts"', "GlobalKnownHostsFile=none", "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no", "IdentitiesOnly=yes", "ForwardAgent=no", "ProxyCommand=none",
    ):  # fmt: skip
        assert setting in words


def test_an_agent_is_forwarded_when_told_and_the_persons_own_keys_are_offered() -> None:
    words = ssh_command(replace(KEYS, identity=None), "dev", ("127.0.0.1", 2222), forward_agent=True)
    assert "ForwardAgent=yes" in words
    assert "ForwardAgent=no" not in words
    assert "-i" not in words
    assert "IdentitiesOnly=yes" not in words


def test_the_words_of_a_command_arrive_as_they_are() -> None:
    assert (
        ssh_command(KEYS, "dev", ("127.0.0.1", 2222), command=["sh", "-c", "echo $HOME 'x'"])[-1]
        == """sh -c 'echo $HOME '"'"'x'"'"''"""
    )


def test_a_section_for_another_machine_opens_the_tunnel_first_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "50% of it"
    folder.mkdir()
    opener = ["touch", f"{folder}/opened"]
    text = render_ssh_config(KEYS, "my-app", "dev", ("127.0.0.1", 2299), opener=opener)
    (tmp_path / "config").write_text(text + "\n")
    for name, opened in (("other", False), ("my-app", True)):
        subprocess.run(["ssh", "-F", str(tmp_path / "config"), "-G", name], capture_output=True, check=True)
        assert (folder / "opened").exists() is opened


def test_what_a_person_says_of_all_machines_does_not_send_a_workstation_by_a_jump_host(tmp_path: Path) -> None:
    section = render_ssh_config(KEYS, "my-app", "dev", ("127.0.0.1", 2299))
    for general in ("ProxyJump gate", "ProxyCommand nc %h %p"):
        (tmp_path / "config").write_text(f"{section}\nHost *\n    {general}\n")
        told = subprocess.run(["ssh", "-F", tmp_path / "config", "-G", "my-app"], capture_output=True, check=True)
        assert b"proxyjump" not in told.stdout
        assert b"proxycommand" not in told.stdout


@pytest.mark.parametrize("sign", ['"', "\\", "'", "\n", "\r", "\0"])
def test_a_folder_that_no_line_can_hold_adds_none_of_its_own(sign: str) -> None:
    opener = ["devbox", "-C", f"/a{sign}ProxyCommand touch there", "status"]
    plain = render_ssh_config(KEYS, "my-app", "dev", ("127.0.0.1", 2299))
    assert render_ssh_config(KEYS, "my-app", "dev", ("127.0.0.1", 2299), opener=opener) == plain


def test_section_is_read_by_openssh_as_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(render_ssh_config(KEYS, "my-app", "dev", ("127.0.0.1", 2299)) + "\n")
    asked = ["ssh", "-F", str(tmp_path / "config"), "-G", "my-app"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in (
        "hostname 127.0.0.1", "port 2299", "user dev", "userknownhostsfile /s/known hosts", "globalknownhostsfile none",
        "stricthostkeychecking true", "forwardagent no", "identitiesonly yes", "identityfile /s/id_ed25519",
    ):  # fmt: skip
        assert line in told
