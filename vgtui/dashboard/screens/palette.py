"""The command palette, mended where Textual 8.2 raises: a page key in an empty list, and a second enter or escape."""

from contextlib import suppress

from textual import on
from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.widgets import Input, OptionList

from vgtui.dashboard.textual_patches import clear_render_cache


class ActionPalette(CommandPalette):
    """Textual's, every action of the keymap in it."""

    BINDINGS = [("pageup", "turn_page('page_up')", "Page up"), ("pagedown", "turn_page('page_down')", "Page down")]

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Leave, once: keys that were typed ahead reach a screen that has been left already."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    @on(Input.Changed)
    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def take_one_command(self, event: Input.Changed | Input.Submitted | OptionList.OptionSelected) -> None:
        """A second enter does not run the command again, and what is typed after it searches for nothing."""
        if not self.is_current:
            event.prevent_default()

    def on_unmount(self) -> None:
        clear_render_cache()

    def action_turn_page(self, name: str) -> None:
        with suppress(KeyError):
            getattr(self.query_one(CommandList), f"action_{name}")()
