"""Finds a layer by parts of its name as the user types."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.user.themes import Palette


class SearchScreen(Overlay):
    """Chooses the found layer at once; down and up go to the next one. Enter stays there, escape goes back.

    Args:
        state: The run on the screen.
        palette: The colours.
        choose: Called with each found layer.
    """

    BINDINGS = [("down", "go(1)", "Next"), ("up", "go(-1)", "Previous")]

    def __init__(self, state: RunView, palette: Palette, choose: Callable[[int], None]) -> None:
        super().__init__(state, palette)
        self._choose = choose
        self._before = state.selected
        self._found: list[int] = []
        self._place = 0

    def compose(self) -> ComposeResult:
        """Compose the field, and the line below it for what was found."""
        with Vertical(id="search", classes="dialog") as box:
            box.border_title = "Find a layer"
            box.border_subtitle = "↑ ↓ next · enter stays · escape goes back"
            yield Input(placeholder="part of its name or kind", compact=True)
            yield Static(markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Find the layers whose label contains every typed part, and choose the uppermost."""
        wanted = event.value.casefold().split()
        labels = [self.state.search_label(layer).casefold() for layer in range(self.state.layers)]
        matching = [layer for layer, label in enumerate(labels) if wanted and all(part in label for part in wanted)]
        self._found = matching[::-1]  # the output on top, as on the screen
        self._place = 0
        self._show()

    def on_input_submitted(self) -> None:
        """Close, and stay at the found layer."""
        self.dismiss()

    def action_go(self, step: int) -> None:
        """Choose the next found layer (1) or the previous one (−1)."""
        if self._found:
            self._place = (self._place + step) % len(self._found)
            self._show()

    def action_close(self) -> None:
        """Go back to the layer chosen before the search, and close."""
        self._choose(self._before)
        super().action_close()

    def _show(self) -> None:
        words = ""
        if self._found:
            layer = self._found[self._place]
            self._choose(layer)
            words = f"{self._place + 1} of {len(self._found)}: "
            label, room = self.state.full_label(layer), self.query_one(Static).content_size.width - len(words)
            words += label if len(label) <= room else f"…{label[len(label) - room + 1 :]}"
        elif self.query_one(Input).value.strip():
            words = "no layer matches"
        self.query_one(Static).update(words)
