"""A real pseudo-terminal with a program in it, and what its screen says."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pyte
from pyte.screens import Char, wcwidth

TIMEOUT = 60.0
"""Seconds until a test gives up, with the screen, what never comes; where it is about time, it names its own bound."""
RESTORING = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h")
"""What leaves the alternate screen and the mouse, and gives the cursor back."""
COLOURS = re.compile(rb"\x1b\[[\d;:]*m")
"""What sets them; one that two pieces share is left to pyte."""


def _without_size() -> dict[str, str]:
    """The environment without a size of the terminal, which would be believed rather than the terminal."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


def _as_in_a_shell(before: Callable[[], None]) -> None:
    """Take the terminal for one's own, and ctrl+c as it comes, also where whoever began the tests ignores it."""
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    before()


def do_nothing() -> None:
    """Ahead of most programs."""


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has seen off yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just gone
        return b""


_cell = cache(Char)


class Process(Protocol):
    """What is used of subprocess.Popen."""

    pid: int

    @property
    def returncode(self) -> int | Any: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


class _Screen(pyte.Screen):
    """One without colours, which so puts most texts where they stand at once."""

    def draw(self, data: str) -> None:
        column, line = self.cursor.x, self.cursor.y
        end = column + len(data)
        if end > self.columns or not (data.isascii() or all(wcwidth(letter) == 1 for letter in data)):
            super().draw(data)
            return
        self.buffer[line].update(zip(range(column, end), map(_cell, data), strict=True))
        self.cursor.x = end
        self.dirty.add(line)


class Picture:
    """What stands on a screen after some bytes, without colours, which are most of the bytes and slow to interpret."""

    def __init__(self, columns: int, lines: int) -> None:
        self._screen = _Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._lines = [" " * columns] * lines

    def feed(self, data: bytes) -> None:
        self._stream.feed(COLOURS.sub(b"", data))

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._lines = [""] * lines
        self._screen.dirty = set(range(lines))

    @property
    def lines(self) -> Sequence[str]:
        screen = self._screen
        for number in screen.dirty:
            line = screen.buffer[number]
            self._lines[number] = "".join([line[column].data for column in range(screen.columns)])
        screen.dirty.clear()
        return self._lines


class Terminal:
    """Runs `python -m vgtui` with these arguments in a pseudo-terminal; use it in a `with`.

    before: done in its process ahead of it. program: what is run in place of `python -m vgtui`.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        columns: int = 120,
        lines: int = 40,
        stdin: int | None = None,
        before: Callable[[], None] = do_nothing,
        program: Sequence[str] = (sys.executable, "-m", "vgtui"),
        **environment: str,
    ) -> None:
        self._picture = Picture(columns, lines)
        self._unread: list[tuple[float, bytes]] = []
        self.received = bytearray()
        self._master, self.slave = pty.openpty()
        self._resize(columns, lines)
        self.attributes = termios.tcgetattr(self.slave)
        self._program, self._stdin, self._before = program, stdin, before
        variables = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1"}
        self.process = self._start(arguments, {**_without_size(), **variables, **environment})

    def _start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
        return subprocess.Popen(
            [*self._program, *arguments],
            stdin=self.slave if self._stdin is None else self._stdin,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env=environment,
            preexec_fn=lambda: _as_in_a_shell(self._before),
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Take the terminal away from under the program."""
        for end in (self.slave, self._master):
            with suppress(OSError):  # it is gone already
                os.close(end)

    @property
    def text(self) -> str:
        """The screen, its lines separated by newlines."""
        self._interpret()
        return "\n".join(self._picture.lines)

    @property
    def line(self) -> str:
        """The first line: the line of state."""
        self._interpret()
        return self._picture.lines[0]

    @property
    def step(self) -> int | None:
        """The step that the line of state shows."""
        return self.step_on(self.line)

    @staticmethod
    def step_on(line: str) -> int | None:
        found = re.search(r"step ([\d ]+?)  ", line + "  ")
        return int(found.group(1).replace(" ", "")) if found else None

    def workers(self) -> list[int]:
        """The training processes that the program has now."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in pids if b"vgtui.worker.main" in _command_line(pid)]

    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its settings, the normal screen, no mouse, the cursor."""
        self.read(0.1)
        tail = self.received[-4096:]
        return termios.tcgetattr(self.slave) == self.attributes and all(part in tail for part in RESTORING)

    def waiting(self) -> int:
        """Bytes that the program has written and nobody has read."""
        return int.from_bytes(fcntl.ioctl(self._master, termios.FIONREAD, bytes(4)), sys.byteorder)

    def press(self, keys: str | bytes) -> None:
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, lines: int) -> None:
        self._picture.resize(columns, lines)
        self._resize(columns, lines)
        self.process.send_signal(signal.SIGWINCH)

    def read(self, seconds: float) -> None:
        """Take what comes within this time at most, and return after the first of it."""
        if select.select([self._master], [], [], seconds)[0]:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            self._unread.append((time.monotonic(), data))
            self.received += data

    def replay_screens(self) -> Iterator[tuple[float, str]]:
        """Interpret what was read and not looked at yet: when each piece came, and the screen after it."""
        while self._unread:
            when, data = self._unread.pop(0)
            self._picture.feed(data)
            yield when, "\n".join(self._picture.lines)

    def replay_lines(self) -> Iterator[tuple[float, str]]:
        """When each piece came that was read and not looked at yet, and the line of state after it."""
        while self._unread:
            when, data = self._unread.pop(0)
            self._picture.feed(data)
            yield when, self._picture.lines[0]

    def replay(self) -> Iterator[tuple[float, int | None]]:
        """When each piece came that was read and not looked at yet, and the step after it."""
        for when, line in self.replay_lines():
            yield when, self.step_on(line)

    def _interpret(self) -> None:
        """Emulating a terminal is slow, so it waits until somebody looks."""
        if self._unread:
            self._picture.feed(b"".join(data for _, data in self._unread))
            self._unread.clear()

    def wait_for(self, condition: Callable[[], object], seconds: float = TIMEOUT) -> float:
        """Read until the condition holds; returns the seconds that it took, or fails with the screen."""
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > seconds:
                raise AssertionError(f"not on the screen after {seconds} s:\n{self.text}")
            self.read(0.01)
        return time.monotonic() - begin

    def wait_for_exit(self, seconds: float = TIMEOUT) -> int:
        """Read until the program has gone; its exit code, negative for a signal that killed it."""
        self.wait_for(lambda: self.process.poll() is not None, seconds)
        self.read(0)
        return self.process.returncode

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
