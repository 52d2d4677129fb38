"""A command whose output the dashboard shows, in a terminal of its own that outlives the dashboard."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from platformdirs import user_log_path

from engine.errors import UsageError
from vgtui.terminal import keeper
from vgtui.terminal.text import plain, shortened

GRACE_SECONDS = 10.0
"""How long a command may take to end after SIGINT, until it is sent SIGTERM."""
HASTE_SECONDS = 1.0
"""How soon after SIGINT another ctrl+c is taken for a part of the same wish."""
FRAME_COLUMNS, FRAME_LINES = 2, 4
"""What a screen has around the output: a frame, and above and below it a line."""
LOOK_SECONDS = 0.02
READ_BYTES = 4096
MAX_WORDS = 60
"""Characters of a command that are shown."""


class Command:
    """Starts a command. What it writes is read when it is asked for; nothing here waits for it.

    Args:
        words: The command and its arguments.
        environment: Its environment.
        columns: The width of the screen that shows it.
        lines: The height of that screen.
        clock: The time in seconds.

    Raises:
        UsageError: There is no such program.
    """

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not words or shutil.which(words[0], path=environment.get("PATH")) is None:
            asked = f'no program "{plain(words[0])}"' if words else "there is none"
            raise UsageError("COMMAND", f"{asked}; it takes a program and its arguments, as in: python train.py")
        self.words = words
        self.log: Path = user_log_path("vgtui") / f"exec-{os.getpid()}.log"
        """Where the output goes once the dashboard has left."""
        self.pid = 0
        """The process of the command; 0 until it is known."""
        self._clock = clock
        self._size = size_on(columns, lines)
        self._interrupted_at: float | None = None
        self._terminated = False
        self._beginning: bytes | None = b""
        ours, theirs = socket.socketpair()
        with theirs:
            variables = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
            given = (str(theirs.fileno()), *map(str, self._size), str(self.log), *words)
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, *given],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=variables | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.setblocking(False)
        self._socket: socket.socket | None = ours

    @property
    def shown(self) -> str:
        """The command as a line that is not too long."""
        return plain(shortened(shlex.join(self.words), MAX_WORDS))

    @property
    def exit_code(self) -> int | None:
        """Its exit code, 128 + n for a signal n; None while it runs, or while there is output to read."""
        return None if self._socket else self._keeper.poll()

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._interrupted_at is not None

    def read(self) -> bytes:
        """Read some of what the command has written; empty if there is nothing now."""
        if self._socket is None:
            return b""
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._socket.close()
            self._socket = None
        if self._beginning is None:
            return data
        line, newline, rest = (self._beginning + data).partition(b"\n")
        if not newline:
            self._beginning = line
            return b""
        self.pid, self._beginning = int(line), None
        return rest

    def resize(self, columns: int, lines: int) -> None:
        """Fit the command's terminal to a screen of this size."""
        if (size := size_on(columns, lines)) != self._size:
            self._size = size
            self._tell("size {} {}".format(*size))

    def interrupt(self) -> signal.Signals | None:
        """Send SIGINT to the command's process group, as ctrl+c does; once more, and not at once, SIGTERM.

        Returns:
            The signal, if one was sent.
        """
        if self._interrupted_at is None:
            self._interrupted_at = self._clock()
            return self._send(signal.SIGINT)
        return self._send(signal.SIGTERM) if self._clock() - self._interrupted_at > HASTE_SECONDS else None

    def terminate_if_due(self) -> bool:
        """Send SIGTERM if SIGINT did not end the command in time; to be called regularly.

        Returns:
            Whether it was due.
        """
        at = self._interrupted_at
        if at is None or self._terminated or self.exit_code is not None or self._clock() - at < GRACE_SECONDS:
            return False
        self._terminated = True
        self._send(signal.SIGTERM)
        return True

    def wait_if_ending(self) -> None:
        """Where it was told to end, wait for that until SIGTERM would be due."""
        while self._interrupted_at is not None and self.exit_code is None:
            if self._clock() - self._interrupted_at > GRACE_SECONDS:
                return
            if not self.read():
                time.sleep(LOOK_SECONDS)

    def leave(self) -> None:
        """Read no more: the command goes on, and its output goes to the log."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, number: signal.Signals) -> signal.Signals:
        self._tell(f"signal {number:d}")
        return number

    def _tell(self, words: str) -> None:
        if self._socket:
            with suppress(OSError):  # it has just ended, or its keeper is stopped
                self._socket.send(f"{words}\n".encode())


def size_on(columns: int, lines: int) -> tuple[int, int]:
    """The size of the command's terminal on a screen of this size."""
    return max(columns - FRAME_COLUMNS, 1), max(lines - FRAME_LINES, 1)
