"""The base of widgets made of lines, which repaint only the lines that changed."""

from functools import lru_cache
from itertools import zip_longest

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from vgtui.dashboard.view.state import RunView
from vgtui.user.themes import Palette


class Lines(Widget):
    """Draws the state when told to.

    Args:
        state: The run to draw.
        palette: The colours.
    """

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__()
        self.state = state
        self.palette = palette
        self._lines: list[Strip] = []

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw at most `height` lines of at most `width` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw the state as it is now, and repaint the lines that changed."""
        width, height = self.size
        old, self._lines = self._lines, self.draw(width, height) if width and height else []
        pairs = enumerate(zip_longest(old, self._lines))
        if regions := [Region(0, y, width, 1) for y, (before, now) in pairs if before != now]:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Draw everything in the new size."""
        self.redraw()

    def render_line(self, y: int) -> Strip:
        """Return a line as it was last drawn, filled to the full width."""
        width = self.size.width
        ground = self.style(self.palette.text)
        return self._lines[y].adjust_cell_length(width, ground) if y < len(self._lines) else Strip.blank(width, ground)

    def style(self, colour: str, selected: bool = False) -> Style:
        """A colour on the background of the screen, or of a chosen row."""
        return _style(colour, self.palette.selection if selected else self.palette.background)


@lru_cache(maxsize=256)
def _style(colour: str, background: str) -> Style:
    return Style(color=colour, bgcolor=background)
