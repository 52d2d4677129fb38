"""All settings of the run in a form, which accepts the same values as the command line, with the same errors."""

from collections.abc import Callable
from typing import Any, TypeAlias

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Select, Static

from engine.errors import UsageError
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.model.options import OPTIONS, Option, option_of, settings_from, values_of
from vgtui.terminal.text import plain
from vgtui.user.themes import Palette
from vgtui.wire.run_settings import RunSettings


class SettingsScreen(Overlay):
    """The form of settings. Enter in a field, or ctrl+s, applies all of them; escape discards them.

    Args:
        state: The run to change.
        palette: The colours.
        apply: Called with the new settings.
        focused: The field that gets the focus; the first by default.
    """

    BINDINGS = [("ctrl+s", "apply", "Apply")]

    def __init__(
        self, state: RunView, palette: Palette, apply: Callable[[RunSettings], None], focused: str | None = None
    ) -> None:
        super().__init__(state, palette)
        self._apply = apply
        self._focused = focused
        self._values = values_of(state.wanted)

    def compose(self) -> ComposeResult:
        """Compose a field for each option, the line for an error, and the buttons."""
        with Vertical(id="settings", classes="dialog") as box:
            box.border_title = "Settings"
            box.border_subtitle = "enter applies · escape closes"
            with VerticalScroll():
                for option in OPTIONS:
                    with Horizontal(classes="field"):
                        yield Label(Text(_name(option)), classes="name")
                        yield self._editor(option)
                        yield Label(Text(option.help), classes="remark")
            yield Static(id="problem")
            with Horizontal(id="buttons"):
                yield Button("Apply", id="apply", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Give the focus to the requested field, or to the first."""
        self._focus(self._focused or OPTIONS[0].field)

    def _editor(self, option: Option) -> Widget:
        value = self._values[option.field]
        if option.kind == "switch":
            return _Choice(
                [("off", False), ("on", True)], value=value, allow_blank=False, id=option.field, compact=True
            )
        if option.choices and not option.open_ended:
            names = [(name, name) for name in option.choices]
            return _Choice(names, value=value, allow_blank=False, id=option.field, compact=True)
        suggester = SuggestFromList(option.choices) if option.choices else None
        return Input(option.show(value), id=option.field, compact=True, suggester=suggester)

    def _read(self) -> RunSettings:
        """The settings in the form. Raises UsageError if one is wrong."""
        values: dict[str, Any] = {}
        for option in OPTIONS:
            editor = self.query_one(f"#{option.field}")
            if isinstance(editor, Input):
                values[option.field] = option.parse(editor.value)
            elif isinstance(editor, Select):
                values[option.field] = editor.value
        return settings_from(values)

    def action_apply(self) -> None:
        """Close the form and apply its settings, or show which one is wrong."""
        if not self.is_current:
            return
        try:
            settings = self._read()
        except UsageError as error:
            self._refuse(error)
            return
        self.action_close()
        self._apply(settings)

    def _refuse(self, error: UsageError) -> None:
        option = option_of(error.setting)
        words = Text(plain(f"{_name(option)}: {error.problem}"), self.palette.health["vanished"])
        self.query_one("#problem", Static).update(words)
        self._focus(option.field)

    def _focus(self, field: str) -> None:
        self.query_one(f"#{field}").focus()

    def on_input_submitted(self) -> None:
        """Apply the settings."""
        self.action_apply()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Apply the settings, or discard them."""
        if event.button.id == "apply":
            self.action_apply()
        else:
            self.action_close()

    def on_click(self, event: events.Click) -> None:
        """Close at a click outside the form."""
        if event.widget is self:  # outside the form
            self.action_close()


_Choice: TypeAlias = Select[bool | str]


def _name(option: Option) -> str:
    return option.flag.removeprefix("--")
