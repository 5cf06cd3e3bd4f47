"""What each key of devbox.yaml means, as an editor shows it and as docs/reference/config.md has it.

Defaults that the model does not know itself stand behind `Default:`."""

from __future__ import annotations

from typing import Final

KEYS: Final = {
    "name": "Of the workstation: container, network and volumes are called after it. Default: the folder's name.",
    "profile": "A file of the catalogue: workstation (a full desktop) or headless.",
    "base": "The distribution to stand on; the text alone is its name.",
    "base.name": "ubuntu-22.04, ubuntu-24.04, debian-11, debian-12 or debian-13.",
    "base.substitute": "Whether another base may stand in where this one cannot be had.",
    "base.image": "Another image to take the base from.",
    "user": "Who works inside; the text alone is the login name.",
    "user.name": "Login name.",
    "user.uid": "User id inside; no other image is needed for it. Default: yours; 1000 for root.",
    "tools": (
        "Name to version, true for the default version, false to leave a tool of the profile out; a list of "
        "names will do."
    ),
    "apt": "More packages of the distribution; the list alone is its packages.",
    "apt.packages": "Names of packages.",
    "apt.snapshot": (
        "The day (2024-01-15) or moment (20240115T120000Z) that all packages are taken of. Default: those of today."
    ),
    "npm": "More npm packages, each with its exact version (typescript@5.4.5).",
    "framework": (
        "The team's framework: bundled (that of the profile), none, or one of `path`, `git`, `wheel` and "
        "`npm`. Default: bundled."
    ),
    "framework.enabled": "false leaves it out.",
    "framework.path": "Folder of a Python project, relative to this folder.",
    "framework.git": "Address of a Git repository with a Python project; `rev` belongs to it.",
    "framework.rev": "Tag, branch or commit of `git`.",
    "framework.wheel": "Path of a wheel.",
    "framework.npm": "npm package with its exact version.",
    "framework.checks": "Checks of it for `devbox verify`, each with a name, as in verify.checks.",
    "framework.ingest": "Of the bundled one: whether sessions are read in the background. Default: true.",
    "desktop": "The screen.",
    "desktop.server": "The VNC server: tigervnc or tightvnc. Default: the profile's, tigervnc.",
    "desktop.geometry": "Screen size at the start; TigerVNC follows the viewer.",
    "desktop.depth": "Colour depth.",
    "desktop.dpi": "Dots per inch.",
    "desktop.scale": "2 for screens with twice the pixels: everything is drawn twice as large.",
    "desktop.keyboard": (
        "The layout that programs see, `de` or `de(nodeadkeys)`; what is typed arrives with any. Default: us."
    ),
    "desktop.opengl": "OpenGL by Mesa, in software; the X server then needs more memory and a longer start.",
    "ports": "Ports of this machine. A busy one is replaced by the next free one, unless it is pinned.",
    "ports.vnc": (
        "For VNC viewers; {host: 5901, pinned: true} takes it or fails, false publishes nothing. Default: 5901."
    ),
    "ports.web": "The desktop in the browser, likewise. Default: 6080.",
    "ports.ssh": "SSH, likewise. Default: 2222; false at the level locked.",
    "ports.dev": 'Dev servers: a port, or "host:workstation"; false for none. Default: 3000.',
    "host": "The machine that it runs on: ssh://user@host, or local, this one. Default: this one.",
    "bind": "The loopback address that ports are published on, of IPv4 or IPv6.",
    "expose": (
        "Lets other machines in to the web desktop, by TLS and with a login: true is every IPv4 address of "
        "this machine, a text is `address`. Default: false."
    ),
    "expose.enabled": "false exposes nothing.",
    "expose.address": (
        "The address that the web desktop is published on; 0.0.0.0 is every one of IPv4, :: every one of IPv6."
    ),
    "expose.names": "Host names by which it is reached. Default: this machine's name.",
    "expose.certificate": (
        "Path of a PEM file: a certificate with its chain. `key` belongs to it. Default: signed by an "
        "authority of your own."
    ),
    "expose.key": "Path of a PEM file: the key of `certificate`.",
    "expose.ssh": "Whether SSH is published there, too; VNC and dev servers never are.",
    "environment": "Variables for everything inside. Not for secrets: compose.yaml and `docker inspect` show them.",
    "mounts": "Folders and files of this machine: {source, target, read_only}.",
    "mounts.source": "Relative to this folder, absolute, or below ~.",
    "mounts.target": "Absolute path inside.",
    "mounts.read_only": "Whether nobody inside can change it.",
    "sidecars": "What runs beside: name to version, true for the default version, false to leave one out.",
    "sidecars.version": "The tag of its image.",
    "sidecars.port": "Port of this machine that it is published on. Default: none.",
    "sidecars.substitute": "Whether one from the packages of the base may stand in where its image cannot be had.",
    "sidecars.enabled": "false leaves it out.",
    "hooks": "Shell lines that are run inside, as the user in ~/projects.",
    "hooks.on_create": "Once for a home, after it was made.",
    "hooks.on_start": "At each start by devbox.",
    "hooks.timeout": "Seconds that each may take.",
    "dotfiles": "Your own settings, put into a new home; the text alone is `git` where it is an address, else `path`.",
    "dotfiles.git": "Address of a Git repository, cloned with the logins of this machine.",
    "dotfiles.path": "A folder of this machine, or a bare repository.",
    "dotfiles.timeout": "Seconds for the fetch, and for its script.",
    "env_file": "Files of NAME=value lines for everything inside; false for none. In no image, label or compose.yaml.",
    "resources": "What the container may use.",
    "resources.memory": "For example 4g. Default: no limit; 4g at the level locked.",
    "resources.cpus": "For example 2 or 0.5. Default: no limit; at the level locked 2, or as many as there are.",
    "resources.shm": "Size of /dev/shm, which browsers use.",
    "resources.pids": "Most processes and threads.",
    "locale": "For example en_US.UTF-8.",
    "timezone": "For example Europe/Berlin. Default: this machine's, else UTC.",
    "shell": "The shell.",
    "shell.theme": "Theme of oh-my-zsh.",
    "catalogue": "Folders with tools, bases, profiles and rootfs of your own, over ours.",
    "sources": (
        "Tool to address or path: where the archive of a tool is taken from; the one key that takes an "
        "address with a query."
    ),
    "ssh": "Who may log in by SSH.",
    "ssh.authorized_keys": (
        "Public keys, or paths to public keys. Default: yours in ~/.ssh, else one that devbox makes."
    ),
    "security": "How far the workstation is locked up; the text alone is the level.",
    "security.level": "dev: the user is root by sudo. locked: nobody inside is root or can become it.",
    "mirrors": "Where packages come from in place of the places that apt, pip and npm know.",
    "mirrors.apt": "Mirrors of the distributions.",
    "mirrors.apt.debian": "Address of a mirror of Debian. Default: this machine's apt settings.",
    "mirrors.apt.ubuntu": "Address of a mirror of Ubuntu. Default: this machine's apt settings.",
    "mirrors.pypi": "Address of an index of Python packages, on this machine and in a build. Default: pip's settings.",
    "mirrors.npm": "Address of a registry of npm packages. Default: npm's settings.",
    "mirrors.archives": "Address that stands in for the host of a tool's archive; {host} in it is that host.",
    "mirrors.images": "Registry, and a path in it, that bases without a registry's name are pulled from.",
    "mirrors.snapshot": (
        "Services of snapshots of the distributions. Default: this machine's apt settings, or what the mirror says."
    ),
    "mirrors.snapshot.debian": "Address with {timestamp}, and {archive} if security updates are an archive apart.",
    "mirrors.snapshot.ubuntu": "Address with {timestamp}.",
    "cache": "Where `up` looks for the finished image before it builds; the text alone is `registry`.",
    "cache.registry": "A repository of a registry, for example registry.example.org/team/devbox.",
    "ca_bundle": (
        "Certificates to trust while the image is made; the text alone is the path. Default: this machine's settings."
    ),
    "ca_bundle.path": "Path of a CA bundle.",
    "ca_bundle.install": "Whether its certificates are trusted inside, too: then they are part of the image.",
    "backup": "Where the volumes are backed up to; the text alone is `to`.",
    "backup.to": "A folder, sftp://user@host/path, s3:host/bucket/path or gs:bucket:/path.",
    "backup.keep_days": "Backups of so many days before the newest stay.",
    "backup.keep_last": "The last so many stay in any case.",
    "backup.volumes": "Which of them: home, projects. Default: all.",
    "backup.exclude": "Names or ends of paths that are left out: node_modules, .cache/pip, *.iso.",
    "backup.identity": (
        "Private key for sftp, without a passphrase. Default: the first of id_ed25519, id_ecdsa and id_rsa in ~/.ssh."
    ),
    "verify": "What `devbox verify` checks besides its own; a list alone is `checks`.",
    "verify.checks": "Checks of your own, as tools declare theirs, each with a name.",
    "verify.tests": "A folder of testinfra files.",
    "budgets": "Name to number: what the workstation may cost (painted_s, idle_mb, image_mb). Default: the profile's.",
}
