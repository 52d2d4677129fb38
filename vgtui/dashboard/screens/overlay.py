"""The base of screens over the main screen: they read the same state, and are told when it changes."""

from textual.screen import ModalScreen

from vgtui.dashboard.textual_patches import clear_render_cache
from vgtui.dashboard.view.state import RunView
from vgtui.user.themes import Palette


class Overlay(ModalScreen[None]):
    """A screen over the main screen. Closes with escape.

    Args:
        state: The run on the screen.
        palette: The colours.
    """

    BINDINGS = [("escape", "close", "Close")]

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__()
        self.state = state
        self.palette = palette

    def action_close(self) -> None:
        """Close once: keys typed ahead may reach a screen that is already closed."""
        if self.is_current:
            self.dismiss()

    def on_unmount(self) -> None:
        """Free the rendered strips, which Textual would keep for the removed widgets."""
        clear_render_cache()

    def state_changed(self) -> None:
        """Draw anew: the state has changed."""

    def set_palette(self, palette: Palette) -> None:
        """Draw in these colours from now on."""
        self.palette = palette
        self.state_changed()
