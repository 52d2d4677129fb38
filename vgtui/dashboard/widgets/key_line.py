"""The last line: the keys that do something with this kind of source, the first ones first; a click presses one.

Textual's own footer keeps every widget of a key that it ever showed (8.2), which are two dozen at each overlay.
"""

from rich.text import Text
from textual import events
from textual.widget import Widget

from vgtui.dashboard.keymap import Key, Kind
from vgtui.dashboard.state import RunState
from vgtui.themes import Palette


class KeyLine(Widget):
    """One line of as many keys as there is room for."""

    def __init__(self, kind: Kind, state: RunState, palette: Palette) -> None:
        super().__init__()
        self.palette = palette
        shown = [key for key in state.keymap if key.footer and key.needs in (None, kind)]
        self._keys = sorted(shown, key=lambda key: key.footer)
        self._places: list[tuple[range, Key]] = []

    def render(self) -> Text:
        line = Text(no_wrap=True)
        self._places = []
        for key in self._keys:
            begin = line.cell_len
            if begin + len(f"{key.shown} {key.label}") > self.size.width:
                break
            line.append(key.shown, f"bold {self.palette.accent}").append(f" {key.label}", self.palette.text)
            self._places.append((range(begin, line.cell_len), key))
            line.append(" ")
        return line

    def on_click(self, event: events.Click) -> None:
        for columns, key in self._places:
            if event.x in columns:
                self.app.simulate_key(key.key.split(",")[0])
