"""What if: each change of the network, measured on its own, best first; enter applies the chosen one."""

import math
from collections.abc import Callable
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from engine.changes import Probe
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.terminal.text import UNKNOWN, norm_text
from vgtui.user.themes import Palette

COLUMNS = ("change", "gradient,\nfirst / output", "× now", "update,\nfirst / output")
"""The header of the table, in two lines."""
SETTING_WORDS = {"batch_norm": "BatchNorm", "skip_connections": "skip connections", "initialization": "init"}


class WhatIfScreen(Overlay):
    """The table of changes, sorted as rows arrive. A ratio near 1 means that the first layer learns like the last.

    Args:
        state: The run on the screen.
        palette: The colours.
        apply: Called with the setting and the value to apply.
    """

    BINDINGS = [("w,q", "close", "Close")]

    def __init__(self, state: RunView, palette: Palette, apply: Callable[[str, Any], None]) -> None:
        super().__init__(state, palette)
        self._apply = apply
        self._shown = 0

    def compose(self) -> ComposeResult:
        """Compose the line of progress and the table."""
        with Vertical(id="what-if", classes="dialog") as box:
            box.border_title = "What if: each change on its own, at initialization"
            box.border_subtitle = "enter applies · escape closes"
            yield Static(id="progress")
            table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=False, header_height=2)
            for column in COLUMNS:
                table.add_column(Text(column, justify="left" if column is COLUMNS[0] else "right"))
            yield table

    def on_mount(self) -> None:
        """Give the focus to the table, and show the changes measured so far."""
        self.query_one(DataTable).focus()
        self.state_changed()

    def state_changed(self) -> None:
        """Update the line of progress, and the table if there are new rows."""
        tried = self.state.tried
        total = tried[-1].total if tried else 0
        first = self.state.first
        now = _ratio(first.layers.grad_norm) if first else math.nan
        words = "now: the run's first frame is not available"
        if first:
            words = f"now: {norm_text(now)} of the output layer's gradient reaches layer 1"
        if len(tried) < total or not tried:
            words += f"   measuring {len(tried)} of {total or '…'}"
        self.query_one("#progress", Static).update(Text(words, self.palette.muted))
        if len(tried) != self._shown:
            self._shown = len(tried)
            self._fill(sorted((entry.probe for entry in tried), key=distance_from_one), now)

    def set_palette(self, palette: Palette) -> None:
        """Fill the table anew in these colours."""
        self._shown = 0
        super().set_palette(palette)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Close the table and apply the change in the selected row."""
        if not self.is_current:
            return
        setting, _, value = str(event.row_key.value).partition("=")
        for probe in (entry.probe for entry in self.state.tried):
            if (probe.setting, str(probe.value)) == (setting, value):
                self.action_close()
                self._apply(probe.setting, probe.value)
                return

    def _fill(self, probes: list[Probe], now: float) -> None:
        """Replace all rows; the cursor stays on its line."""
        table: DataTable[Text] = self.query_one(DataTable)
        row = table.cursor_row
        table.clear()
        for probe in probes:
            ratio = float(probe.gradient_ratio)
            table.add_row(
                Text(change_words(probe.setting, probe.value), self.palette.text),
                Text(norm_text(ratio), self._colour(ratio), justify="right"),
                Text(norm_text(ratio / now) if now > 0 else UNKNOWN, self.palette.muted, justify="right"),
                Text(norm_text(float(probe.update_ratio)), self.palette.muted, justify="right"),
                key=f"{probe.setting}={probe.value}",
            )
        table.move_cursor(row=row)

    def _colour(self, ratio: float) -> str:
        health = self.palette.health
        if not ratio > 1e-8:
            return health["vanished"]
        return health["learning"] if 1e-3 <= ratio <= 1e3 else health["exploding" if ratio > 1e3 else "weak"]


def change_words(setting: str, value: object) -> str:
    """Describe a change, for example "BatchNorm on"."""
    name = SETTING_WORDS.get(setting, setting)
    return f"{name} {'on' if value is True else 'off' if value is False else value}"


def distance_from_one(probe: Probe) -> float:
    """How far the gradient ratio is from 1, in decades; ∞ if it is 0 or not finite."""
    ratio = float(probe.gradient_ratio)
    return abs(math.log10(ratio)) if 0 < ratio < math.inf else math.inf


def _ratio(norms: Any) -> float:
    return float(norms[0] / norms[-1]) if norms[-1] else math.nan
