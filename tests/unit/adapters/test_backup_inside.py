"""The program of the helper container, with another program in restic's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.adapters.backups import inside
from builder.adapters.backups.inside import SSH_LOG, Failed, Restic
from builder.core.backups import Trouble, first_fatal, understand

REQUEST = {"options": [], "cache": False, "environment": {}, "repository": "sftp:me@nas:/b"}


def test_what_ssh_said_is_told_even_where_restic_ended_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "restic").write_text(
        "#!/bin/sh\n"
        f"printf 'ssh: connect to host nas port 22: Connection refused\\r\\n' >'{tmp_path}/{SSH_LOG}'\n"
        "echo 'Fatal: unable to start the sftp session, error: EOF' >&2\n"
        "exit 1\n"
    )
    (tmp_path / "restic").chmod(0o755)
    monkeypatch.setattr(inside, "PRIVATE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed) as caught:
        Restic(REQUEST).run("cat", "config")
    said = str(caught.value.told["said"])
    assert understand("cat", 1, said) is Trouble.NETWORK
    assert first_fatal(said) == "ssh: connect to host nas port 22: Connection refused"
