"""Runs inside the workstation, in a terminal window: writes every byte that is typed to a file, as it comes.

Not imported: its text is sent inside. It asks the terminal to tell of its focus, so that the suite types only when the
keys arrive here and not in somebody's document. Ends by itself after a while, whatever happens to who started it.
"""

import os
import signal
import sys
import termios
import tty
from pathlib import Path

LIFE_S = 60


def main(folder: Path) -> None:
    signal.alarm(LIFE_S)
    kept = termios.tcgetattr(0)
    (folder / "pid").write_text(f"{os.getpid()}\n")
    size = os.get_terminal_size()
    keys = os.open(folder / "keys", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        tty.setraw(0)
        # Focus events on (xterm, "FocusIn/FocusOut"), then the words that the clipboard check looks for.
        os.write(1, b"\x1b[?1004h" + f"devbox verify types here, one moment\r\n{sys.argv[2]}\r\n".encode())
        (folder / "ready.new").write_text(f"{size.columns}x{size.lines}")
        (folder / "ready.new").rename(folder / "ready")
        while data := os.read(0, 4096):
            os.write(keys, data)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
