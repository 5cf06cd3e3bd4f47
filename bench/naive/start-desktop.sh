#!/bin/bash
# X and VNC, the page, and XFCE in a loop.
export SHELL=/usr/bin/zsh
cd "$HOME" || exit 1
mkdir -p "$HOME/.vnc"
echo "$VNC_PASSWORD" | tigervncpasswd -f >"$HOME/.vnc/passwd"
chmod 600 "$HOME/.vnc/passwd"
rm -f /tmp/.X1-lock /tmp/.X11-unix/X1

Xtigervnc "$DISPLAY" -geometry "$VNC_RESOLUTION" -depth "$VNC_DEPTH" -rfbport 5901 -SecurityTypes VncAuth \
    -PasswordFile "$HOME/.vnc/passwd" -AlwaysShared -desktop desktop &
websockify --web /usr/share/novnc 6080 localhost:5901 &

until xdpyinfo >/dev/null 2>&1; do
    sleep 0.1
done
while true; do
    dbus-launch --exit-with-session xfce4-session
    sleep 1
done
