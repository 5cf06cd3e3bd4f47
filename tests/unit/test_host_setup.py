"""What the host lacks is installed by one program, one call at a time: `make -j` runs several."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / ".ci"
# Stands in for apt-get: notes its words, and whether apt is locked, and not so that a daemon it starts keeps the lock.
APT = """#!/bin/sh
state=open
flock --nonblock /var/lib/apt true || state=locked
for open in /proc/$$/fd/*; do
    [ "$(readlink "$open")" != /var/lib/apt ] || state=inherited
done
echo "$state $*" >>"$NOTES"
case "$*" in *docker.io*) exit 100 ;; esac
"""


@pytest.mark.skipif(not Path("/var/lib/apt").is_dir(), reason="only where there is apt")
@pytest.mark.parametrize(("argv", "packages"), [(["apt-install", "a", "b"], "a b"), (["engine"], "docker.io iptables")])
def test_whoever_installs_something_has_apt_to_itself(tmp_path: Path, argv: list[str], packages: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "flock", "true", "readlink", "dirname", "python3"):
        (tools / name).symlink_to(shutil.which(name) or name)
    for name, text in (("apt-get", APT), ("id", "#!/bin/sh\necho 0\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    notes = tmp_path / "notes"
    environment = {"PATH": str(tools), "NOTES": str(notes), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    subprocess.run([SCRIPTS / argv[0], *argv[1:]], env=environment, check=False, capture_output=True, timeout=60)
    update, install = notes.read_text().splitlines()
    assert update == "locked update -qq"
    assert install.startswith("locked -o DPkg::Lock::Timeout=")
    assert install.endswith(f" {packages}")


def test_only_one_program_of_ours_calls_apt() -> None:
    calls = re.compile(r"^\s*[^#\s].*\bapt-get .*(update|install)", re.MULTILINE)
    found = [path.name for path in SCRIPTS.iterdir() if os.access(path, os.X_OK) and calls.search(path.read_text())]
    assert found == ["apt-install"]
