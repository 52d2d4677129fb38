"""A signal ends the dashboard with the terminal as it was and exit code 128 + n, even when output is stalled.

While the event loop runs it ends the app properly. When it does not within PATIENCE_SECONDS (a frozen SSH session
blocks the writing of a picture), the terminal is restored from the signal handler itself, without waiting for anything.
"""

import asyncio
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from vgtui.dashboard.app import Dashboard
from vgtui.terminal.text import plain

PATIENCE_SECONDS = 0.7
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
TERMINAL_RESET = (
    b"\x1b\\"
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""The end of a sequence that was cut off; mouse, focus and paste reporting off, plain keys, plain colours, the normal
screen, the cursor."""
RESET_SECONDS = 0.2


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
        words = ""
        with suppress(Exception):  # whatever the loop is stuck in, the recording is ended properly if it can be
            if recorder := app.main.recording.recorder:
                recorder.close()
                words = f"vgtui: {plain(recorder.where)}\n"
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        with suppress(OSError):
            _reset_screen(terminal, words)
        os._exit(128 + received[0])

    old = {number: signal.signal(number, end) for number in ENDING}
    old[signal.SIGALRM] = signal.signal(signal.SIGALRM, give_up)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in old.items():
            signal.signal(number, handler)


def _reset_screen(terminal: int, words: str) -> None:
    """Write the reset and then these words, though a thread of Textual's waits in the middle of a picture.

    Raises OSError.
    """
    outputs = [stream.fileno() for stream in (sys.__stdout__, sys.__stderr__) if stream and stream.isatty()]
    ours = os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in outputs:
        os.dup2(nowhere, output)
    # it interrupts the write that waits, which holds the terminal's lock; what that writes then goes nowhere
    signal.signal(signal.SIGALRM, lambda *_: None)
    for thread in threading.enumerate():
        if thread.ident and thread is not threading.current_thread():
            with suppress(ProcessLookupError):  # it has ended just now
                signal.pthread_kill(thread.ident, signal.SIGALRM)
    end = time.monotonic() + RESET_SECONDS
    left = TERMINAL_RESET + words.encode(errors="replace")
    while left and time.monotonic() < end:
        termios.tcflush(ours, termios.TCOFLUSH)  # what nobody has read makes room
        try:
            left = left[os.write(ours, left) :]
        except BlockingIOError:
            time.sleep(0.005)
