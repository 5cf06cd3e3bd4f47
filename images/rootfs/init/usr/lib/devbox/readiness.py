"""probe: can a person use this workstation?

`probe stamp` follows the start and writes /run/devbox/ready.json as each phase comes; `probe wait
[--timeout S]` tells of it, one JSON line per phase, and an exit code. `probe check` looks once, for HEALTHCHECK.
The phases are those that the folders in /usr/lib/devbox/services name in their `ready` file; nothing else lists them.

Standard library only, and little of it: this runs while the desktop starts, and again at every health check. Written
with `socket` and `json`, which bring `enum`, `re` and others along, a look would take twice its CPU time.
It changes nothing but ready.json.
"""

import _json
import _socket
import fcntl
import os
import pwd
import stat
import struct
import sys
import time

SERVICES = "/usr/lib/devbox/services"
READY_FILE = "/run/devbox/ready.json"
LOGS = "/run/devbox/log"
NOTES = "/run/devbox/notes"
LOG_TAIL = 12
FLAPS, FLAPPING_S = 10, 60  # a service that ends that often in that time is not to be relied on, whatever it shows
CONNECT_TIMEOUT = 2.0
PLAIN_AFTER = 5.0  # a desktop that still has one colour by then is meant to have one
SETS_MM = "/etc/devbox/xfce-sets-mm"  # of configure.d/30-xfce
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.1  # between looks, while waiting


class NotYet(Exception):
    """The phase is not there; the text says what was seen instead, in words for people."""


