"""The base of vgtui's Textual apps: themes, what the terminal can show, and an end that signals can ask for."""

import asyncio
from collections.abc import Mapping, Sequence

from textual.app import ReturnType
from textual.binding import Binding
from textual.filter import LineFilter, NoColor
from textual.theme import Theme

from vgtui.dashboard.line_filters import AsciiOnly, Shows
from vgtui.dashboard.textual_patches import QuietApp, TerminalDriver
from vgtui.user.themes import Palette


class ThemedApp(QuietApp[ReturnType]):
    """An app in the colours of a palette.

    Args:
        palettes: The themes by name.
        theme: The name of the current theme.
        shows: What the terminal can show.
    """

    TITLE = "vgtui"
    CSS_PATH = "app.tcss"
    BINDINGS = [Binding("ctrl+c", "exit_cleanly", "quit", show=False, priority=True)]

    def __init__(self, palettes: Mapping[str, Palette], theme: str, shows: Shows) -> None:
        super().__init__(driver_class=TerminalDriver)
        self.loop: asyncio.AbstractEventLoop | None = None
        # for NO_COLOR, Textual turns colours into greys, which are still colours
        self._own_filters: list[LineFilter] = []
        if not shows.colour:
            self._own_filters.append(NoColor())
        if not shows.utf8:
            self._own_filters.append(AsciiOnly())
        for palette in palettes.values():
            self.register_theme(_as_theme(palette))
        self.theme = theme

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Add the filters that leave out colours, or characters beyond ASCII."""
        return [*super().get_line_filters(), *self._own_filters]

    def on_load(self) -> None:
        """Keep the event loop, so that signals and the driver's thread can end the app."""
        self.loop = asyncio.get_running_loop()

    async def action_exit_cleanly(self, code: int = 0) -> None:
        """End the app."""
        self.workers.cancel_all()
        self.exit(return_code=code)

    def save_in_haste(self) -> str:
        """Save what can be saved without waiting for anything, and return what there is to say of it."""
        return ""


def _as_theme(palette: Palette) -> Theme:
    """Convert a palette to a Textual theme."""
    return Theme(
        name=palette.name,
        dark=palette.dark,
        primary=palette.accent,
        accent=palette.accent,
        background=palette.background,
        surface=palette.panel,
        panel=palette.panel,
        foreground=palette.text,
        success=palette.health["learning"],
        warning=palette.health["weak"],
        error=palette.health["vanished"],
        variables={
            "border": palette.border,
            "text-muted": palette.muted,
            "input-selection-background": palette.selection,
            "selection": palette.selection,
        },
    )
