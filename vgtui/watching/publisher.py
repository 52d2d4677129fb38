"""The socket of a watched model: one thread that accepts viewers, reads which of them want a frame, and sends it.

Frames are pulled, as from a training process: a viewer that does not read gets none and costs nothing, and the training
never waits for a viewer.
"""

import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from vgtui.watching.endpoints import hidden_path, is_same_user, new_socket_path
from vgtui.wire.frames import LINE_LIMIT
from vgtui.wire.protocol import Pull

log = logging.getLogger("vgtui")

MAX_VIEWERS = 8
"""Viewers at the same time."""
MAX_WAITING = 64
"""Connections that wait to be accepted; the system refuses more."""
MAX_QUESTION_BYTES = 2**12
"""The length of a viewer's line; a longer one is not a question."""
PATIENCE_SECONDS = 10.0
"""How long a viewer may leave what it asked for unread before it is dropped."""
SILENCE_SECONDS = 2.0
"""How long a viewer that waits for nothing may send nothing valid before a new one may take its place."""
MAX_NOTES = 100
"""Notes that wait for the thread; of more, the newest are kept."""
MAX_BEHIND = 2**20
"""Bytes that a viewer may have left unread and still be sent notes."""
REST_SECONDS = 0.05
"""The pause after a connection that was not accepted, so that endless attempts cost the training little."""
NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
"""Makes a viewer that has left an error of its connection, even in a script that SIGPIPE would end."""


