"""The panel of all layers, in one of three views that scroll together."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from vgtui.dashboard.messages import LayerChosen, LayerOpened, LayersScrolled
from vgtui.dashboard.view.state import NUMBER_WIDTH, RunView
from vgtui.dashboard.widgets.chain_rule_rows import ChainRuleRows
from vgtui.dashboard.widgets.heat_map_view import HeatMapView
from vgtui.dashboard.widgets.hint import Hint
from vgtui.dashboard.widgets.layer_rows import BAR, LayerNumbers, LayerRows, LayerSecond, LayerWords
from vgtui.dashboard.widgets.lines import Lines
from vgtui.dashboard.widgets.sparklines import Sparklines
from vgtui.terminal.text import first_that_fits
from vgtui.user.themes import Palette

BAR_FROM, SECOND_FROM = 48, 58
"""The minimum widths for the bars and for a second number, beside a sparkline of twenty cells."""
HINT_FROM_LINES = 16
CORNERS = 4
"""Cells of the border that a title cannot use."""
MAX_ROW_HEIGHT = 3
"""The maximum height of a sparkline in cells."""

HINTS = {
    "sparklines": "Each row is a layer, the output on top; a short bar hardly learns. Height: change, colour: level.",
    "heat map": "The output is on top, time runs to the right. Colours near the low end: layers that hardly learn.",
    "chain rule": "On its way down the error signal meets one factor a layer; factors below 1 starve the first layers.",
}
HINT_OF_MODEL = HINTS | {
    "sparklines": "Each row is a layer, in the order of first use, the output on top. Height: change, colour: level."
}


class LayerPanel(Vertical):
    """A view of all layers. Numbers change a few times a second, sparklines with every frame.

    Args:
        state: The run.
        palette: The colours.
        views_further: How many views after the chosen one to show.
        id: The id of the widget.
    """

    def __init__(self, state: RunView, palette: Palette, views_further: int = 0, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self._views_further = views_further
        self._room = 1
        self._fitted: tuple[object, ...] = ()
        self.numbers = LayerNumbers(state, palette)
        self.sparklines = Sparklines(state, palette)
        self.second = LayerSecond(state, palette)
        self.words = LayerWords(state, palette)
        self.heat_map = HeatMapView(state, palette)
        self.chain = ChainRuleRows(state, palette)
        self._hint = Hint(state, palette)
        self._beside = Horizontal(self.numbers, self.sparklines, self.second, self.words)

    def compose(self) -> ComposeResult:
        """Compose the three views, of which one is shown, and the hint."""
        yield self._beside
        yield self.heat_map
        yield self.chain
        yield self._hint

    @property
    def view(self) -> str:
        """The view shown here."""
        views = self.state.views
        first = views.index(self.state.look.view) if self.state.look.view in views else 0
        return views[(first + self._views_further) % len(views)]

    @property
    def _parts(self) -> tuple[Lines, ...]:
        """The widgets of the present view."""
        views: dict[str, tuple[Lines, ...]] = {
            "sparklines": (self.numbers, self.sparklines, self.second, self.words),
            "heat map": (self.heat_map,),
            "chain rule": (self.chain,),
        }
        return views[self.view]

    def set_palette(self, palette: Palette) -> None:
        """Draw in these colours from now on."""
        for part in self.query(Lines):
            part.palette = palette
            part.redraw()

    def show(self, state: RunView) -> None:
        """Show this run from now on."""
        self.state = state
        for part in self.query(Lines):
            part.state = state

    def redraw(self) -> None:
        """Draw the present view as the state is now."""
        self._fit()
        for part in self._parts:
            part.redraw()

    def advance(self) -> None:
        """Draw what the newest frame adds to the sparklines."""
        self._fit()
        if self.view == "sparklines":
            self.sparklines.advance()
        self._say()

    def draw_numbers(self, begins: bool) -> None:
        """Draw the numbers of the newest frame. `begins`: it is the first of a run."""
        if self.view == "sparklines":
            self.numbers.fit_axis(begins)
            for part in (self.numbers, self.second, self.words):
                part.redraw()
        elif self.view == "chain rule":
            self.chain.fit_axis(begins)
            self.chain.redraw()
        else:
            self.heat_map.redraw()

    def _say(self) -> None:
        """Set title and subtitle only if they differ, as setting one repaints the whole panel."""
        quantity, hidden = self.state.look.quantity, max(0, len(self.state.rows) - self._room)
        facts = [f"{hidden} more: ↑ ↓"] if hidden and self.view != "heat map" else []
        if sign := self._way_to_verdict():
            facts = [f"{sign} verdict's layer: {self.state.look.keymap.shown('find_verdict')}"]
        if self.view == "chain rule":
            ratio = "Chain rule: ‖δ_l‖ / ‖δ_l+1‖"
            titles = [f"{ratio} from layer to layer", ratio, "Chain rule"]
            last = ["┊ 0.25ⁿ, the most that φ′ allows", "┊ 0.25ⁿ"] if self.chain.has_bound else [""]
        else:
            titles = [f"{quantity.title} per layer, log10 {quantity.symbol}", f"{quantity.title} per layer"]
            titles.append(quantity.title)
            scale = self.sparklines.decades_per_cell
            words = f"{scale:g} {'decade' if scale == 1 else 'decades'} a cell"
            last = [f"sparklines: {words}", words] if self.view == "sparklines" else [""]
        lane = f"{self.state.status.name}   " if self.state.other else ""
        room = self.content_size.width - CORNERS
        title = first_that_fits([f"{lane}{words}" for words in (*titles, "")], room)
        subtitle = first_that_fits([" · ".join(filter(None, (*facts, words))) for words in (*last, "")], room)
        if title != self.border_title:
            self.border_title = title
        if subtitle != self.border_subtitle:
            self.border_subtitle = subtitle

    def _way_to_verdict(self) -> str:
        """Where the layer is that the verdict is about: ▲ or ▼ while it has no row on the screen."""
        rows, concerned = self.state.rows, self.state.concerned
        if not concerned or self.view == "heat map" or (chosen := self.state.row_of(concerned[0])) not in rows:
            return ""
        behind = rows.index(chosen) - self.numbers.top
        return "▲" if behind > 0 else "▼" if behind <= -self._room else ""

    def _fit(self) -> None:
        """Fit the view to the panel, and keep the chosen layer visible."""
        width, height = self.content_size
        if height < 2:
            return
        hint = (HINT_OF_MODEL if self.state.outline else HINTS)[self.view] if self._has_hint(height) else ""
        lines = height - 1 - self._hint.fit(hint, width)
        self._show_columns(width)
        rows = self.state.rows
        chosen = rows.index(self.state.selected) if self.state.selected in rows else 0
        row_height = max(1, min(MAX_ROW_HEIGHT, lines // len(rows))) if self.view == "sparklines" else 1
        self._room = room = max(1, lines // row_height)
        top = min(max(self.numbers.top, chosen), chosen + room - 1, len(rows) - 1)
        top = max(top, min(room, len(rows)) - 1)
        for part in self.query(LayerRows):
            if (top, row_height) != (part.top, part.row_height):
                part.top, part.row_height = top, row_height
                part.redraw()

    def _has_hint(self, height: int) -> bool:
        return self.state.look.hints and self.state.other is None and height >= HINT_FROM_LINES

    def _show_columns(self, width: int) -> None:
        further = self.state.label_width - 1 - NUMBER_WIDTH + max(0, self.state.kind_width - BAR)
        if (width, self.view, further) != self._fitted:
            self._fitted = (width, self.view, further)
            self.numbers.with_bar = width >= BAR_FROM + further
            self.second.display = width >= SECOND_FROM + further
            for part in (self.numbers, self.second, self.words):
                part.styles.width = part.columns
            self._beside.display = self.view == "sparklines"
            self.heat_map.display = self.view == "heat map"
            self.chain.display = self.view == "chain rule"

    def on_resize(self) -> None:
        """Fit the view and its title to the new size."""
        self.advance()

    def on_click(self, event: events.Click) -> None:
        """Choose the layer under the mouse; a double click looks inside it."""
        part: LayerRows | HeatMapView = (
            self.heat_map if self.view == "heat map" else self.chain if self.view == "chain rule" else self.numbers
        )
        layer = part.layer_at(event.screen_y - part.region.y)
        if layer is not None and layer < self.state.layers:
            self.post_message(LayerOpened(layer) if event.chain > 1 else LayerChosen(layer))

    def on_mouse_scroll_up(self) -> None:
        """Tell the screen that the wheel was turned one step up."""
        self.post_message(LayersScrolled(1))

    def on_mouse_scroll_down(self) -> None:
        """Tell the screen that the wheel was turned one step down."""
        self.post_message(LayersScrolled(-1))
