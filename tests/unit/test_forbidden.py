"""What this code must never do, held by rules of ruff and by a few of our own; each rule is shown to fire.

ruff's rules hold for every file, also for those that it does not find by itself (scripts without an ending), and
`noqa` does not lift them. Where a rule is not about Python, it is a pattern.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
RUFF: Final = Path(sys.executable).parent / "ruff"
FOLDERS: Final = ("builder", "images", "templates", "compose", "bench", "tests", ".ci")
TALK: Final = ("README.md", "CONTRIBUTING.md", "Makefile", "docs")

# Rule -> what it must find.
PYTHON: Final = {
    "S102": "exec('x = 1')\n",
    "S301": "import pickle\npickle.loads(b'')\n",
    "S307": "eval('1')\n",
    "S501": "import requests\nrequests.get('https://example.org', verify=False, timeout=1)\n",
    "S502": "import ssl\nssl.wrap_socket(ssl_version=ssl.PROTOCOL_SSLv3)\n",
    "S506": "import yaml\nyaml.load('a', Loader=yaml.Loader)\n",
    "S507": "import paramiko as p\nclient = p.SSHClient()\nclient.set_missing_host_key_policy(p.WarningPolicy())\n",
    "S602": "import subprocess\nsubprocess.run(word, shell=True, check=True)\n",
    "S604": "start(word, shell=True)\n",
    "S605": "import os\nos.system(word)\n",
    "S609": "import subprocess\nsubprocess.Popen('chmod 0600 *', shell=True)\n",
    "S612": "import logging.config\nlogging.config.listen(9999)\n",
}
# Name -> (pattern, what it must find).
ANYWHERE: Final = {
    "a download into a shell": (
        r"\b(?:curl|wget)\b[^|\n]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:env\s+)?(?:/\S*/)?(?:ba|z|da|k)?sh\b",
        "curl -fsSL https://example.org/x | sudo -E bash -",
    ),
    "a shell of a download": (
        r"\b(?:ba|z|da)?sh\s+(?:-c\s+[\"']?\$\(|<\()\s*(?:curl|wget)\b",
        'sh -c "$(curl -fsSL https://example.org/x)"',
    ),
    "any host key": (r"\b(?:AutoAddPolicy|WarningPolicy)\b", "client.set_missing_host_key_policy(WarningPolicy())"),
    "host keys not checked": (
        r"StrictHostKeyChecking[= ](?:no|off|accept-new)\b",
        "ssh -o StrictHostKeyChecking=no host",
    ),
    "certificates not checked": (
        r"verify\s*=\s*False|_unverified_context|CERT_NONE|NODE_TLS_REJECT|--no-check-cert|--insecure\b|sslVerify",
        "wget --no-check-certificate https://example.org",
    ),
    "packages not checked": (
        r"trusted=yes|allow-unauthenticated|AllowUnauthenticated|AllowInsecureRepositories|--no-check-gpg|--force-yes",
        "deb [trusted=yes] http://mirror.example stable main",
    ),
}
# Docker's own `--tls` without `--tlsverify`: what the person's engine settings ask for, and only that connection. What
# a person may write into their own ~/.ssh/config, in tests of that. And what lies in the builder's own cache: a build
# without a network takes no package but those of the lock, by their sums.
EXCEPT: Final = {
    "certificates not checked": ["builder/adapters/engine/wire.py"],
    "host keys not checked": [
        "tests/engine/ssh_host.py",
        "tests/engine/test_host_setup.py",
        "tests/unit/adapters/test_remote_config.py",
    ],
    "packages not checked": ["builder/adapters/handover.py"],
}
CORPUS: Final = ("tests/unit/core/data/", "tests/unit/test_forbidden.py")  # where bad things are written on purpose


def texts(*places: str) -> dict[str, str]:
    """The text files of these folders that git knows, or that are new."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *places]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    there = [name for name in listed if name and not name.startswith(CORPUS) and (ROOT / name).is_file()]
    found = {name: (ROOT / name).read_bytes() for name in there}
    return {name: data.decode("utf-8", "replace") for name, data in found.items() if b"\0" not in data}


def python_files() -> list[str]:
    found = texts(*FOLDERS)
    return sorted(
        name for name, text in found.items() if name.endswith(".py") or re.match(r"#!.*\bpython", text.split("\n")[0])
    )


def ruff(*arguments: str, stdin: str | None = None) -> list[dict[str, object]]:
    argv = [str(RUFF), "check", "--isolated", "--ignore-noqa", "--no-cache", "--output-format=json", *arguments]
    done = subprocess.run(argv, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout or "null")
    assert isinstance(found, list), done.stderr
    return found


@pytest.mark.parametrize("rule", sorted(PYTHON))
def test_a_rule_for_python_finds_what_it_is_for(rule: str) -> None:
    found = ruff(f"--select={rule}", "--stdin-filename=x.py", "-", stdin=PYTHON[rule])
    assert [item["code"] for item in found] == [rule]


def test_no_python_file_does_what_is_forbidden() -> None:
    files = python_files()
    assert "images/rootfs/init/usr/lib/devbox/probe" in files, "scripts without an ending are left out"
    assert len(files) > 300
    found = ruff(f"--select={','.join(PYTHON)}", *files)
    assert [(item["filename"], item["location"], item["message"]) for item in found] == []


@pytest.mark.parametrize("name", sorted(ANYWHERE))
def test_a_pattern_finds_what_it_is_for_and_it_is_nowhere(name: str) -> None:
    pattern, sample = ANYWHERE[name]
    assert re.search(pattern, sample)
    found = texts(*FOLDERS, *TALK)
    assert [path for path, text in found.items() if re.search(pattern, text)] == EXCEPT.get(name, [])


@pytest.mark.parametrize("rule", ["S501", "S506", "S507", "S602", "S604", "S605"])
@pytest.mark.parametrize("folder", ["builder", "tests/unit", "bench", "images/frameworks/coditect"])
def test_ruffs_own_settings_hold_it_everywhere(rule: str, folder: str) -> None:
    """So that an editor says it too, while the line is written."""
    argv = [str(RUFF), "check", "--no-cache", "--output-format=json", f"--stdin-filename={folder}/x.py", "-"]
    done = subprocess.run(argv, cwd=ROOT, input=PYTHON[rule], capture_output=True, text=True, check=False)
    assert rule in {item["code"] for item in json.loads(done.stdout)}
