"""Everything that relies on private parts of Textual, as of version 8.2.8.

`tests/dashboard/test_textual_patches.py` lists these parts, and fails when Textual changes one.
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
"""How often the parser may decide that an escape on its own is a key."""


class TerminalDriver(LinuxDriver):
    """Reads keys until the app exits, whatever is typed, and ends the app when the terminal disappears.

    Textual's own driver stops at a byte that is not UTF-8, and spins when the terminal has disappeared.
    """

    def run_input_thread(self) -> None:
        """Pass on what is typed until the app exits, and end the app if the terminal disappears."""
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
                    for message in parser.feed(text) if text else ():  # "" would end it
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def _read(self) -> bytes:
        """What was typed; empty when the terminal has disappeared."""
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:
            return b""

    def _end_app(self) -> None:
        """End the app as SIGHUP would. No signal may come: see nohup."""
        app = self._app
        asyncio.run_coroutine_threadsafe(app.run_action(f"app.exit_cleanly({128 + signal.SIGHUP})"), app.loop)  # type: ignore[attr-defined]


class QuietApp(App[ReturnType]):
    """An app that keeps the exception that ended it, and shows a repeated notification once."""

    crash: Exception | None = None
    """The exception that ended the app, if any."""

    def _handle_exception(self, error: Exception) -> None:
        """Exit, and let the command line report the error; Textual would print a traceback."""
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error  # the wrapped exception is not its cause
        self.crash = self.crash or error
        self.exit(return_code=1)

    def on_notify(self, event: Notify) -> None:
        """Show this notification in place of the one it repeats."""
        kind = _kind_of(event.notification)
        for notice in [notice for notice in self._notifications if _kind_of(notice) == kind]:
            self._unnotify(notice, refresh=False)
            # Textual would keep the holder, and also the toast if it is not mounted yet
            self.screen.query(f"#{ToastRack._toast_id(notice)}").remove()


def _kind_of(notice: Notification) -> str:
    """What a notification is about: its title, or its text without the numbers."""
    return notice.title or re.sub(r"\d+", "", notice.message)


def clear_render_cache() -> None:
    """Free rendered strips. Textual caches them for the last thousand widgets, including removed ones."""
    StylesCache.get_inner_outer.cache_clear()
