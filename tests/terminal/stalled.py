"""A terminal that nobody reads, as in an SSH session whose line is frozen, and how the dashboard leaves it."""

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cli.shell import SMALL
from tests.terminal.forked import ForkedTerminal
from tests.terminal.terminal import TIMEOUT, Terminal, has_ended
from vgtui.recordings.reader import RecordingReader
from vgtui.wire.frames import Frame

STALL_SECONDS = 0.3
"""A terminal takes nothing more when so long no further byte has come."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How a signal ended it: its exit code, the time it took, and what it left behind.

    frames: of its recording; 0 where that is not whole.
    """

    code: int
    seconds: float
    restored: bool
    orphans: int
    frames: int


def leave_while_stalled(number: signal.Signals, recording: Path) -> Leaving:
    """Open the dashboard, read nothing more until it cannot write, and send it a signal."""
    with ForkedTerminal([*SMALL, "--record", str(recording), "--fps", "30"]) as terminal:
        terminal.wait_for(lambda: (terminal.step or 0) > 50)
        workers = terminal.workers()
        terminal.resize(200, 60)  # a whole picture, more than the line takes
        terminal.press("v" * 40)
        _wait_until_full(terminal)
        begin = time.monotonic()
        terminal.process.send_signal(number)
        code = terminal.process.wait(TIMEOUT)
        seconds = time.monotonic() - begin
        while terminal.waiting():
            terminal.read(0)
        restored = terminal.is_restored()
        end = time.monotonic() + 1
        while not all(map(has_ended, workers)) and time.monotonic() < end:
            terminal.read(0.02)
        return Leaving(code, seconds, restored, sum(not has_ended(pid) for pid in workers), _frames_in(recording))


def _wait_until_full(terminal: Terminal) -> None:
    size, since = 0, time.monotonic()
    while time.monotonic() - since < STALL_SECONDS or not size:
        time.sleep(0.02)
        if (now := terminal.waiting()) != size:
            size, since = now, time.monotonic()


def _frames_in(recording: Path) -> int:
    reader = RecordingReader(str(recording))
    frames = sum(isinstance(message, Frame) for message in reader.feed(recording.read_bytes()))
    with suppress(ValueError):
        return frames if reader.summary() == f"{frames} frames" else 0
    return 0