class _Viewer:
    """A connection to a viewer.

    Attributes:
        has_asked: Whether it has ever asked for a frame.
        asks: Whether it waits for a frame.
        spoke: When it last sent, or was sent, something valid.
        heard: The line that it has not finished yet.
        sending: What it has not read yet.
        since: When it last read, or was first sent, what it has not read yet.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.has_asked = False
        self.asks = False
        self.spoke = time.monotonic()
        self.heard = b""
        self.sending = bytearray()
        self.since = 0.0

    @property
    def is_stuck(self) -> bool:
        """Whether it does not read what it is sent."""
        return bool(self.sending) and time.monotonic() - self.since > PATIENCE_SECONDS

    @property
    def is_idle(self) -> bool:
        """Whether its place may go to another."""
        return self.is_stuck or (not self.asks and time.monotonic() - self.spoke > SILENCE_SECONDS)


class Publisher:
    """Serves viewers until it is closed or the process ends."""

    def __init__(self, name: str) -> None:
        """Make a socket and start the thread.

        Args:
            name: The name of the model.

        Raises:
            OSError: No socket is available.
            RuntimeError: No thread is available.
        """
        self.path: Path = new_socket_path(name)
        self.wanted = False
        """Whether a viewer waits for a frame."""
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._opening = self._told = b""
        self._frame = b""
        self._news: list[bytes] = []
        self._notes: deque[bytes] = deque(maxlen=MAX_NOTES)
        self._ends = False
        self._accepts_at = 0.0
        """When connections are accepted again; 0 if they are now."""
        self._viewers: dict[socket.socket, _Viewer] = {}
        with ExitStack() as undo:
            self._listener = undo.enter_context(socket.socket(socket.AF_UNIX))
            self._bell, self._rung = (undo.enter_context(end) for end in socket.socketpair())
            for end in (self._listener, self._bell, self._rung):
                end.setblocking(False)
            self._selector = undo.enter_context(selectors.DefaultSelector())
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._rung, selectors.EVENT_READ)
            self._listen(undo)
            self._thread = threading.Thread(target=self._serve, name="vgtui", daemon=True)
            self._thread.start()
            undo.pop_all()

    @property
    def viewers(self) -> int:
        """The number of viewers that are attached, and have ever asked for a frame."""
        return sum(viewer.has_asked for viewer in list(self._viewers.values()))

    def _listen(self, undo: ExitStack) -> None:
        """Listen, and only then give the socket its name: until then it would be taken for one that was left behind."""
        prepared = hidden_path(self.path)
        undo.callback(prepared.unlink, missing_ok=True)
        self._listener.bind(str(prepared))
        prepared.chmod(0o600)
        self._listener.listen(MAX_WAITING)
        undo.callback(self.path.unlink, missing_ok=True)
        prepared.rename(self.path)

    def begin(self, header: bytes) -> None:
        """Send a header to all viewers, and to every later one first."""
        with self._lock:
            self._opening = header
            self._news.append(header)
        self._ring()

    def tell(self, event: bytes) -> None:
        """Send a line to the present viewers that read what they are sent."""
        with self._lock:
            self._notes.append(event)
        self._ring()

    def publish(self, frame: bytes) -> None:
        """Send a frame to the viewers that wait for one."""
        with self._lock:
            self._frame = frame
            self.wanted = False
        self._ring()

    def close(self) -> None:
        """Send what is left, and remove the socket. A forked child leaves both to its parent."""
        if os.getpid() != self._owner or self._ends:
            return
        self._ends = True
        self._ring()
        self._thread.join(timeout=1.0)
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _ring(self) -> None:
        with suppress(OSError):  # a full pipe wakes the thread too
            self._bell.send(b"!", NO_SIGNAL)

    def _serve(self) -> None:
        try:
            while not self._ends:
                for key, events in self._selector.select(self._timeout()):
                    self._attend(key.fileobj, events)  # type: ignore[arg-type]
                self._drop_the_dead()
                if self._accepts_at and time.monotonic() >= self._accepts_at:
                    self._accepts_at = 0.0
                    self._selector.register(self._listener, selectors.EVENT_READ)
            self._hand_out()
        except Exception:
            log.warning("vgtui: nobody can attach any more", exc_info=True)
        finally:
            self.wanted = False
            for end in (self._listener, *self._viewers):
                _hang_up(end)
            for end in (self._bell, self._rung):
                end.close()
            self._selector.close()

    def _timeout(self) -> float | None:
        if self._accepts_at:
            return max(0.0, self._accepts_at - time.monotonic())
        return 1.0 if any(viewer.sending for viewer in self._viewers.values()) else None

    def _attend(self, end: socket.socket, events: int) -> None:
        if end is self._listener:
            self._accept()
        elif end is self._rung:
            with suppress(OSError):
                self._rung.recv(4096)
            self._hand_out()
        elif viewer := self._viewers.get(end):
            if events & selectors.EVENT_WRITE:
                self._send(viewer)
                if viewer.asks and not viewer.sending:  # it has read the last frame
                    self.wanted = True
            if events & selectors.EVENT_READ and end in self._viewers:
                self._hear(viewer)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:  # such as too many open files
            self._rest()
            return
        if not is_same_user(connection) or not self._has_room():
            connection.close()
            self._rest()
            return
        connection.setblocking(False)
        self._hand_out()  # to those before it, as the new one is sent the present header anyway
        viewer = self._viewers[connection] = _Viewer(connection)
        self._selector.register(connection, selectors.EVENT_READ)
        self._give(viewer, self._told)

    def _rest(self) -> None:
        self._selector.unregister(self._listener)
        self._accepts_at = time.monotonic() + REST_SECONDS

    def _has_room(self) -> bool:
        """Return whether one more viewer fits, if need be in place of an idle one: first those that never asked."""
        idle = [viewer for viewer in self._viewers.values() if viewer.is_idle]
        if len(self._viewers) >= MAX_VIEWERS and idle:
            self._drop(min(idle, key=lambda viewer: (viewer.has_asked, viewer.spoke)))
        return len(self._viewers) < MAX_VIEWERS

    def _hear(self, viewer: _Viewer) -> None:
        """Read questions from a viewer; drop it if it sends anything else, as there is no telling what it expects."""
        try:
            data = viewer.connection.recv(MAX_QUESTION_BYTES)
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
        if len(viewer.heard) > MAX_QUESTION_BYTES:
            self._drop(viewer)
        elif lines:
            viewer.asks = viewer.has_asked = True
            viewer.spoke = time.monotonic()
            self.wanted = True

    def _hand_out(self) -> None:
        with self._lock:
            news, self._news = b"".join(self._news), []
            notes = b"".join(self._notes)
            self._notes.clear()
            frame, self._frame = self._frame, b""
            self._told = self._opening
        for viewer in list(self._viewers.values()):
            answer = news + (notes if len(viewer.sending) <= MAX_BEHIND else b"")
            if frame and viewer.asks and not viewer.sending:  # one frame at a time, however often a viewer asks
                viewer.asks = False
                viewer.spoke = time.monotonic()
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
                del viewer.sending[: viewer.connection.send(viewer.sending, NO_SIGNAL)]
                viewer.since = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self._drop(viewer)
            return
        wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if viewer.sending else 0)
        self._selector.modify(viewer.connection, wants)

    def _drop_the_dead(self) -> None:
        for viewer in list(self._viewers.values()):
            if len(viewer.sending) > LINE_LIMIT or viewer.is_stuck:
                self._drop(viewer)

    def _drop(self, viewer: _Viewer) -> None:
        self._selector.unregister(viewer.connection)
        del self._viewers[viewer.connection]
        _hang_up(viewer.connection)
        if not any(other.asks for other in self._viewers.values()):
            self.wanted = False


def _hang_up(end: socket.socket) -> None:
    """Close a socket for the other end too; a forked child's copy would keep it open."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


_decoder: msgspec.json.Decoder[Pull] = msgspec.json.Decoder(Pull)