class Peer(_socket.socket):
    """As much of `socket.socket`, whose base this is, as is needed here."""

    def __init__(self, family):
        super().__init__(family, _socket.SOCK_STREAM)
        self.settimeout(CONNECT_TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# --- X11: the handful of requests that are needed, as the protocol's encoding has them --------------------------


def x_cookie():
    """The MIT-MAGIC-COOKIE-1 of the session's Xauthority file (its first entry: init writes no other), or nothing."""
    try:
        with open(os.environ.get("XAUTHORITY", ""), "rb") as file:
            data = file.read()
    except OSError:
        return b"", b""
    at, fields = 2, []
    for _ in range(4):  # address, number, name, data: each with its length before it
        (size,) = struct.unpack_from(">H", data, at)
        fields.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return fields[2], fields[3]


class Display:
    def __init__(self, name):
        self.socket = Peer(_socket.AF_UNIX)
        self.sequence = 0
        self.atoms = {}
        try:
            self.socket.connect("/tmp/.X11-unix/X" + name.lstrip(":"))
            self._greet()
        except OSError as error:
            self.socket.close()
            raise NotYet(f"the X server does not answer ({error.strerror or error})") from error

    def _greet(self):
        name, data = x_cookie()
        hello = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(data))
        self.socket.sendall(hello + _padded(name) + _padded(data))
        status, reason_size, _, _, size = struct.unpack("<BBHHH", self._read(8))
        setup = self._read(size * 4)
        if status != 1:
            raise NotYet("the X server refuses: " + setup[:reason_size].decode("latin-1").strip())
        vendor, formats = struct.unpack_from("<H", setup, 16)[0], setup[21]
        screen = 32 + (vendor + 3) // 4 * 4 + formats * 8
        self.root = struct.unpack_from("<I", setup, screen)[0]
        self.width, self.height = struct.unpack_from("<HH", setup, screen + 20)

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise NotYet("the X server closed the connection")
            data += more
        return data

    def ask(self, request):
        """Sends a request and returns (byte 1, body from byte 8) of its reply; None for an X error."""
        self.socket.sendall(request)
        self.sequence = (self.sequence + 1) & 0xFFFF
        while True:
            head = self._read(32)
            kind, detail, sequence, size = struct.unpack_from("<BBHI", head)
            if kind == 1:
                return detail, head[8:] + self._read(size * 4)
            if kind == 0 and sequence == self.sequence:
                return None  # an error: a window that has gone meanwhile, for one

    def atom(self, name):
        if name not in self.atoms:
            raw = name.encode()
            reply = self.ask(struct.pack("<BBHHxx", 16, 0, 2 + (len(raw) + 3) // 4, len(raw)) + _padded(raw))
            self.atoms[name] = struct.unpack_from("<I", reply[1])[0]
        return self.atoms[name]

    def values(self, window, name):
        """The 32-bit items of a property; empty when there is none."""
        reply = self.ask(struct.pack("<BBHIIIII", 20, 0, 6, window, self.atom(name), 0, 0, 1024))
        if reply is None or reply[0] != 32:
            return ()
        count = struct.unpack_from("<I", reply[1], 8)[0]
        return struct.unpack_from(f"<{count}I", reply[1], 24)

    def is_viewable(self, window):
        reply = self.ask(struct.pack("<BBHI", 3, 0, 2, window))
        return reply is not None and reply[1][18] == 2

    def owner(self, selection):
        reply = self.ask(struct.pack("<BBHI", 23, 0, 2, self.atom(selection)))
        return struct.unpack_from("<I", reply[1])[0]

    def area(self, window):
        """(x, y, width, height) of a window on the root window."""
        size = self.ask(struct.pack("<BBHI", 14, 0, 2, window))
        place = self.ask(struct.pack("<BBHIIhh", 40, 0, 4, window, self.root, 0, 0))
        if size is None or place is None:
            raise NotYet("a window has gone while it was looked at")
        width, height = struct.unpack_from("<HH", size[1], 8)
        x, y = struct.unpack_from("<hh", place[1], 4)
        return x, y, width, height

    def row(self, x, y, width):
        """What is on the screen in one row of pixels: root's picture includes the windows on it."""
        reply = self.ask(struct.pack("<BBHIhhHHI", 73, 2, 5, self.root, x, y, width, 1, 0xFFFFFFFF))
        return b"" if reply is None else reply[1][24:]

    def set_size_in_mm(self):
        """The size that xfsettingsd 4.20 will set (displays-x11.c): round(pixels / 96 * 25.4 + 0.5)."""
        _, reply = self.ask(struct.pack("<BxHHxx5s3x", 98, 4, 5, b"RANDR"))
        present, randr = reply[:2]
        if not present:
            return
        width, height = (pixels * 254 // 960 + 1 for pixels in (self.width, self.height))
        size = struct.pack("<BBHIHHII", randr, 7, 5, self.root, self.width, self.height, width, height)
        # It has no reply of its own: that of GetInputFocus comes when it is done.
        self.ask(size + struct.pack("<BxH", 43, 1))

    def window_of_type(self, kind):
        """The first visible window of this kind that the window manager knows, or None."""
        wanted = self.atom("_NET_WM_WINDOW_TYPE_" + kind)
        for window in self.values(self.root, "_NET_CLIENT_LIST"):
            if wanted in self.values(window, "_NET_WM_WINDOW_TYPE") and self.is_viewable(window):
                return window
        return None


def _padded(data):
    return data + bytes(-len(data) % 4)


# --- the probes: each raises NotYet, or returns ---------------------------------------------------------------


class Looks:
    """One look at everything. The X connection is shared and dropped at the first trouble."""

    def __init__(self, *, tells_mm=False):
        self._display = None
        self._starting = False
        self._tells_mm = tells_mm

    def expect_wallpaper(self, expected):
        """Whether the first frame counts only with a picture (or icons) on the desktop. It cannot be asked for always:
        a person may prefer a plain colour."""
        self._starting = expected

    def display(self, name):
        if self._display is None:
            self._display = Display(name)
        return self._display

    def forget_display(self):
        if self._display is not None:
            self._display.socket.close()
        self._display = None

    def x11(self, name):
        self.display(name).atom("_NET_SUPPORTING_WM_CHECK")
        if self._tells_mm:
            self.display(name).set_size_in_mm()

    def wm(self, name):
        display = self.display(name)
        for window in display.values(display.root, "_NET_SUPPORTING_WM_CHECK"):
            if window in display.values(window, "_NET_SUPPORTING_WM_CHECK"):
                return
        raise NotYet("no window manager runs on the display")

    def panel(self, name):
        if self.display(name).window_of_type("DOCK") is None:
            raise NotYet("no panel is on the screen")

    def desktop(self, name):
        if self.display(name).window_of_type("DESKTOP") is None:
            raise NotYet("no desktop window is on the screen")

    def frame(self, name):
        """The panel shows more than one colour, and so does the screen; at the start, most of the screen does."""
        display = self.display(name)
        panel = display.window_of_type("DOCK")
        if panel is None:
            raise NotYet("no panel is on the screen")
        x, y, width, height = display.area(panel)
        if _one_colour(display.row(max(x, 0), max(y, 0) + height // 2, width)):
            raise NotYet("the panel is there but not painted")
        sample = b"".join(display.row(0, display.height * n // 16, display.width) for n in range(1, 16))
        if _one_colour(sample) or (self._starting and _mostly_one_colour(sample)):
            raise NotYet("the screen is all one colour")

    def selection(self, name, selection):
        if not self.display(name).owner(selection):
            raise NotYet(f"nobody owns {selection}")

    def bus(self):
        with _session_bus():
            pass

    def busname(self, name):
        with _session_bus() as bus:
            bus.sendall(b"BEGIN\r\n" + _bus_call(1, "Hello") + _bus_call(2, "NameHasOwner", name))
            if not _bus_says_yes(bus, 2):
                raise NotYet(f"{name} is not on the session bus")

    def lock(self, path):
        """A program holds it for as long as it lives: the kernel lets go of it for one that is killed."""
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        raise NotYet(f"nobody holds {path}")

    def rfb(self, port):
        with _connect(port) as peer:
            _expect(peer, b"RFB ")

    def banner(self, port, text):
        with _connect(port) as peer:
            _expect(peer, text.encode())

    def websocket(self, port, path="/websockify"):
        """An exposed one answers no more than that it wants TLS, and so does not cost a handshake at each look."""
        expected = b"HTTP/1.1 400" if os.environ.get("DEVBOX_EXPOSED") else b"HTTP/1.1 101"
        with _connect(port) as peer:
            peer.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: ZGV2Ym94LXByb2JlLTAwMQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: binary\r\n\r\n".encode()
            )
            _expect(peer, expected)


def _one_colour(pixels):
    return len(pixels) < 8 or pixels == pixels[:4] * (len(pixels) // 4)


def _mostly_one_colour(pixels):
    """Icons come before the picture behind them."""
    some = [pixels[at : at + 4] for at in range(0, len(pixels), 64)]
    return 2 * max(some.count(colour) for colour in set(some)) > len(some)


def _connect(port):
    peer = Peer(_socket.AF_INET)
    try:
        peer.connect(("127.0.0.1", int(port)))
    except OSError as error:
        peer.close()
        raise NotYet(f"port {port} does not answer ({error.strerror or error})") from error
    return peer


def _expect(peer, start):
    try:
        got = peer.recv(256)
    except OSError as error:
        raise NotYet(f"connected, but no answer ({error.strerror or error})") from error
    if not got.startswith(start):
        raise NotYet(f"it answers {got[:40]!r} instead of {start.decode()!r}")


def _session_bus():
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "").partition("path=")[2]
    bus = Peer(_socket.AF_UNIX)
    caller = os.geteuid()
    try:
        owner = os.stat(address).st_uid
        if caller != owner:
            os.seteuid(owner)  # a session bus talks to its own user only, not even to root
        bus.connect(address)
        bus.sendall(b"\0AUTH EXTERNAL " + str(owner).encode().hex().encode() + b"\r\n")
        _expect(bus, b"OK ")
    except OSError as error:
        bus.close()
        raise NotYet(f"the session bus does not answer ({error.strerror or error})") from error
    finally:
        os.seteuid(caller)
    return bus


def _bus_call(serial, member, argument=None):
    """A method call to the bus itself, with at most one string, in D-Bus wire format."""

    def text(value):
        raw = value.encode()
        return struct.pack("<I", len(raw)) + raw + b"\0"

    fields = [
        b"\x01\x01o\0" + text("/org/freedesktop/DBus"),
        b"\x06\x01s\0" + text("org.freedesktop.DBus"),
        b"\x02\x01s\0" + text("org.freedesktop.DBus"),
        b"\x03\x01s\0" + text(member),
    ]
    if argument is not None:
        fields.append(b"\x08\x01g\0\x01s\0")
    body = b"" if argument is None else text(argument)
    array = b"".join(part + bytes(-len(part) % 8) for part in fields[:-1]) + fields[-1]
    head = struct.pack("<4B3I", ord("l"), 1, 0, 1, len(body), serial, len(array))
    return head + array + bytes(-len(array) % 8) + body


def _bus_says_yes(bus, serial):
    """Reads until the reply to `serial`, whose only argument is a boolean."""
    data = b""
    while True:
        at = data.find(b"l\x02")
        while at >= 0 and len(data) >= at + 16:
            body, _, fields = struct.unpack_from("<III", data, at + 4)
            end = at + 16 + (fields + 7) // 8 * 8 + body
            if len(data) < end:
                break
            header = data[at + 12 : end - body]
            if b"\x05\x01u\0" + struct.pack("<I", serial) in header:
                return body == 4 and data[end - 4] == 1
            at = data.find(b"l\x02", end)
        try:
            more = bus.recv(4096)
        except OSError as error:
            raise NotYet(f"the session bus does not answer ({error.strerror or error})") from error
        if not more:
            raise NotYet("the session bus closed the connection")
        data += more


# --- the phases -------------------------------------------------------------------------------------------------


class Phase:
    def __init__(self, service, words, deadline, late):
        self.service, self.name, self.probe, self.arguments = service, words[0], words[1], words[2:]
        self.deadline, self.late = deadline, late

    def look(self, looks):
        """None when it is there; else why not."""
        try:
            getattr(looks, self.probe)(*self.arguments)
        except NotYet as reason:
            looks.forget_display()
            return str(reason)
        except (OSError, struct.error) as error:
            looks.forget_display()
            return f"it broke off ({error})"
        return None


def load_phases():
    phases = []
    off = os.environ.get("DEVBOX_OFF", "").split()
    for service in sorted(set(os.listdir(SERVICES)).difference(off)):
        folder = os.path.join(SERVICES, service)
        text = read_text(os.path.join(folder, "ready"))
        deadline = float(read_text(os.path.join(folder, "deadline")) or 30)
        late = os.path.exists(os.path.join(folder, "late"))
        for line in text.splitlines():
            phases.append(Phase(service, line.split(), deadline, late))
    return phases


class Deaths:
    """How often a service ended lately, from the supervisor's own tally of 14 bytes each: a TAI64N label, the exit
    code, the signal. The file's time is that of the last one, so nobody needs to know about leap seconds."""

    def __init__(self, service):
        path = f"/run/service/{service}/supervise/death_tally"
        self.count, self.last = 0, ""
        try:
            with open(path, "rb") as file:
                entries = list(struct.iter_unpack(">Q4xBB", file.read()))
            newest = os.stat(path).st_mtime
        except (OSError, struct.error):
            return  # none yet, or one is being written
        recent = [entry for entry in entries if time.time() - newest + entries[-1][0] - entry[0] <= FLAPPING_S]
        self.count = len(recent)
        if recent:
            _, code, signal = recent[-1]
            self.last = f"by signal {signal}" if signal else f"with exit code {code}"

    @property
    def flapping(self):
        return self.count >= FLAPS

    def __str__(self):
        return f"it ended {self.count} times within {FLAPPING_S} s, the last time {self.last}"


def explain(service, reason):
    """A reason to be red, with the deaths that may be behind it."""
    deaths = Deaths(service)
    return f"{reason}; {deaths}" if deaths.count > 1 else reason


def why_nothing_starts():
    """None, or why no program can be started: a limit that the engine set is reached. Version 2 of cgroups, or 1."""
    for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
        limit, now = (read_text(f"{folder}/pids.{name}").strip() for name in ("max", "current"))
        if limit.isdigit() and int(now) >= int(limit):
            return f"{now} of {limit} processes run (resources.pids), and no more can be started"
    return None


def find_notes():
    """What a person should know of a workstation that can be used all the same: where nothing can be saved."""
    notes = []
    user = os.environ.get("DEVBOX_USER", "")
    for folder in (f"/home/{user}", f"/home/{user}/projects"):
        try:
            room, ours = os.statvfs(folder), pwd.getpwnam(user).pw_uid
            owner, mode = os.stat(folder).st_uid, stat.S_IMODE(os.stat(folder).st_mode)
        except (OSError, KeyError) as error:
            notes.append(f"{folder} cannot be looked at ({error})")
            continue
        if room.f_flag & os.ST_RDONLY:
            notes.append(f"{folder} is read-only: nothing can be saved there")
        elif not room.f_bavail or (room.f_files and not room.f_favail):
            notes.append(f"{folder} is full: nothing can be saved there")
        elif owner != ours or mode & 0o300 != 0o300:
            notes.append(f"{folder} belongs to the user id {owner} with the mode {mode:o}: {user} cannot save there")
    lent = os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), "lent")  # by as-user
    if os.path.isdir(lent):
        names = ", ".join(f"~/{name}" for name in sorted(os.listdir(lent)))
        notes.append(f"{names} cannot be used: what programs keep there lasts until the next start")
    return notes


def read_text(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def start_of_pid_1():
    """Seconds on CLOCK_BOOTTIME; field 22 of stat, counted from behind the name, which may hold blanks."""
    with open("/proc/1/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def seconds_since(start):
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - start, 3)


def log_tail(service):
    return read_text(f"{LOGS}/{service}/current").splitlines()[-LOG_TAIL:]


def write_ready(state):
    with open(READY_FILE + ".new", "w") as file:
        file.write(to_json(state))
    os.replace(READY_FILE + ".new", READY_FILE)


def say(**fields):
    print(to_json(fields), flush=True)


def to_json(value):
    """Of what is told here: words, numbers, truths, lists and dicts of them."""
    if isinstance(value, str):
        return _json.encode_basestring_ascii(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_json(key)}: {to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def stamp(phases):
    """Follow the start and stamp each phase. The service `ready` does it, once per start, and nobody else.

    XFCE 4.20 sets the screen's size in mm when the desktop is painted, and then paints it anew: the X server is told
    that size here, as soon as it answers. A program of its own for that would cost the start 50 ms.
    """
    start = start_of_pid_1()
    looks = Looks(tells_mm=os.path.exists(SETS_MM))
    open_phases = [phase for phase in phases if not phase.late]
    state = {"ready": False, "phases": {}}
    pause = FIRST_PAUSE
    while open_phases:
        came = []
        looks.expect_wallpaper(seconds_since(start) < PLAIN_AFTER)
        for phase in open_phases:
            reason = phase.look(looks)
            seconds = seconds_since(start)
            if reason is None:
                came.append(phase)
                state["phases"][phase.name] = seconds
                say(phase=phase.name, seconds=seconds)
            elif seconds > phase.deadline:
                state["failed"] = {phase.name: f"{phase.service}: {explain(phase.service, reason)}"}
                write_ready(state)
                return tell_failed(state["failed"])
        open_phases = [phase for phase in open_phases if phase not in came]
        if came:
            pause = FIRST_PAUSE
            write_ready(state)
        if open_phases:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
    seconds = seconds_since(start)
    state.update(ready=True, seconds=seconds)
    write_ready(state)
    say(ready=True, seconds=seconds)
    return 0


def wait(phases, timeout):  # noqa: C901  # one story: told, failed, ready, late
    """Tell what `stamp` finds as it comes, from its file; what was stamped before is told with the time it had.

    Looking a second time would slow the start that is watched. What is ready for long is looked at once more.
    """
    deadline = time.monotonic() + timeout
    told = set()
    waited = False
    while True:
        state = read_ready()
        for name, seconds in sorted(state["phases"].items(), key=lambda item: item[1]):
            if name not in told:
                told.add(name)
                say(phase=name, seconds=seconds)
        if "failed" in state:
            red = state["failed"] if waited else look_at_all(due(phases))
            if red:
                return tell_failed(red)
            break  # it failed then, and can be used now
        if state["ready"]:
            break
        if time.monotonic() > deadline:
            say(phase="start", failed=f"no end of the start within {timeout:.0f} s", log=log_tail("ready"))
            return 1
        waited = True
        time.sleep(FIRST_PAUSE * 2)
    if not waited:
        while red := look_at_all(due(phases)):
            if time.monotonic() > deadline:
                return tell_failed(red)
            time.sleep(LONGEST_PAUSE)
    for note in read_text(NOTES).splitlines():  # what init did to the home, once
        say(note=note, of="start")
    for note in find_notes():
        say(note=note)
    say(ready=True, seconds=state.get("seconds"))
    return 0


def due(phases):
    """Those that can be expected by now. The start does not wait for the late ones; who asks a moment after its end
    does not either."""
    seconds = seconds_since(start_of_pid_1())
    return [phase for phase in phases if not phase.late or seconds > phase.deadline]


def tell_failed(red):
    for name, reason in red.items():
        say(phase=name, failed=reason, log=log_tail(reason.partition(":")[0]))
    return 1


def read_ready():
    """What was stamped so far; nothing yet is a start with no phases."""
    import json

    try:
        with open(READY_FILE) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"ready": False, "phases": {}}


def look_at_all(phases):
    """{phase: reason} of what is red now."""
    looks = Looks()
    reasons = {phase.name: (phase.service, phase.look(looks)) for phase in phases}
    red = {name: (service, reason) for name, (service, reason) in reasons.items() if reason is not None}
    for service in sorted({phase.service for phase in phases} - {service for service, _ in red.values()}):
        if Deaths(service).flapping:  # it shows what it should, now and then
            red[service] = (service, "it does not stay")
    if reason := why_nothing_starts():
        red["processes"] = ("init", reason)
    return {name: f"{service}: {explain(service, reason)}" for name, (service, reason) in red.items()}


def check(phases):
    red = look_at_all(phases)
    say(usable=not red, red=red)
    return 1 if red else 0


def main(arguments):
    options = dict(zip(arguments[1::2], arguments[2::2]))
    if arguments[:1] == ["check"] and not options:
        return check(load_phases())
    if arguments[:1] == ["stamp"] and not options:
        return stamp(load_phases())
    if arguments[:1] == ["wait"] and set(options) <= {"--timeout"} and len(arguments) % 2:
        return wait(load_phases(), float(options.get("--timeout", "inf")))
    print("usage: probe stamp | probe wait [--timeout SECONDS] | probe check", file=sys.stderr)
    return 2
