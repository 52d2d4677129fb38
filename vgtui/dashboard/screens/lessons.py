"""The list of lessons, with those that are done; enter begins one."""

from collections.abc import Callable, Mapping, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import UsageError
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.lessons.lesson import Lesson
from vgtui.terminal.text import plain
from vgtui.user.themes import Palette

LEAVE = "\n"
"""The option that leaves the present lesson; not the name of any lesson."""


class LessonsScreen(Overlay):
    """The list of lessons.

    Args:
        state: The run on the screen.
        palette: The colours.
        lessons: The lessons by name.
        warnings: Errors in the files of lessons.
        done: The number of steps done in each lesson.
        present: The name of the present lesson, if any.
        choose: Called with a lesson, or None to leave the present one.
    """

    BINDINGS = [("g,q", "close", "Close")]

    def __init__(
        self,
        state: RunView,
        palette: Palette,
        lessons: Mapping[str, Lesson],
        warnings: Sequence[UsageError],
        done: Mapping[str, int],
        present: str | None,
        choose: Callable[[Lesson | None], None],
    ) -> None:
        super().__init__(state, palette)
        self._lessons, self._warnings, self._done = lessons, warnings, done
        self._present, self._choose = present, choose

    def compose(self) -> ComposeResult:
        """Compose the list, with room for remarks below it."""
        with Vertical(id="lessons", classes="dialog") as box:
            box.border_title = "Lessons"
            box.border_subtitle = "enter begins · escape closes"
            yield OptionList()
            yield Static(id="remarks")

    def on_mount(self) -> None:
        """Fill the list, and give it the focus."""
        self.set_palette(self.palette)
        self.query_one(OptionList).focus()

    def set_palette(self, palette: Palette) -> None:
        """Fill the list anew in these colours; the highlight keeps its place."""
        super().set_palette(palette)
        options = self.query_one(OptionList)
        place = options.highlighted or 0
        options.clear_options()
        if self._present is not None:
            options.add_option(Option(Text("leave the present lesson", palette.pending), id=LEAVE))
        for name, lesson in self._lessons.items():
            options.add_option(Option(self._row(lesson), id=name))
        options.highlighted = place
        remarks = "\n".join(plain(str(warning)) for warning in self._warnings)
        self.query_one("#remarks", Static).update(Text(remarks, palette.health["weak"]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Close the list, then begin the selected lesson or leave the present one."""
        if not self.is_current:
            return
        self.action_close()
        self._choose(None if event.option_id == LEAVE else self._lessons[str(event.option_id)])

    def _row(self, lesson: Lesson) -> Text:
        done, count = self._done.get(lesson.name, 0), len(lesson.steps)
        width = max(len(plain(other.title)) for other in self._lessons.values())
        row = Text()
        row.append(f"{'✓' if done >= count else ' '} ", self.palette.health["learning"])
        row.append(f"{plain(lesson.title):<{width}}", self.palette.text)
        progress = "done" if done >= count else f"step {done + 1} of {count}" if done else f"{count} steps"
        row.append(f"   {progress}", self.palette.muted)
        return row
