"""The help: what the screen shows, and every key."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from vgtui.dashboard.keymap import Kind
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.user.themes import Palette

SUBJECT = """\
A network is trained by backpropagation: a layer's gradient is a product of one factor for each layer above it. \
Where the factors are below 1, as with sigmoid, whose derivative is at most 0.25, the layers near the input get next \
to nothing: they starve, and the loss hardly falls. Other activations, BatchNorm, skip connections and a fitting \
initialization are the cures."""

VIEW_WORDS = {
    "sparklines": """\
Each row is a layer, the output layer on top: the chosen norm as a number and a bar (one log axis for all), its \
history since the start, a second norm, and its health relative to the output layer. A sparkline's height shows the \
change of its own layer, its colour the level.""",
    "heat map": """\
The output layer is on top and time runs to the right; a colour is the power of ten of the chosen norm, as on the \
scale below. If there are more layers than lines, neighbours share a line, which shows the smallest.""",
    "chain rule": """\
factor is ‖δ_l‖ / ‖δ_l+1‖: how the error signal changes from the layer above to this one. It is the part of the \
activation (rms φ′) times the part of the weights. product is that of all factors down to this layer; ┊ is 0.25ⁿ, \
the most that n sigmoids let through.""",
}
SIGNS = """\
0 is exactly 0, ! is NaN, ∞ is infinite, – is unknown, ╎ marks a change, ┃ the moment shown, ≠ what two lanes differ \
in. Every change restarts the training from the same seed on the same batches, unless the weights are kept, and the \
previous run stays in "by layer", marked by ·. A pinned run stays until it is unpinned; its number marks its lines, as \
the letter of the other lane marks that lane's. Theory holds for wide layers at initialization, for one sample at a \
time."""


class HelpScreen(Overlay):
    """The help. Closes with escape, ? or q.

    Args:
        state: The run on the screen.
        palette: The colours.
        kinds: The kinds of source whose keys are listed.
        notes: Remarks on the run, shown at the end.
    """

    BINDINGS = [("question_mark,q", "close", "Close")]

    def __init__(self, state: RunView, palette: Palette, kinds: Sequence[Kind], notes: Sequence[str]) -> None:
        super().__init__(state, palette)
        self._kinds, self._notes = kinds, notes

    def compose(self) -> ComposeResult:
        """Compose the page in a box that scrolls."""
        with VerticalScroll(id="help", classes="dialog") as box:
            box.border_title = "Help"
            box.border_subtitle = "escape closes"
            yield Static(self._page())

    def set_palette(self, palette: Palette) -> None:
        """Draw the page in these colours from now on."""
        super().set_palette(palette)
        self.query_one(Static).update(self._page())

    def _page(self) -> Group:
        words = Text("\n\n".join((SUBJECT, VIEW_WORDS[self.state.look.view], SIGNS)), self.palette.text)
        return Group(words, Text(), self._keys(), Text(), *self._remarks())

    def _keys(self) -> Table:
        table = Table.grid(padding=(0, 2))
        group = ""
        for key in self.state.look.keymap:
            if not key.fits(*self._kinds):
                continue
            if key.group != group:
                group = key.group
                table.add_row("", Text(group, f"bold {self.palette.accent}"))
            table.add_row(Text(key.shown, f"bold {self.palette.accent}"), Text(key.help, self.palette.text))
        return table

    def _remarks(self) -> list[Text]:
        return [Text(note, self.palette.muted) for note in self._notes]
