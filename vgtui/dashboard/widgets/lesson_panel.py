"""The present lesson: what to look at, what to press, and the measurements it waits for."""

from itertools import groupby

from rich.segment import Segment
from textual.strip import Strip

from vgtui.dashboard.widgets.lines import Lines
from vgtui.lessons.measures import MEASURES
from vgtui.lessons.progress import LessonProgress, Reading
from vgtui.terminal.text import numbers_alike, plain, wrap_words

DONE, WAITING = "✓", "·"
CORNERS = 4
"""Cells of the border that a title cannot use."""
ROOM_FOR_ALL = 18
"""Lines of the terminal from which a whole step fits."""


class LessonPanel(Lines):
    """Takes as many lines as its words need; hidden if there is no lesson."""

    progress: LessonProgress | None = None

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the words of the present step, as far as they fit."""
        return [Strip([Segment(f" {words}", self.style(colour))]) for words, colour in self._lines_for(width)][:height]

    def show(self) -> None:
        """Update title, height and words to the progress of the lesson."""
        progress = self.progress
        self.display = progress is not None
        if progress is None:
            return
        count = len(progress.lesson.steps)
        title = f"Lesson: {self._title}" if self._title_fits(self.content_size.width) else "Lesson"
        subtitle = f"step {progress.at + 1} of {count}" if progress.step else f"all {count} steps done"
        if (title, subtitle) != (self.border_title, self.border_subtitle):
            self.border_title, self.border_subtitle = title, subtitle
        lines = len(self._lines_for(max(self.content_size.width, 1))) + self.gutter.height
        if self.styles.height is None or self.styles.height.value != lines:
            self.styles.height = lines
        self.redraw()

    @property
    def _title(self) -> str:
        assert self.progress
        return plain(self.progress.lesson.title)

    def _title_fits(self, width: int) -> bool:
        """Whether the title fits into the border; otherwise it is the first line."""
        return len(f"Lesson: {self._title}") <= width - CORNERS

    def _lines_for(self, width: int) -> list[tuple[str, str]]:
        """Each line with its colour."""
        progress, keymap, palette = self.progress, self.state.look.keymap, self.palette
        room = max(width - 2, 1)
        if progress is None:
            return []
        if progress.step is None:
            words = f"Well done. {keymap.shown('lessons')} opens the list of lessons; the run is yours to continue."
            return [(line, palette.text) for line in wrap_words(words, room)]
        say = [(line, palette.text) for line in wrap_words(plain(progress.step.say), room)]
        if not self._title_fits(width):
            say = [*((line, palette.accent) for line in wrap_words(self._title, room)), *say]
        lines = [(line, palette.accent) for line in wrap_words(self._presses(), room)]
        if astray := progress.astray(self.state.wanted):
            words = ", ".join(entry.after for entry in astray)
            key = keymap.shown("back_to_lesson")
            words = f"No longer the lesson's run ({plain(words)}): {key} restores it."
            lines += [(line, palette.pending) for line in wrap_words(words, room)]
        for reading in progress.readings:
            words, colour = self._reading(reading)
            lines += [(line, colour) for line in wrap_words(words, room, subsequent_indent="  ")]
        # if not all lines fit, what to do comes first
        return [*lines, *say] if self.app.size.height < ROOM_FOR_ALL else [*say, *lines]

    def _presses(self) -> str:
        """The keys of the step in order, each with how often to press it."""
        assert self.progress and self.progress.step
        counted = [(name, len(list(presses))) for name, presses in groupby(self.progress.step.press)]
        keys = [f"{self.state.look.keymap.shown(name)}{f' {count} times' * (count > 1)}" for name, count in counted]
        return f"Press {', then '.join(keys)}." if keys else ""

    def _reading(self, reading: Reading) -> tuple[str, str]:
        expected = reading.expected
        known = {"at least": expected.least, "at most": expected.most, "": reading.value}
        numbers = {words: value for words, value in known.items() if value is not None}
        texts = dict(zip(numbers, numbers_alike(list(numbers.values())), strict=True))
        value = texts.pop("", "none yet")
        bounds = " and ".join(f"{words} {text}" for words, text in texts.items())
        now = "" if self.state.moment is None else " in the present"
        when = " at the start" if expected.when == "init" else now
        health = self.palette.health
        sign, colour = (DONE, health["learning"]) if reading.met else (WAITING, health["weak"])
        wanted = bounds if reading.met else f"waits for {bounds}"
        return f"{sign} {MEASURES[expected.measure].words}{when}: {value}, {wanted}", colour
