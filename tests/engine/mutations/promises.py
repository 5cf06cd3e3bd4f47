"""Broken inside: what the tools declare, and what devbox.yaml and the profile promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.engine.mutations.ways import (
    Mutation,
    always_healthy,
    another_plan,
    environment,
    own_check,
    without_projects_volume,
    without_sudo,
)

TOOLING: Final = (
    Mutation(id="git is missing", groups=("tooling",), caught=("tooling.git.git",), inside="rm /usr/bin/git"),
    Mutation(
        id="another Node",
        groups=("tooling",),
        caught=("tooling.node.node",),
        inside="""cd /opt/node/bin && mv node real && cat >node <<'END' && chmod 755 node
#!/bin/sh
[ "$1" != --version ] || { echo v20.1.0; exit; }
exec /opt/node/bin/real "$@"
END""",
    ),
    Mutation(id="a package is removed", groups=("tooling",), caught=("tooling.packages",), inside="dpkg -r mousepad"),
    Mutation(
        id="a file of a tool is missing",
        groups=("tooling",),
        caught=("tooling.novnc.rfb.js",),
        inside="rm /opt/novnc/lib/node_modules/@novnc/novnc/core/rfb.js",
    ),
    Mutation(
        id="a version out of the range in devbox.yaml", groups=("own",), caught=("own.interpreter",), promise=own_check
    ),
)

PROMISES: Final = (
    Mutation(
        id="another plan than devbox.yaml makes, strictly",
        groups=("promises",),
        caught=("promises.current",),
        promise=another_plan,
        strict=True,
    ),
    Mutation(
        id="another base",
        groups=("promises",),
        caught=("promises.base",),
        inside="sed -i s/^VERSION_CODENAME=.*/VERSION_CODENAME=warty/ /etc/os-release",
    ),
    Mutation(
        id="another uid",
        groups=("promises",),
        caught=("promises.user", "promises.home", "promises.environment"),
        because="the id comes by a variable of the workstation, and the home goes with it",
        spec=environment(DEVBOX_UID="1234"),
    ),
    Mutation(
        id="the home belongs to root",
        groups=("promises",),
        caught=("promises.home",),
        inside="chown root /home/dev && chmod 777 /home/dev",
    ),
    Mutation(
        id="bash as the shell", groups=("promises",), caught=("promises.shell",), inside="usermod -s /bin/bash dev"
    ),
    Mutation(
        id="another zsh theme",
        groups=("promises",),
        caught=("promises.theme",),
        inside="echo ZSH_THEME=robbyrussell >>/home/dev/.zshrc",
    ),
    Mutation(
        id="sudo asks for a password",
        groups=("promises", "tooling"),
        caught=("promises.sudo", "tooling.sudo.sudo"),
        because="the tool declares the same in its catalogue file",
        inside="sed -i 's/NOPASSWD: //' /etc/sudoers.d/90-devbox",
    ),
    Mutation(id="sudo without the tool", groups=("promises",), caught=("promises.no-sudo",), promise=without_sudo),
    Mutation(
        id="a locale without UTF-8", groups=("promises",), caught=("promises.locale",), spec=environment(LC_ALL="C")
    ),
    Mutation(
        id="another language",
        groups=("promises",),
        caught=("promises.locale", "promises.environment"),
        because="it is a variable of devbox.yaml, too",
        spec=environment(LANG="de_DE.UTF-8"),
    ),
    Mutation(
        id="another time zone",
        groups=("promises",),
        caught=("promises.timezone", "promises.environment"),
        because="it is a variable of devbox.yaml, too",
        spec=environment(TZ="Asia/Tokyo"),
    ),
    Mutation(
        id="no data of the time zone",
        groups=("promises",),
        caught=("promises.timezone",),
        inside='rm -f "/usr/share/zoneinfo/$TZ"',
    ),
    Mutation(
        id="a tool's variable is another",
        groups=("promises",),
        caught=("promises.environment",),
        spec=environment(DISABLE_AUTOUPDATER="0"),
    ),
    Mutation(
        id="a volume that the user cannot write to",
        groups=("promises",),
        caught=("promises.volumes",),
        inside="chown root: /home/dev/projects",
    ),
    Mutation(
        id="a folder where a volume was promised",
        groups=("promises",),
        caught=("promises.volumes",),
        spec=without_projects_volume,
    ),
    Mutation(
        id="a capability more",
        groups=("cis",),
        caught=("cis.5.4",),
        spec=lambda spec: replace(spec, cap_add=(*spec.cap_add, "NET_ADMIN")),
    ),
    Mutation(
        id="no seccomp",
        groups=("cis",),
        caught=("cis.5.22",),
        spec=lambda spec: replace(spec, security_opt=("seccomp=unconfined",)),
    ),
    Mutation(
        id="another setuid program, strictly",
        groups=("cis",),
        caught=("cis.4.8",),
        inside="chmod u+s /usr/bin/env",
        strict=True,
    ),
    Mutation(
        id="a health check that asks nobody", groups=("promises",), caught=("promises.init",), spec=always_healthy
    ),
)
