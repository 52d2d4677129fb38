"""A flight recorder: a recording in a thread of its own, whose size is bounded however long the training runs."""

import queue
import threading
import time
from pathlib import Path

from vgtui.recordings.moments import Moments
from vgtui.recordings.ring import ALWAYS, Ring
from vgtui.recordings.writer import FLUSH_SECONDS
from vgtui.wire.frames import Event, Frame, Line, encode_line

MAX_WAITING = 1024
"""Lines that wait for the thread. On a disk that is too slow, what comes then is left out, and that is noted."""
PATIENCE_SECONDS = 30.0
"""How long the end of a training waits for what is still to be written."""


class FlightRecorder:
    """Takes lines as a Recorder does; the caller neither encodes nor writes them.

    The last `keep` seconds are whole, and so is what lies around a spike, a number that is not finite, or a new
    verdict, each of which is an event of the recording. Of what is older than `keep`, every second frame is left, of
    what is older than twice that every fourth, and so on.
    """

    def __init__(self, path: str | Path, keep: float) -> None:
        """Open a new file.

        Args:
            path: The file, compressed when its name ends with .gz.
            keep: For how many seconds every frame is kept.

        Raises:
            UsageError: It cannot be written, holds something already, or is not a regular file.
        """
        self.path = Path(path)
        self._ring = Ring(path, keep)
        self._moments = Moments()
        self._frames = 0
        self._left_out = 0
        self._fault: Exception | None = None
        self._queue: queue.Queue[tuple[float, Line] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="vgtui recorder", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # as when the interpreter ends
            self._ring.abandon()
            raise

    def write(self, line: Line) -> None:
        """Take a line. Raises what has gone wrong with an earlier one, an OSError where it is the disk."""
        if self._fault:
            raise self._fault
        if self._queue.qsize() < MAX_WAITING:
            self._queue.put((time.monotonic(), line))
        else:
            self._left_out += 1

    def close(self) -> None:
        """Write all that waits, and end the file properly. Raises OSError."""
        self._end()
        if self._fault:
            raise self._fault

    def abandon(self) -> None:
        """Close the file; what was written stays readable."""
        self._end()

    def _end(self) -> None:
        self._queue.put(None)
        self._thread.join(PATIENCE_SECONDS)

    def _work(self) -> None:
        try:
            while True:
                try:
                    given = self._queue.get(timeout=FLUSH_SECONDS if self._ring.is_waiting else None)
                except queue.Empty:
                    self._ring.flush_if_due()
                    continue
                if given is None:
                    break
                self._take(*given)
            self._ring.close()
        except Exception as error:
            self._fault = error
            self._ring.abandon()

    def _take(self, at: float, line: Line) -> None:
        left_out, self._left_out = self._left_out, 0
        if left_out:
            words = f"{left_out} frames were left out: the disk is too slow"
            self._ring.write(encode_line(Event(step=getattr(line, "step", 0), kind="note", message=words)), ALWAYS, at)
        if not isinstance(line, Frame):
            self._ring.write(encode_line(line), ALWAYS, at)
            return
        number, self._frames = self._frames, self._frames + 1
        moment = self._moments.take(line, number, at)
        if moment:
            self._ring.keep_whole(moment)
        self._ring.write(encode_line(line), number, at)
        if moment:
            self._ring.write(encode_line(Event(step=line.step, kind="note", message=moment.message)), number, at)
