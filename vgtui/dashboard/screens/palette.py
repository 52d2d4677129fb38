"""The command palette, with fixes for Textual 8.2, which raises at a page key in an empty list, or a second enter."""

from contextlib import suppress

from textual import on
from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.widgets import Input, OptionList

from vgtui.dashboard.textual_patches import clear_render_cache


class ActionPalette(CommandPalette):
    """Textual's command palette, with every action of the keymap."""

    BINDINGS = [("pageup", "turn_page('page_up')", "Page up"), ("pagedown", "turn_page('page_down')", "Page down")]

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close once: keys typed ahead may reach a screen that is already closed."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    @on(Input.Changed)
    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def take_one_command(self, event: Input.Changed | Input.Submitted | OptionList.OptionSelected) -> None:
        """Ignore events after the first command, so that a second enter does not run it again."""
        if not self.is_current:
            event.prevent_default()

    def on_unmount(self) -> None:
        """Free the rendered strips, which Textual would keep for the removed widgets."""
        clear_render_cache()

    def action_turn_page(self, name: str) -> None:
        """Turn a page of the list; an empty list has none."""
        with suppress(KeyError):
            getattr(self.query_one(CommandList), f"action_{name}")()
