"""The panel of all layers: numbers, sparklines and words side by side, scrolled together."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal

from vgtui.dashboard.messages import LayerChosen
from vgtui.dashboard.state import RunState
from vgtui.dashboard.widgets.layer_rows import LayerNumbers, LayerRows, LayerWords
from vgtui.dashboard.widgets.sparklines import Sparklines
from vgtui.themes import Palette

BAR_FROM, DELTA_FROM = 48, 58
"""The widths from which there is room for the bars and for the error signal beside a sparkline of twenty cells."""
MOST_LINES = 3
"""A sparkline is at most so many cells high."""


class LayerPanel(Horizontal):
    """One row a layer, output on top. Numbers change a few times a second, sparklines with every frame."""

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__()
        self.border_title = "Gradient norm per layer, log10 ‖∂E/∂W‖"
        self.state = state
        self._room = 1
        self._fitted_width = 0
        self.numbers = LayerNumbers(state, palette)
        self.sparklines = Sparklines(state, palette)
        self.words = LayerWords(state, palette)

    def compose(self) -> ComposeResult:
        yield self.numbers
        yield self.sparklines
        yield self.words

    @property
    def rows(self) -> tuple[LayerRows, LayerRows, LayerRows]:
        return self.numbers, self.sparklines, self.words

    def set_palette(self, palette: Palette) -> None:
        for part in self.rows:
            part.palette = palette
            part.redraw()

    def advance(self) -> None:
        """Draw what the newest frame adds to the sparklines."""
        self.fit_rows()
        self.sparklines.advance()
        scale = self.sparklines.decades_per_cell
        hidden = max(0, self.state.layers - self._room)
        more = f"{hidden} more: ↑ ↓ · " if hidden else ""
        subtitle = f"{more}sparklines: {scale:g} {'decade' if scale == 1 else 'decades'} a cell"
        if subtitle != self.border_subtitle:  # setting it repaints the whole panel
            self.border_subtitle = subtitle

    def draw_numbers(self, begins: bool) -> None:
        """Draw the newest frame's numbers; `begins`: it is the first of a run."""
        self.numbers.fit_axis(begins)
        self.numbers.redraw()
        self.words.redraw()

    def fit_rows(self) -> None:
        """Fit the parts into the width, the rows into the height, and keep the chosen layer in sight."""
        width, lines = self.content_size.width, self.content_size.height - 1
        if lines < 1:
            return
        self._show_columns(width)
        layers = self.state.layers
        height = max(1, min(MOST_LINES, lines // layers))
        self._room = room = lines // height
        top = min(max(self.numbers.top, self.state.selected), self.state.selected + room - 1, layers - 1)
        top = max(top, min(room, layers) - 1)
        if (top, height) != (self.numbers.top, self.numbers.row_height):
            for part in self.rows:
                part.top, part.row_height = top, height
                part.redraw()

    def _show_columns(self, width: int) -> None:
        if width != self._fitted_width:
            self._fitted_width = width
            with_bar, with_delta = width >= BAR_FROM, width >= DELTA_FROM
            self.numbers.with_bar, self.words.with_delta = with_bar, with_delta
            self.numbers.styles.width = self.numbers.columns
            self.words.styles.width = self.words.columns

    def on_resize(self) -> None:
        self.advance()

    def on_click(self, event: events.Click) -> None:
        place = self.numbers.layer_at(event.screen_y - self.numbers.region.y)
        if place and place[0] < self.state.layers:
            self.post_message(LayerChosen(place[0]))
