"""The screen of `vgtui top`: all trainings, what is wrong with the chosen one, and the keys."""

from typing import Literal

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from vgtui.charts.training_table import device_words
from vgtui.dashboard.widgets.training_rows import TrainingRows
from vgtui.sources.overview import Overview
from vgtui.sources.trainings import PULL_SECONDS, Training
from vgtui.terminal.text import plain, whole_words, wrap_words
from vgtui.user.themes import Palette

DRAW_SECONDS = PULL_SECONDS / 2
KEYS = (
    ("↑ ↓", "choose"),
    ("enter", "open"),
    ("q", "quit"),
    ("?", "help"),
    ("space", "mark"),
    ("c", "compare"),
)
"""The keys, the most important first."""
NOTHING = """\
Nothing is watched now. A training is seen here when its script has vgtui.watch(model, optimizer) in it, or \
vgtui.Emitter; it appears by itself."""
HELP = """\
Each line is a training that is watched: on this machine and by you, or with --host on other machines. One frame of \
each is asked for in a second.

loss: over the time that this screen has seen, each on its own scale. ! is NaN, ∞ is infinite.
worst layer: the one whose gradient is furthest from what the layers next to the loss get, and × how much of that \
it gets.
verdict: what is wrong, if anything; the sentence below the table is that of the chosen training.
GPU: its number, its load, and the memory that the training has taken, where nvidia-ml-py tells.

A training that has ended stays for a minute, greyed.

enter opens the chosen training, and q comes back from there. space marks a training; c compares the two that are \
marked, or the marked one with the chosen one. q leaves, and no training notices."""
MAX_DETAIL = 6


class TrainingsScreen(Screen[None]):
    """Shows an overview and says what the user chose to open."""

    BINDINGS = [
        Binding("up,k", "move(-1)"),
        Binding("down,j", "move(1)"),
        Binding("pageup", "move(-10)"),
        Binding("pagedown", "move(10)"),
        Binding("home", "move(-100000)"),
        Binding("end", "move(100000)"),
        Binding("enter", "open"),
        Binding("space", "mark"),
        Binding("c", "compare"),
        Binding("question_mark", "help"),
        Binding("q", "app.exit_cleanly"),
    ]

    class Chosen(Message):
        """The user wants to see a training, or two side by side."""

        def __init__(self, trainings: tuple[Training, ...]) -> None:
            super().__init__()
            self.trainings = trainings

    def __init__(self, overview: Overview, palette: Palette, problem: str = "") -> None:
        """Prepare to show an overview.

        Args:
            overview: What is shown.
            palette: The colours.
            problem: What went wrong with what was opened before, to be told.
        """
        super().__init__()
        self._overview = overview
        self._palette = palette
        self._problem = problem
        self._rows = TrainingRows(palette, overview.has_hosts)

    def compose(self) -> ComposeResult:
        """Compose the line of the machine, the rows, the sentence on the chosen one, and the keys."""
        yield Static(id="machine")
        yield self._rows
        yield Static(id="chosen")
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Follow the trainings, and draw them again and again."""
        self._follow()
        self.set_interval(DRAW_SECONDS, self._draw)
        if self._problem:
            self._say(self._problem, "error")

    def on_resize(self) -> None:
        """Draw in the new size."""
        self.call_after_refresh(self._draw)

    @work
    async def _follow(self) -> None:
        await self._overview.follow()

    def action_move(self, by: int) -> None:
        """Choose a training further down or up."""
        self._rows.move(by)
        self._draw_chosen()

    def action_mark(self) -> None:
        """Mark the chosen training, or take its mark away."""
        self._rows.mark()

    def action_open(self) -> None:
        """Open the chosen training."""
        row = self._rows.selected
        if row is None:
            return
        if problem := _why_not(row):
            self._say(problem)
            return
        self.post_message(self.Chosen((row,)))

    def on_training_rows_opened(self) -> None:
        """Open the training that was clicked."""
        self.action_open()

    def action_compare(self) -> None:
        """Compare the marked trainings, or the marked one with the chosen one."""
        keys = self._rows.marked
        if len(keys) == 1 and self._rows.chosen and self._rows.chosen not in keys:
            keys = [*keys, self._rows.chosen]
        rows = [row for key in keys for row in self._rows.rows if row.key == key]
        if len(rows) != 2:
            self._say("space marks a training; c compares two marked ones")
            return
        if any(row.host for row in rows):
            self._say("only trainings of this machine can be compared: run vgtui top there")
            return
        if problem := next(filter(None, map(_why_not, rows)), ""):
            self._say(problem)
            return
        self.post_message(self.Chosen(tuple(rows)))

    def action_help(self) -> None:
        """Explain the screen."""
        self.app.push_screen(TopHelp())

    def _draw(self) -> None:
        rows = self._overview.rows()
        self._rows.show(rows)
        self._draw_machine(rows)
        self._draw_chosen()
        self._draw_keys()

    def _draw_machine(self, rows: list[Training]) -> None:
        count = sum(row.state in ("training", "waiting") for row in rows)
        words = [f"vgtui top   {count} training{'s' * (count != 1)}", *device_words(self._overview.devices)]
        words += [f"{plain(host)}: none" for host in self._overview.idle]
        if self._overview.problem:
            words.append(plain(self._overview.problem))
        line = whole_words("   ".join(words), self.size.width)
        self.query_one("#machine", Static).update(Text(line, self._palette.text, no_wrap=True))

    def _draw_chosen(self) -> None:
        """Say the verdict of the chosen training, in as many lines as there is room for."""
        row = self._rows.selected
        words = NOTHING if row is None else plain(" · ".join(filter(None, (row.note, row.message))))
        lines = wrap_words(words, self.size.width - 1) if words else []
        room = max(min(MAX_DETAIL, (self.size.height - 2) // 3), 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], whole_words(" ".join(lines[room - 1 :]), self.size.width - 1)]
        self.query_one("#chosen", Static).update(Text("\n".join(lines), self._palette.text))

    def _draw_keys(self) -> None:
        line = Text(no_wrap=True)
        for key, label in KEYS:
            if line.cell_len + len(f"{key} {label}") > self.size.width:
                break
            line.append(key, f"bold {self._palette.accent}").append(f" {label}  ", self._palette.text)
        self.query_one("#keys", Static).update(line)

    def _say(self, words: str, severity: Literal["information", "error"] = "information") -> None:
        self.notify(plain(words), severity=severity, markup=False)


class TopHelp(ModalScreen[None]):
    """What the screen shows. Closes with escape, ? or q."""

    BINDINGS = [("escape,question_mark,q", "close", "Close")]

    def compose(self) -> ComposeResult:
        """Compose the page in a box that scrolls."""
        with VerticalScroll(id="help", classes="dialog") as box:
            box.border_title = "Help"
            box.border_subtitle = "escape closes"
            yield Static(Text(HELP))

    def action_close(self) -> None:
        """Close once: keys typed ahead may reach a screen that is already closed."""
        if self.is_current:
            self.dismiss()


def _why_not(row: Training) -> str:
    """Say why a row cannot be opened; "" if it can."""
    if row.state == "failed" or not row.socket:
        return f"{row.host}: {row.note}"
    return f"{row.name} has ended" if row.state == "ended" else ""
