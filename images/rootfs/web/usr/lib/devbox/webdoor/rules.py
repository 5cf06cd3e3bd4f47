"""Who is refused, and for how long: names that are not ours, pages of other sites, guesses at a password."""

import re
import threading
import time

# An address in place of a name cannot be rebound: only a name can be made to point here by somebody else.
_ADDRESS = re.compile(r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\])")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::[0-9]{1,5})?")


def is_our_host(host, names):
    """Whether a Host header is for us: an address, localhost, or one of `names`. The port is that of a machine, which
    we do not know, or of a tunnel."""
    match = _HOST.fullmatch(host)
    return match is not None and (match[1] == "localhost" or match[1] in names or bool(_ADDRESS.fullmatch(match[1])))


def is_own_page(headers, scheme, host):
    """Whether a request was made by a page of ours, or by no page: every browser names the page's origin where it
    matters (Fetch standard, 3.1; RFC 6455, 10.2)."""
    origin = headers.get("origin")
    return origin is None or origin.lower() == f"{scheme}://{host}"


class Throttle:
    """Guesses cost time. Each one counts as wrong until it is told otherwise, so that many at once gain nothing.

    The first FREE of a guesser go at once; then each doubles the pause up to LONGEST, within which no guess is
    admitted. After FORGET seconds of quiet all is forgotten. Of all guessers together RATE are admitted in a second,
    after the first BURST. Who shares an address with somebody that guesses on and on, as behind the engine's proxy,
    competes with him for the next turn: so a password that is long enough is compared before it is counted (`login`).
    """

    FREE, LONGEST, FORGET, MOST = 5, 30.0, 900.0, 1024
    RATE, BURST = 2.0, 20.0

    def __init__(self, clock=time.monotonic):
        self._clock, self._lock, self._seen = clock, threading.Lock(), {}
        self._credit, self._filled = self.BURST, clock()

    def admit(self, who):
        """0 if `who` may guess now, else the seconds to wait."""
        now = self._clock()
        with self._lock:
            wrong, until = self._seen.pop(who, (0, now))
            wait = max(until - now, self._wait_for_credit(now))
            if wait <= 0:
                wrong = 1 if now - until > self.FORGET else wrong + 1
                pause = 0.0 if wrong < self.FREE else min(2.0 ** (wrong - self.FREE), self.LONGEST)
                until = now + pause
                self._credit -= 1
            self._seen[who] = wrong, until
            while len(self._seen) > self.MOST:
                del self._seen[next(iter(self._seen))]  # who has not been here for longest
            return max(wait, 0.0)

    def passed(self, who):
        """The guess was right."""
        with self._lock:
            self._seen.pop(who, None)

    def _wait_for_credit(self, now):
        self._credit = min(self.BURST, self._credit + (now - self._filled) * self.RATE)
        self._filled = now
        return 0.0 if self._credit >= 1 else (1 - self._credit) / self.RATE


def name_guesser(address):
    """What to count a guess under: an IPv4 address, or the /64 that one customer has of IPv6."""
    if ":" not in address or address.startswith("::ffff:"):
        return address.rpartition(":")[2]
    import ipaddress  # takes long to import, and few come by IPv6

    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
