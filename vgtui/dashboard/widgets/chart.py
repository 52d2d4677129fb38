"""The base of charts: a legend, the lines, and the ticks around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.segment import Segment
from textual.strip import Strip

from vgtui.charts.line_chart import Cell
from vgtui.charts.strip_chart import CURSOR, column_of
from vgtui.dashboard.view.state import Ghost
from vgtui.dashboard.widgets.lines import Lines
from vgtui.terminal.text import first_that_fits, wrap_words

LEFT_GUTTER = 6
HINT_FROM_LINES = 10
ROWS_PER_LEGEND_LINE = 4
"""Rows of a chart for each line of its legend."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a legend.

    Attributes:
        forms: The text with its sign, from the full form to the shortest.
        colour: The colour.
    """

    forms: Sequence[str]
    colour: str


class Chart(Lines):
    """A chart; subclasses draw the picture. The styles of its cells are colours."""

    @property
    def hint(self) -> str:
        """A sentence for new users."""
        raise NotImplementedError

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the picture, with the hint below it if hints are on and there is room."""
        if width < LEFT_GUTTER + 4 or height < 3 or not self.state.frame:
            return []
        hint: list[str] = []
        if self.state.look.hints and height >= HINT_FROM_LINES:
            hint = wrap_words(self.hint, width - 2)
        muted = self.style(self.palette.muted)
        return [*self.picture(width, height - len(hint)), *(Strip([Segment(f" {line}", muted)]) for line in hint)]

    def picture(self, columns: int, rows: int) -> list[Strip]:
        """Draw the whole widget except the hint, in `rows` lines."""
        raise NotImplementedError

    def add_cursor(self, picture: list[list[Cell]]) -> None:
        """Mark the moment on the screen in a picture of the whole history."""
        if self.state.moment is not None:
            column = column_of(self.state.moment, self.state.history.length, len(picture[0]))
            for row in picture:
                row[column] = Cell(CURSOR, self.palette.accent)

    def legend(self, entries: Sequence[Entry], width: int, rows: int) -> list[Strip]:
        """Draw the legend. If not all entries fit in full, entries are shortened, the last one first.

        Args:
            entries: Its entries.
            width: The width in cells.
            rows: The height of the chart, of which the legend takes at most 1 / ROWS_PER_LEGEND_LINE.

        Returns:
            The lines of the legend.
        """
        most_lines = max(1, rows // ROWS_PER_LEGEND_LINE)
        forms = [0] * len(entries)
        while (lines := _lines_of(entries, forms, width)) is None or len(lines) > most_lines:
            longer = [place for place, entry in enumerate(entries) if forms[place] < len(entry.forms) - 1]
            if not longer:
                break
            forms[longer[-1]] += 1
        lines = lines or [[(first_that_fits(entry.forms, width - 1), entry.colour)] for entry in entries]
        styled = ([Segment(f" {words} ", self.style(colour)) for words, colour in line] for line in lines)
        return [Strip(line).crop(0, width) for line in styled][:most_lines]

    def companions(self) -> list[tuple[Ghost, str, Entry]]:
        """The runs beside this one, each with the character that marks its line and its entry in the legend."""
        colours, other = self.palette.series.pinned, self.state.other
        found = []
        for number, run in enumerate(self.state.companions):
            is_lane = other is not None and run.label == other.status.name
            marker = run.label if is_lane else str(number + 1)
            forms = (
                (f"{marker} other lane", marker) if is_lane else (f"{marker} {run.label}", f"{marker} pinned", marker)
            )
            found.append((run, marker, Entry(forms, colours[number % len(colours)])))
        return found

    def row(self, left: str, cells: Sequence[Cell], right: str = "") -> Strip:
        """Draw a line of the picture between its ticks."""
        muted = self.style(self.palette.muted)
        middle = [
            Segment("".join(cell.character for cell in group), self.style(colour) if colour else muted)
            for colour, group in groupby(cells, key=lambda cell: cell.style)
        ]
        return Strip([Segment(f"{left:>{LEFT_GUTTER - 1}} ", muted), *middle, Segment(right, muted)])


def _lines_of(entries: Sequence[Entry], forms: Sequence[int], width: int) -> list[list[tuple[str, str]]] | None:
    """Wrap the chosen form of each entry, with its colour, into lines; None if one is wider than a line."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for entry, form in zip(entries, forms, strict=True):
        words = entry.forms[form]
        needed = 1 + len(words)
        if needed > width:
            return None
        if used + needed > width:
            lines.append([])
            used = 0
        lines[-1].append((words, entry.colour))
        used += needed + 1  # a blank on each side
    return lines
