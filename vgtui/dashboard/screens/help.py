"""What the screen shows, and every key."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from vgtui.dashboard.keymap import KEYS
from vgtui.themes import Palette

EXPLANATION = """\
A network is trained by backpropagation: a layer's gradient is a product of one factor for each layer above it. \
Where the factors are below 1, as with sigmoid, whose derivative is at most 0.25, the layers near the input get next \
to nothing.

Each row is a layer, the output layer on top: its gradient norm ‖∂E/∂W‖ as a number and a bar (one log axis for all), \
its history since the start, the error signal ‖∂E/∂z‖, and its health relative to the output layer. A sparkline's \
height shows the change of its own layer, its colour the level. 0 is a gradient of exactly 0, ! is NaN, ∞ is infinite, \
and ╎ marks a change. Every change restarts the training from the same seed."""


class HelpScreen(ModalScreen[None]):
    """Closes with escape, ? or q."""

    BINDINGS = [("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, palette: Palette, notes: Sequence[str]) -> None:
        super().__init__()
        self._palette = palette
        self._notes = notes

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "escape closes"
            yield Static(Group(Text(EXPLANATION, self._palette.text), Text(), self._keys(), Text(), *self._remarks()))

    def _keys(self) -> Table:
        table = Table.grid(padding=(0, 2))
        group = ""
        for key in KEYS:
            if key.group != group:
                group = key.group
                table.add_row("", Text(group, f"bold {self._palette.accent}"))
            table.add_row(Text(key.shown, f"bold {self._palette.accent}"), Text(key.help, self._palette.text))
        return table

    def _remarks(self) -> list[Text]:
        return [Text(note, self._palette.muted) for note in self._notes]
