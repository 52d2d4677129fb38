"""What lies over the main screen: it reads the same state, and is told when that has changed."""

from textual.screen import ModalScreen

from vgtui.dashboard.textual_patches import clear_render_cache
from vgtui.dashboard.view.state import RunView
from vgtui.user.themes import Palette


class Overlay(ModalScreen[None]):
    """Closes with escape."""

    BINDINGS = [("escape", "close", "Close")]

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__()
        self.state = state
        self.palette = palette

    def action_close(self) -> None:
        """Leave, once: keys that were typed ahead reach a screen that has been left already."""
        if self.is_current:
            self.dismiss()

    def on_unmount(self) -> None:
        clear_render_cache()

    def state_changed(self) -> None:
        """The state has something new; draw what is shown of it here."""

    def set_palette(self, palette: Palette) -> None:
        """Draw in these colours from now on."""
        self.palette = palette
        self.state_changed()
