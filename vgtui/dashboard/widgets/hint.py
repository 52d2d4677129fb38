"""A sentence under a view for new users."""

from rich.segment import Segment
from textual.strip import Strip

from vgtui.dashboard.widgets.lines import Lines
from vgtui.terminal.text import wrap_words

MAX_LINES = 2


class Hint(Lines):
    """Wraps its words into at most MAX_LINES lines; hidden if they do not fit."""

    words = ""

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the wrapped words."""
        style = self.style(self.palette.muted)
        return [Strip([Segment(f" {line}", style)]) for line in wrap_words(self.words, width - 2)[:height]]

    def fit(self, words: str, width: int) -> int:
        """Set the words, in a panel of this width; returns the number of lines they take."""
        lines = len(wrap_words(words, width - 2)) if words else 0
        height = lines if lines <= MAX_LINES else 0
        if (words, height) != (self.words, self.styles.height.value if self.styles.height else -1):
            self.words = words
            self.styles.height = height
            self.redraw()
        return height
