# shellcheck shell=sh disable=SC2034  # what is set here is for who sources it
# What the two VNC servers share; sourced by services/xvnc/run, as root.
geometry=${DEVBOX_GEOMETRY:-1920x1080}
depth=${DEVBOX_DEPTH:-24}
dpi=${DEVBOX_DPI:-96}
vnc_password_file=$XDG_RUNTIME_DIR/vnc-passwd
number=${DISPLAY#:}
read -r host </proc/sys/kernel/hostname

# The lock of a server that was killed; never that of one that lives.
if read -r pid 2>/dev/null <"/tmp/.X$number-lock"; then
    read -r comm 2>/dev/null <"/proc/${pid##* }/comm" || comm=
    case $comm in Xtigervnc | Xtightvnc | Xvnc) ;; *) rm -f "/tmp/.X$number-lock" "/tmp/.X11-unix/X$number" ;; esac
fi

# write_vnc_password PROGRAM: the plain secret in the form that VNC servers read. It counts eight characters, no more.
write_vnc_password() {
    secret=/run/secrets/vnc-password
    [ -s "$secret" ] || secret=/run/devbox/vnc-password
    [ ! -e "$vnc_password_file" ] && [ ! -L "$vnc_password_file" ] || rm "$vnc_password_file"
    (umask 077 && "$1" -f <"$secret" >"$vnc_password_file") || exit 1
    chown "$DEVBOX_USER:" "$vnc_password_file"
}

# All services that init left for later: when the server is about to be there, and when its script fails, too.
start_others() { /usr/lib/devbox/link-services && s6-svscanctl -a /run/service; }
trap start_others EXIT
