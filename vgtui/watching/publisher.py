"""The socket of a watched model: one thread that lets viewers in, hears which want a frame, and sends it.

Frames are pulled, as from a training process: a viewer that does not read gets none and costs nothing, and who trains
never waits for one.
"""

import logging
import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from vgtui.recordings.frames import LINE_LIMIT
from vgtui.training.protocol import Pull
from vgtui.watching.places import is_our_own, new_path

log = logging.getLogger("vgtui")

MOST_VIEWERS = 8
LONGEST_QUESTION = 2**12
"""Bytes of a viewer's line; longer ones are no question."""
PATIENCE_SECONDS = 10.0
"""So long a viewer may leave what it asked for unread, before it is taken for dead."""


class _Viewer:
    """A connection. asks: whether it waits for a frame. sending: what it has not taken yet, since when."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.asks = False
        self.heard = b""
        self.sending = bytearray()
        self.since = 0.0


class Publisher:
    """Listens as long as the process does. Raises OSError where there is no place for the socket."""

    def __init__(self, name: str) -> None:
        self.path: Path = new_path(name)
        self.wanted = False
        """Whether a viewer waits for a frame."""
        self._owner = os.getpid()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o600)
        self._listener.listen(MOST_VIEWERS)
        self._listener.setblocking(False)
        self._bell, self._rung = socket.socketpair()
        for end in (self._bell, self._rung):
            end.setblocking(False)
        self._lock = threading.Lock()
        self._opening = b""
        self._frame = b""
        self._news: list[bytes] = []
        self._ends = False
        self._viewers: dict[socket.socket, _Viewer] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._rung, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="vgtui", daemon=True)
        self._thread.start()

    def begin(self, header: bytes) -> None:
        """What every viewer is told first, from now on."""
        with self._lock:
            self._opening = header
            self._news.append(header)
        self._ring()

    def tell(self, event: bytes) -> None:
        """A line for all that are there now."""
        with self._lock:
            self._news.append(event)
        self._ring()

    def publish(self, frame: bytes) -> None:
        """A frame for those that wait for one."""
        with self._lock:
            self._frame = frame
            self.wanted = False
        self._ring()

    def close(self) -> None:
        """Send what is still to be said, and take the socket away. A forked child leaves it to the one that made it."""
        if os.getpid() != self._owner or self._ends:
            return
        self._ends = True
        self._ring()
        self._thread.join(timeout=1.0)
        self.path.unlink(missing_ok=True)

    def _ring(self) -> None:
        with suppress(OSError):  # a full pipe rings too
            self._bell.send(b"!")

    def _serve(self) -> None:
        try:
            while not self._ends:
                timeout = 1.0 if any(viewer.sending for viewer in self._viewers.values()) else None
                for key, events in self._selector.select(timeout):
                    self._attend(key.fileobj, events)  # type: ignore[arg-type]
                self._drop_the_dead()
            self._hand_out()
        except Exception:
            log.warning("vgtui: nobody can attach any more", exc_info=True)
        finally:
            self.wanted = False
            for end in (self._listener, self._bell, self._rung, *self._viewers):
                end.close()
            self._selector.close()

    def _attend(self, end: socket.socket, events: int) -> None:
        if end is self._listener:
            self._let_in()
        elif end is self._rung:
            with suppress(OSError):
                self._rung.recv(4096)
            self._hand_out()
        elif viewer := self._viewers.get(end):
            if events & selectors.EVENT_WRITE:
                self._send(viewer)
            if events & selectors.EVENT_READ and end in self._viewers:
                self._hear(viewer)

    def _let_in(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._viewers) >= MOST_VIEWERS or not is_our_own(connection):
            connection.close()
            return
        connection.setblocking(False)
        viewer = self._viewers[connection] = _Viewer(connection)
        self._selector.register(connection, selectors.EVENT_READ)
        with self._lock:
            opening = self._opening
        self._give(viewer, opening)

    def _hear(self, viewer: _Viewer) -> None:
        """A question, or what is none; then the viewer is let go, as nobody can tell what else it takes us for."""
        try:
            data = viewer.connection.recv(LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(viewer)
            return
        *lines, viewer.heard = (viewer.heard + data).split(b"\n")
        try:
            for line in lines:
                _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._drop(viewer)
            return
        if len(viewer.heard) > LONGEST_QUESTION:
            self._drop(viewer)
        elif lines:
            viewer.asks = True
            self.wanted = True

    def _hand_out(self) -> None:
        with self._lock:
            news, self._news = self._news, []
            frame, self._frame = self._frame, b""
        for viewer in list(self._viewers.values()):
            answer = b"".join(news)
            if frame and viewer.asks:
                viewer.asks = False
                answer += frame
            self._give(viewer, answer)

    def _give(self, viewer: _Viewer, data: bytes) -> None:
        if data:
            viewer.since = viewer.since if viewer.sending else time.monotonic()
            viewer.sending += data
            self._send(viewer)

    def _send(self, viewer: _Viewer) -> None:
        try:
            while viewer.sending:
                del viewer.sending[: viewer.connection.send(viewer.sending)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(viewer)
            return
        wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if viewer.sending else 0)
        self._selector.modify(viewer.connection, wants)

    def _drop_the_dead(self) -> None:
        now = time.monotonic()
        for viewer in list(self._viewers.values()):
            if len(viewer.sending) > LINE_LIMIT or (viewer.sending and now - viewer.since > PATIENCE_SECONDS):
                self._drop(viewer)

    def _drop(self, viewer: _Viewer) -> None:
        self._selector.unregister(viewer.connection)
        del self._viewers[viewer.connection]
        viewer.connection.close()
        if not any(other.asks for other in self._viewers.values()):
            self.wanted = False


_decoder: msgspec.json.Decoder[Pull] = msgspec.json.Decoder(Pull)
