"""Textual's driver of a terminal, with what it lacks: bytes that are no UTF-8, and a terminal that is gone."""

import asyncio
import os
import selectors
import signal
from codecs import getincrementaldecoder

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

READ_BYTES = 4096
TICK_SECONDS = 0.1
"""How often the parser may see that an escape stands alone, and so is a key."""


class TerminalDriver(LinuxDriver):
    """Reads keys until the app leaves, whatever is typed; where the terminal is gone, it ends the app."""

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
        """What was typed; nothing where the terminal is gone."""
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:
            return b""

    def _end_app(self) -> None:
        """As a hangup does. Nobody may be left to send one: see nohup."""
        app = self._app
        asyncio.run_coroutine_threadsafe(app.run_action(f"app.exit_cleanly({128 + signal.SIGHUP})"), app.loop)  # type: ignore[attr-defined]
