"""A signal ends the dashboard with the terminal as it was and exit code 128 + n, even when output is stalled.

While the event loop runs it ends the app properly. When it does not within PATIENCE_SECONDS (a frozen SSH session
blocks the writing of a picture), the terminal is restored from the signal handler itself, without waiting for anything.
"""

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from vgtui.dashboard.app import Dashboard

PATIENCE_SECONDS = 0.7
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
TERMINAL_RESET = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""Mouse, focus and paste reporting off, plain keys, plain colours, the normal screen, the cursor."""


@contextmanager
def restoring_terminal(app: Dashboard) -> Iterator[None]:
    """While this lasts, the signals that end a program end this app."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
        if app.loop is not None:
            code = 128 + number
            app.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(app.action_exit_cleanly(code)))

    def give_up(_number: int, _frame: FrameType | None) -> None:
        with suppress(Exception):  # whatever the loop is stuck in, the recording is ended properly if it can be
            if app.main.recording.recorder:
                app.main.recording.recorder.close()
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        os.set_blocking(sys.__stdout__.fileno(), False)  # type: ignore[union-attr]
        with suppress(OSError):
            os.write(sys.__stdout__.fileno(), TERMINAL_RESET)  # type: ignore[union-attr]
        os._exit(128 + received[0])

    old = {number: signal.signal(number, end) for number in ENDING}
    old[signal.SIGALRM] = signal.signal(signal.SIGALRM, give_up)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in old.items():
            signal.signal(number, handler)
