"""The rows of `vgtui top`: a line for each training, one of them chosen, and any number marked."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from vgtui.charts.training_table import GAP, STRIP, training_table
from vgtui.sources.trainings import Training
from vgtui.user.themes import VERDICT_HEALTH, Palette

Key = tuple[str, str, int, str]
MARK = "✓"
MARGIN = 2
"""The cells of the mark and the blank after it."""


class TrainingRows(Widget):
    """Draws trainings; the chosen one stays on the screen, and stays chosen wherever its row moves.

    Attributes:
        rows: The trainings, in the order of the screen.
        chosen: The key of the chosen one.
        marked: The keys of the marked ones, in the order in which they were marked.
    """

    class Opened(Message):
        """A row was clicked that was chosen already."""

    def __init__(self, palette: Palette, hosts: bool) -> None:
        super().__init__()
        self.rows: Sequence[Training] = ()
        self.chosen: Key | None = None
        self.marked: list[Key] = []
        self._palette = palette
        self._hosts = hosts
        self._first = 0
        self._place = 0

    @property
    def selected(self) -> Training | None:
        """The chosen training; None if there is none."""
        return next((row for row in self.rows if row.key == self.chosen), None)

    def show(self, rows: Sequence[Training]) -> None:
        """Draw these trainings. If the chosen one is gone, the one in its place is chosen."""
        self.rows = rows
        keys = [row.key for row in rows]
        self.marked = [key for key in self.marked if key in keys]
        if self.chosen not in keys:
            self.chosen = keys[min(self._place, len(keys) - 1)] if keys else None
        self._place = keys.index(self.chosen) if self.chosen else 0
        self.refresh()

    def move(self, by: int) -> None:
        """Choose a training further down (by > 0) or up."""
        if self.rows:
            self._place = min(max(self._place + by, 0), len(self.rows) - 1)
            self.chosen = self.rows[self._place].key
            self.refresh()

    def mark(self) -> None:
        """Mark the chosen training, or take its mark away; of more than two marks the oldest goes."""
        if self.chosen in self.marked:
            self.marked.remove(self.chosen)
        elif self.chosen:
            self.marked = [*self.marked[-1:], self.chosen]
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse; a second click opens it."""
        place = self._first + event.y - 1
        if event.y < 1 or place >= len(self.rows):
            return
        if self.rows[place].key == self.chosen:
            self.post_message(self.Opened())
        self.move(place - self._place)

    def render_lines(self, crop: object) -> list[Strip]:
        """Draw all lines: a table's columns depend on all of its rows."""
        width, height = self.size
        room = max(height - 1, 1)
        self._first = min(max(self._first, self._place - room + 1, 0), self._place, max(len(self.rows) - room, 0))
        shown = self.rows[self._first : self._first + room]
        table = training_table(shown, max(width - MARGIN, 1), hosts=self._hosts)
        lines = [self._line(" ", table.heads, [self._palette.muted] * len(table.heads), is_chosen=False)]
        for row, cells in zip(shown, table.rows, strict=True):
            colours = [self._colour(row, name) for name in table.names] if row.state != "failed" else []
            mark = MARK if row.key in self.marked else " "
            colours = colours or [self._palette.health["exploding"]]
            lines.append(self._line(mark, cells, colours, is_chosen=row.key == self.chosen))
        lines += [self._line(" ", (), (), is_chosen=False)] * (height - len(lines))
        return lines[:height]

    def _line(self, mark: str, cells: Sequence[str], colours: Sequence[str], is_chosen: bool) -> Strip:
        ground = self._palette.selection if is_chosen else self._palette.background
        plain = Style(color=self._palette.text, bgcolor=ground)
        segments = [Segment(f"{mark} ", Style(color=self._palette.accent, bgcolor=ground))]
        for cell, colour in zip(cells, colours, strict=True):
            segments += [Segment(cell, Style(color=colour, bgcolor=ground)), Segment(" " * GAP, plain)]
        return Strip(segments).adjust_cell_length(self.size.width, plain)

    def _colour(self, row: Training, column: str) -> str:
        palette = self._palette
        if row.state != "training":
            return palette.muted
        if column == "verdict" and row.verdict:
            word = next((word for kind, word in VERDICT_HEALTH.items() if kind == row.verdict), "unknown")
            return palette.health[word]  # type: ignore[index]
        if column in ("worst layer", "gradient") and row.worst_health in palette.health.__struct_fields__:
            return palette.health[row.worst_health]  # type: ignore[index]
        return palette.series.loss if column == STRIP else palette.text
