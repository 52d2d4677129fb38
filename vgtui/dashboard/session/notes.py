"""Notes from sources, shown as notices: each of a few, but only the newest of a flood, with a count."""

import time
from collections import deque
from collections.abc import Callable

from vgtui.terminal.text import count_text, plain, shortened

MAX_NOTICES = 3
"""In WINDOW_SECONDS."""
WINDOW_SECONDS = 3.0
MAX_LENGTH = 300
"""Characters of a notice; several fit on the screen."""


class Notes:
    """Limits how many notes are shown.

    Args:
        show: Shows a notice.
        clock: The time in seconds.
    """

    def __init__(self, show: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._shown_at: deque[float] = deque(maxlen=MAX_NOTICES)
        self._newest = ""
        self._waiting = 0

    def take(self, message: str) -> None:
        """Take a note, and show it if it is due."""
        self._newest = message
        self._waiting += 1
        self.show_if_due()

    def show_if_due(self) -> None:
        """Show the newest note if one is waiting and not too many were shown; to be called regularly."""
        now = self._clock()
        if not self._waiting or (len(self._shown_at) == MAX_NOTICES and now - self._shown_at[0] < WINDOW_SECONDS):
            return
        more = f" ({count_text(self._waiting - 1)} more before it)" if self._waiting > 1 else ""
        self._show(plain(shortened(self._newest, MAX_LENGTH)) + more)
        self._shown_at.append(now)
        self._waiting = 0
