"""A signal ends an app with the terminal restored and exit code 128 + n, even when output is stalled.

Normally the event loop ends the app. If it has not within PATIENCE_SECONDS (a frozen SSH session blocks writes to the
terminal), the signal handler restores the terminal itself, without waiting for anything.
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
from typing import Any

from vgtui.dashboard.themed import ThemedApp
from vgtui.terminal.text import plain

PATIENCE_SECONDS = 0.7
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
TERMINAL_RESET = (
    b"\x1b\\"
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""Ends a truncated sequence; turns off mouse, focus and paste reporting; restores plain keys, plain colours, the normal
screen and the cursor."""
RESET_SECONDS = 0.2
"""How long to try to write the reset."""


@contextmanager
def restoring_terminal(app: ThemedApp[Any]) -> Iterator[None]:
    """Within this context, the signals that end a program end the app and restore the terminal."""
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
        with suppress(Exception):  # close the recording if possible, whatever the loop is stuck in
            if said := app.save_in_haste():
                words = f"vgtui: {plain(said)}\n"
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
    """Write the reset and then these words, even if a Textual thread is blocked in the middle of a write.

    Raises:
        OSError: If the terminal cannot be opened or written.
    """
    outputs = [stream.fileno() for stream in (sys.__stdout__, sys.__stderr__) if stream and stream.isatty()]
    ours = os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in outputs:
        os.dup2(nowhere, output)
    # interrupt the blocked write, which holds the terminal's lock; the rest of it goes to /dev/null
    signal.signal(signal.SIGALRM, lambda *_: None)
    for thread in threading.enumerate():
        if thread.ident and thread is not threading.current_thread():
            with suppress(ProcessLookupError):  # the thread has just ended
                signal.pthread_kill(thread.ident, signal.SIGALRM)
    end = time.monotonic() + RESET_SECONDS
    left = TERMINAL_RESET + words.encode(errors="replace")
    while left and time.monotonic() < end:
        termios.tcflush(ours, termios.TCOFLUSH)  # discard unread output to make room
        try:
            left = left[os.write(ours, left) :]
        except BlockingIOError:
            time.sleep(0.005)
