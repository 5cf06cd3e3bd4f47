"""npm-install without its build stage: what it does where npm gives up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "images/rootfs/node/usr/lib/devbox/npm-install"
# In place of node: npm fails as often as it is told to, and then installs the package.
NODE = """#!/bin/sh
case "$*" in
*npm-cli.js*)
    echo x >>"$FOLDER/tries"
    echo "$*" >>"$FOLDER/words"
    [ "$(wc -l <"$FOLDER/tries")" -le "$FAILURES" ] || exit 0
    echo "$SAID" >&2
    exit 1
    ;;
esac
"""


def install(folder: Path, said: str, failures: int, require: str = "") -> tuple[int, int, str]:
    """The exit code, how often npm was started, and what was told, where npm says this as often."""
    scripts, lock = folder / "scripts", folder / "lock"
    for path in (scripts, lock):
        path.mkdir()
    for name in ("package.json", "package-lock.json"):
        (lock / name).write_text("{}")
    programs = {"node": NODE, "npm-require": f"#!/bin/sh\n{require}", "npm-cached": "#!/bin/sh\n"}
    programs["npm-install"] = SCRIPT.read_text().replace("/usr/lib/devbox", str(scripts))
    for name, text in programs.items():
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    environment = {"PATH": f"{scripts}:/usr/bin:/bin", "FOLDER": str(folder), "SAID": said, "FAILURES": str(failures)}
    argv = [str(scripts / "npm-install"), str(folder / "prefix"), "left-pad@1.3.0", str(lock)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, len((folder / "tries").read_text().splitlines()), done.stderr


@pytest.mark.parametrize("said", ["npm ERR! code ETIMEDOUT", "npm error code EAI_AGAIN", "npm error code ECONNRESET"])
def test_a_transfer_that_broke_off_is_taken_up_again(tmp_path: Path, said: str) -> None:
    assert install(tmp_path, said, 2)[:2] == (0, 3)


def test_what_breaks_off_each_time_ends_with_npms_words(tmp_path: Path) -> None:
    code, tries, told = install(tmp_path, "npm error code ETIMEDOUT", 9)
    assert (code, tries) == (1, 3)
    assert "ETIMEDOUT" in told


@pytest.mark.parametrize("said", ["npm error code EINTEGRITY", "npm error code E404", "npm error code ENOTCACHED"])
def test_what_another_try_would_not_mend_is_told_at_once(tmp_path: Path, said: str) -> None:
    assert install(tmp_path, said, 9)[:2] == (1, 1)


def test_what_cannot_be_fetched_ends_before_the_package_itself_is_installed(tmp_path: Path) -> None:
    """npm would leave it out without a word, since it has a script that may fail."""
    code, tries, told = install(tmp_path, "npm error code EINTEGRITY", 1, require='mkdir "$2"\n')
    assert (code, tries) == (1, 1)
    assert "EINTEGRITY" in told
    assert (tmp_path / "words").read_text().split().count("--ignore-scripts") == 1
