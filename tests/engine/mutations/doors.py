"""Broken doors: ports, VNC, web, SSH, and a password that is where it should not be."""

from __future__ import annotations

from typing import Final

from tests.engine.mutations.ways import (
    LISTEN,
    PASSWORD,
    SSHD,
    SSHD_CONFIG,
    WEB,
    WEB_PAGE,
    WEB_SERVICE,
    Edit,
    Mutation,
    down,
    expects_another_name,
    exposed,
    impatient,
    keep_running,
    leak_into_environment,
    leak_into_label,
    leak_into_rendered_file,
    publish_one_more,
    publish_vnc_everywhere,
    xvnc,
)

DOORS: Final = (
    Mutation(
        id="a port more listens", groups=("ports", "doors"), caught=("ports.listening",), inside=keep_running(LISTEN)
    ),
    Mutation(
        id="a port more is published", groups=("ports", "doors"), caught=("ports.published",), spec=publish_one_more
    ),
    Mutation(
        id="VNC on every address of the machine",
        groups=("ports", "doors"),
        caught=("ports.bind",),
        spec=publish_vnc_everywhere,
    ),
    Mutation(
        id="VNC asks for no password",
        groups=("ports", "doors"),
        caught=(
            "doors.vnc-security-types",
            "doors.vnc-wrong-password",
            "doors.vnc-empty-password",
            "doors.vnc-no-password",
        ),
        because="whatever is tried comes in",
        edits=xvnc("-SecurityTypes None"),
    ),
    Mutation(
        id="VNC lets in without a password who prefers that",
        groups=("ports", "doors"),
        caught=("doors.vnc-security-types", "doors.vnc-no-password"),
        because="one sees the offer, the other takes it",
        edits=xvnc("-SecurityTypes VncAuth,None"),
    ),
    Mutation(id="VNC of 1998", groups=("ports", "doors"), caught=("doors.vnc-banner",), edits=xvnc("-Protocol3.3=1")),
    Mutation(
        id="another VNC password",
        groups=("ports", "doors"),
        caught=("doors.vnc-password",),
        inside="printf 12345678 | tigervncpasswd -f >/run/user/dev/vnc-passwd",
    ),
    Mutation(
        id="another web page",
        groups=("ports", "doors"),
        caught=("doors.web-page",),
        edits=(Edit(file=WEB_PAGE, old="viewer.js", new="other.js"),),
    ),
    Mutation(
        id="no web server",
        groups=("ports", "doors"),
        caught=(
            "ports.listening",
            "doors.web-page",
            "doors.web-socket",
            "doors.web-foreign-origin",
            "doors.web-foreign-host",
            "doors.web-headers",
            "doors.web-query",
        ),
        because="all that it served is gone",
        inside=down("web"),
    ),
    Mutation(
        id="the web socket leads nowhere",
        groups=("ports", "doors"),
        caught=("doors.web-socket",),
        edits=(Edit(file=f"{WEB_SERVICE}/run", old="--rfb 5901", new="--rfb 5999"), impatient(WEB_SERVICE, "20")),
    ),
    Mutation(
        id="a page of another site may use the web socket",
        groups=("ports", "doors"),
        caught=("doors.web-foreign-origin",),
        edits=(Edit(file=f"{WEB}/rules.py", old="return origin is None", new="return True or origin is None"),),
    ),
    Mutation(
        id="a web door that believes whatever it is told",
        groups=("ports", "doors"),
        caught=("doors.web-foreign-host", "doors.web-headers", "doors.web-query"),
        because="three rules are gone at once: names, headers, and that a query is nothing",
        edits=(
            Edit(file=f"{WEB}/rules.py", old="return match is not None and (", new="return True or ("),
            Edit(file=f"{WEB}/http.py", old="; frame-ancestors 'none'", new=""),
            Edit(file=f"{WEB}/http.py", old='words[1].partition("?")[0]', new="words[1]"),
        ),
    ),
    Mutation(
        id="an exposed web door with weak locks",
        groups=("ports", "doors"),
        caught=("doors.web-old-tls", "doors.web-certificate", "doors.web-session", "doors.web-wrong-password"),
        because="four locks are weak at once: old TLS, another name, a careless cookie, guesses without a pause",
        promise=exposed,
        subject=expects_another_name,
        edits=(
            Edit(file=f"{WEB}/tls.py", old="ssl.TLSVersion.TLSv1_2", new="ssl.TLSVersion.TLSv1"),
            Edit(file=f"{WEB}/tls.py", old="ECDHE+AESGCM:ECDHE+CHACHA20", new="ALL:@SECLEVEL=0"),
            Edit(file=f"{WEB}/login.py", old="; HttpOnly", new=""),
            Edit(file=f"{WEB}/rules.py", old="MOST = 5, 30.0", new="MOST = 5000, 30.0"),
        ),
    ),
    Mutation(
        id="an exposed web door without a login",
        groups=("ports", "doors"),
        caught=("doors.web-login", "doors.web-plain-http", "doors.web-session"),
        because="who has no session, or has one no more, gets in, and who speaks no TLS gets a page",
        promise=exposed,
        edits=(
            Edit(file=f"{WEB}/server.py", old="inside = door.login is None", new="inside = True or door.login is None"),
            Edit(file=f"{WEB}/http.py", old="kind=TEXT", new="kind=HTML"),
        ),
    ),
    Mutation(
        id="SSH offers passwords",
        groups=("ports", "doors"),
        caught=("doors.ssh-methods",),
        edits=(
            Edit(file=SSHD_CONFIG, old="AuthenticationMethods publickey", new="AuthenticationMethods any"),
            Edit(file=SSHD_CONFIG, old="PasswordAuthentication no", new="PasswordAuthentication yes"),
        ),
    ),
    Mutation(
        id="the VNC password opens SSH",
        groups=("ports", "doors"),
        caught=("doors.ssh-methods", "doors.ssh-password"),
        because="one sees the offer, the other takes it",
        edits=(
            Edit(file=SSHD_CONFIG, old="AuthenticationMethods publickey", new="AuthenticationMethods any"),
            Edit(file=SSHD_CONFIG, old="PasswordAuthentication no", new="PasswordAuthentication yes"),
        ),
        inside=f"echo dev:{PASSWORD} | chpasswd",
    ),
    Mutation(
        id="root by SSH",
        groups=("ports", "doors"),
        caught=("doors.ssh-root",),
        edits=(
            Edit(file=SSHD_CONFIG, old="PermitRootLogin no", new="PermitRootLogin yes"),
            Edit(file=SSHD, old="AllowUsers=$DEVBOX_USER", new="AllowUsers=*"),
        ),
    ),
    Mutation(
        id="another host key than the pinned one",
        groups=("ports", "doors"),
        caught=("doors.ssh-host-key", "doors.ssh-methods", "doors.ssh-key", "doors.ssh-password", "doors.ssh-root"),
        because="no client of ours goes past another host key",
        edits=(Edit(file=SSHD, old="if [ -s /run/secrets/ssh_host_ed25519_key ]", new="if false"),),
    ),
    Mutation(
        id="SSH knows no authorized key",
        groups=("ports", "doors"),
        caught=("doors.ssh-key",),
        edits=(Edit(file=SSHD_CONFIG, old="AuthorizedKeysCommand /bin/cat", new="AuthorizedKeysCommand /bin/ls"),),
    ),
    Mutation(
        id="SSH without the workstation's environment",
        groups=("ports", "doors"),
        caught=("doors.ssh-key",),
        edits=(Edit(file=SSHD_CONFIG, old="Include /run/devbox/ssh/environment.conf", new=""),),
    ),
    Mutation(
        id="the password in the environment",
        groups=("promises", "doors"),
        caught=("doors.password-not-in-environment",),
        spec=leak_into_environment,
    ),
    Mutation(
        id="the password in a command line",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-arguments",),
        inside=keep_running("", PASSWORD),
    ),
    Mutation(
        id="the password in a label",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-inspect",),
        spec=leak_into_label,
    ),
    Mutation(
        id="the password in a log",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-logs",),
        inside="cat /run/secrets/vnc-password >>/run/devbox/log/xvnc/current",
    ),
    Mutation(
        id="the password in a rendered file",
        groups=("ports", "doors"),
        caught=("doors.password-not-in-rendered-files",),
        subject=leak_into_rendered_file,
    ),
    Mutation(
        id="a password file that everybody reads",
        groups=("ports", "doors"),
        caught=("doors.password-file-private",),
        inside="chmod 644 /run/user/dev/vnc-passwd",
    ),
)
