"""The time since the start on one line: changes, faults, notes, and the moment on the screen."""

from rich.segment import Segment
from textual.strip import Strip

from vgtui.charts.strip_chart import CURSOR, MARK
from vgtui.dashboard.widgets.lines import Lines
from vgtui.terminal.text import count_text, plain, whole_words

LINE, NOW, FAULT, NOTE = "─", "╸", "!", "·"
SIGNS = {"change": MARK, "fault": FAULT, "note": NOTE}
IMPORTANCE = ("note", "change", "fault")
"""Which sign is drawn where several share a cell: the last of these."""
WORDS = 40
"""Cells for the words beside the line, if both fit."""
MIN_LINE_WIDTH = 20


class Timeline(Lines):
    """A line from the start to the newest frame; beside it the step on the screen, and what happened there."""

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the line with its signs, and the words beside it."""
        history, moment = self.state.history, self.state.moment
        if not history.length or not self.state.frame:
            return []
        point = history.length - 1 if moment is None else moment
        muted = self.style(self.palette.muted)
        words = self._words(point)
        columns = max(width - max(WORDS, len(words)) - 3, min(MIN_LINE_WIDTH, width - 2), 1)
        cells = [Segment(LINE, muted)] * columns
        for occasion in sorted(history.occasions, key=lambda occasion: IMPORTANCE.index(occasion.kind)):
            colour = self.palette.health["NaN"] if occasion.kind == "fault" else self.palette.accent
            cells[self._column(occasion.point, columns)] = Segment(SIGNS[occasion.kind], self.style(colour))
        sign = NOW if moment is None else CURSOR
        cells[self._column(point, columns)] = Segment(sign, self.style(self.palette.accent))
        text = self.style(self.palette.pending if moment is not None else self.palette.muted)
        return [Strip([Segment(" ", muted), *cells, Segment(f" {whole_words(words, width - columns - 2)}", text)])]

    def _column(self, point: int, columns: int) -> int:
        last = max(self.state.history.length - 1, 1)
        return min(round(point / last * (columns - 1)), columns - 1)

    def _words(self, point: int) -> str:
        history = self.state.history
        if self.state.moment is None:
            where, hint = self._present()
            return f"{where}   ({hint})" if self.state.look.hints else where
        end, newest = history.end_of(point), self.state.newest
        last = newest.step if newest and end == history.length - 1 else round(history.scalars.step[end])
        frames = history.frames_of(point)
        words = f"step {count_text(round(history.scalars.step[point]))} of {count_text(last)}"
        words = words if frames == 1 else f"about {words}, {frames} frames"
        happened = next((entry for entry in reversed(history.occasions) if entry.point == point), None)
        return f"{words} · {plain(happened.message)}" if happened else words

    def _present(self) -> tuple[str, str]:
        """What the newest frame is, and the key to use there."""
        status, shown = self.state.status, self.state.look.keymap.shown
        if status.fault:
            return "stopped here", f"{shown('restart')} starts again"
        if status.ended and status.seekable:
            return "end of the recording", f"{shown('restart')} plays again"
        ended, going_on = ("the end", "played so far") if status.pace else ("ended", "now")
        where = ended if status.ended else going_on
        back = shown("back")
        return where, f"{back} goes back" if status.paused else f"pause, then {back} {shown('forth')} goes back"
