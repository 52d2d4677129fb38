"""Asking the terminal what it can do, for which it must be ours alone: nothing else may read its answers."""

import os
import re
import select
import termios
import time
import tty

SYNCHRONISED_OUTPUT = 2026
"""The private mode in which a terminal shows a picture only when all of it has come."""
PATIENCE_SECONDS = 0.3


def supports_mode(mode: int) -> bool | None:
    """Whether the terminal on standard input knows a private mode (DECRQM); None where it does not say."""
    try:
        file = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        before = termios.tcgetattr(file)
        try:
            tty.setcbreak(file)
            # every terminal answers the second question, so the wait ends even where the first is not answered
            os.write(file, f"\x1b[?{mode}$p\x1b[c".encode())
            answer = re.search(rf"\x1b\[\?{mode};(\d)\$y".encode(), _read_until(file, b"c"))
        finally:
            termios.tcsetattr(file, termios.TCSADRAIN, before)
    except (OSError, termios.error):
        return None
    finally:
        os.close(file)
    return None if answer is None else answer[1] in b"123"


def _read_until(file: int, end: bytes) -> bytes:
    received, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    while not received.endswith(end):
        ready, _, _ = select.select([file], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        received += os.read(file, 256)
    return received
