"""The last line: the keys that work with this kind of source, most important first; a click presses one.

Textual's own footer (8.2) keeps the widget of every key it has ever shown, about two dozen more for each overlay.
"""

from rich.text import Text
from textual import events
from textual.widget import Widget

from vgtui.dashboard.keymap import Key, Kind
from vgtui.dashboard.view.state import RunView
from vgtui.user.themes import Palette


class KeyLine(Widget):
    """One line with as many keys as fit."""

    def __init__(self, kinds: tuple[Kind, ...], state: RunView, palette: Palette) -> None:
        super().__init__()
        self.state = state
        self.palette = palette
        self._keys = sorted(
            (key for key in state.look.keymap if key.footer and key.fits(*kinds)), key=lambda key: key.footer
        )
        self._labels: list[str] = []
        self._places: list[tuple[range, Key]] = []

    def show(self) -> None:
        """Update the labels to what the keys do now."""
        if self._labels != [self.state.key_label(key) for key in self._keys]:
            self.refresh()

    def render(self) -> Text:
        """Draw the keys that fit, and note where each one is."""
        line = Text(no_wrap=True)
        self._places = []
        self._labels = [self.state.key_label(key) for key in self._keys]
        for key, label in zip(self._keys, self._labels, strict=True):
            begin = line.cell_len
            if begin + len(f"{key.shown} {label}") > self.size.width:
                break
            line.append(key.shown, f"bold {self.palette.accent}").append(f" {label}", self.palette.text)
            self._places.append((range(begin, line.cell_len), key))
            line.append(" ")
        return line

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        for columns, key in self._places:
            if event.x in columns:
                self.app.simulate_key(key.key.split(",")[0])
