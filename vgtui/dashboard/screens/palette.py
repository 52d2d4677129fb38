"""The command palette, with a page key that Textual 8.2 cannot bear: in an empty list it raises KeyError."""

from contextlib import suppress

from textual.command import CommandList, CommandPalette


class ActionPalette(CommandPalette):
    """Textual's, every action of the keymap in it."""

    BINDINGS = [("pageup", "turn_page('page_up')", "Page up"), ("pagedown", "turn_page('page_down')", "Page down")]

    def action_turn_page(self, name: str) -> None:
        with suppress(KeyError):
            getattr(self.query_one(CommandList), f"action_{name}")()
