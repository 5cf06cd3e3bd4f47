#!/bin/bash
# SSH as root, the desktop as the user.
mkdir -p /run/sshd
ssh-keygen -A >/dev/null
/usr/sbin/sshd -p 2222
exec sudo --preserve-env=DISPLAY,VNC_PASSWORD,VNC_RESOLUTION,VNC_DEPTH -u dev -H /usr/local/bin/start-desktop.sh
