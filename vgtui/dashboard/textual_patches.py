"""Everything that relies on private parts of Textual, read in version 8.2.8.

`tests/dashboard/test_textual_patches.py` holds what is relied on, and fails when Textual changes it.
"""

import asyncio
import os
import re
import selectors
import signal
from codecs import getincrementaldecoder

from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App, ReturnType
from textual.drivers.linux_driver import LinuxDriver
from textual.notifications import Notification, Notify
from textual.widgets._toast import ToastRack
from textual.worker import WorkerFailed

READ_BYTES = 4096
TICK_SECONDS = 0.1
"""How often the parser may see that an escape stands alone, and so is a key."""


class TerminalDriver(LinuxDriver):
    """Reads keys until the app leaves, whatever is typed; when the terminal is gone, it ends the app.

    Textual's own ends at a byte that is not UTF-8, and spins when the terminal is gone.
    """

    def run_input_thread(self) -> None:
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(TICK_SECONDS):
                    data = self._read()
                    if not data:
                        self._end_app()
                        return
                    text = decode(data)
                    for message in parser.feed(text) if text else ():  # "" would be its end
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def _read(self) -> bytes:
        """What was typed; nothing when the terminal is gone."""
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:
            return b""

    def _end_app(self) -> None:
        """As a hangup does. Nobody may be left to send one: see nohup."""
        app = self._app
        asyncio.run_coroutine_threadsafe(app.run_action(f"app.exit_cleanly({128 + signal.SIGHUP})"), app.loop)  # type: ignore[attr-defined]


class QuietApp(App[ReturnType]):
    """An app that keeps the exception that ended it, and shows a repeated notification once."""

    crash: Exception | None = None
    """What ended the app, if an exception did."""

    def _handle_exception(self, error: Exception) -> None:
        """Leave, and let the command line say what happened; Textual would print a traceback."""
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error  # what it wraps is not among its causes
        self.crash = self.crash or error
        self.exit(return_code=1)

    def on_notify(self, event: Notify) -> None:
        """Replace the notification that this one repeats."""
        kind = _kind_of(event.notification)
        for notice in [notice for notice in self._notifications if _kind_of(notice) == kind]:
            self._unnotify(notice, refresh=False)
            # Textual would leave the holder, and the toast too if that is still being made
            self.screen.query(f"#{ToastRack._toast_id(notice)}").remove()


def _kind_of(notice: Notification) -> str:
    """What a notification is about: its title, or its words whatever the numbers in them."""
    return notice.title or re.sub(r"\d+", "", notice.message)


def clear_render_cache() -> None:
    """Free what was drawn: Textual caches it for the last thousand widgets, including those that are gone."""
    StylesCache.get_inner_outer.cache_clear()
