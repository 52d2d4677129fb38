"""What if: each change of the run, tried on its own, best first; enter applies the chosen one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from engine.changes import AS_IT_IS, TRIAL_STEPS, Probe
from engine.progress import GAIN
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.terminal.text import UNKNOWN, column_number, first_that_fits, norm_text, share_text
from vgtui.user.themes import Palette
from vgtui.wire.protocol import Tried

SETTING_WORDS = {
    "batch_norm": "BatchNorm",
    "skip_connections": "skip connections",
    "initialization": "init",
    "learning_rate": "rate",
}
MAX_WIDTH = 110
FRAME_WIDTH = 5
"""The cells of the border, its padding, and the scrollbar of the table."""
PENDING = "…"
BEST = 1
"""The row of the best change: the run as it is stands above it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes:
        head: Its head where there is room.
        short: Its head elsewhere.
        importance: The least important column is the first that is left out.
    """

    head: str
    short: str
    importance: int


COLUMNS = (
    Column("change", "change", 6),
    Column("learns?\nloss", "learns?\nloss", 5),
    Column("\naccuracy", "\naccuracy", 3),
    Column("gradient,\nfirst / output", "gradient\n1st/out", 4),
    Column("× as it is", "× as\nit is", 2),
    Column("update,\nfirst / output", "update\n1st/out", 1),
)


class WhatIfScreen(Overlay):
    """The table of changes, sorted as results arrive: by the loss after training, and before that by the ratio.

    A ratio near 1 means that the first layer gets as much gradient as the last. While it is closed, nothing is tried.

    Args:
        state: The run on the screen.
        palette: The colours.
        apply: Called with the setting and the value to apply.
        leave: Called when the table closes.
    """

    BINDINGS = [("w,q", "close", "Close")]

    def __init__(
        self, state: RunView, palette: Palette, apply: Callable[[str, Any], None], leave: Callable[[], None]
    ) -> None:
        super().__init__(state, palette)
        self._apply = apply
        self._leave = leave
        self._shown: list[tuple[Probe, bool]] = []
        self._columns: list[tuple[int, str]] = []

    def compose(self) -> ComposeResult:
        """Compose the line of progress and the table."""
        with Vertical(id="what-if", classes="dialog") as box:
            box.border_subtitle = "enter applies · escape closes"
            yield Static(id="progress")
            table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=False, header_height=2)
            yield table

    def on_mount(self) -> None:
        """Give the focus to the table, and show the changes measured so far."""
        self.query_one(DataTable).focus()
        self.state_changed()

    def on_resize(self) -> None:
        """Choose the columns anew."""
        self._shown = []
        self.state_changed()

    def action_close(self) -> None:
        """Close the table, and leave off trying."""
        if self.is_current:
            self._leave()
        super().action_close()

    def state_changed(self) -> None:
        """Update the line of progress, and the table if there are new results."""
        tried = self.state.tried
        steps = tried[0].of if tried else TRIAL_STEPS
        self.query_one("#what-if").border_title = first_that_fits(
            (
                f"What if: each change on its own, trained for {steps} steps",
                "What if: each change on its own",
                "What if",
            ),
            self._width,
        )
        self.query_one("#progress", Static).update(Text(self._progress_words(tried), self.palette.muted))
        results = [(entry.probe, entry.steps == entry.of) for entry in tried]
        if results != self._shown:
            self._shown = results
            self._fill(sorted(results, key=lambda result: result[0].rank))

    def set_palette(self, palette: Palette) -> None:
        """Fill the table anew in these colours."""
        self._shown = []
        super().set_palette(palette)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Close the table and apply the change in the selected row; the run as it is has none."""
        if not self.is_current:
            return
        for probe in (entry.probe for entry in self.state.tried if entry.probe.setting != AS_IT_IS):
            if change_words(probe) == event.row_key.value:
                self.action_close()
                self._apply(probe.setting, probe.value)
                return

    @property
    def _width(self) -> int:
        """The cells that there are for the table."""
        return min(MAX_WIDTH, self.app.size.width) - FRAME_WIDTH

    @property
    def _guess(self) -> float:
        """The loss of guessing; NaN before there is a run."""
        own = self.state.header.own if self.state.header else None
        return math.log(own.dataset.classes) if own else math.nan

    def _progress_words(self, tried: Sequence[Tried]) -> str:
        """How far it is, and what yes and no mean, as far as there is room."""
        words = progress_words(tried)
        guessing = f"guessing: loss {self._guess:.3f}"
        forms = (f"{guessing}; yes: at least {100 * GAIN:.0f} % below it", guessing)
        return first_that_fits(("   ".join(filter(None, (words, form))) for form in (*forms, "")), self._width)

    def _fill(self, results: list[tuple[Probe, bool]]) -> None:
        """Replace all rows. The cursor stays at the best change, or follows the one that was chosen.

        Args:
            results: What was measured, and whether nothing more will be.
        """
        table: DataTable[Text] = self.query_one(DataTable)
        row = table.cursor_row if table.row_count else BEST
        chosen = str(table.ordered_rows[row].key.value) if table.row_count > row != BEST else None
        now = next((float(probe.gradient_ratio) for probe, _ in results if probe.setting == AS_IT_IS), math.nan)
        rows = {change_words(probe): self._cells(probe, done, now) for probe, done in results}
        columns = fitting_columns(list(rows.values()), self._width)
        table.clear(columns=columns != self._columns)
        if columns != self._columns:
            self._columns = columns
            for index, head in columns:
                table.add_column(Text(head, justify="right" if index else "left"))
        for key, cells in rows.items():
            table.add_row(*(cells[index] for index, _ in columns), key=key)
        table.move_cursor(row=list(rows).index(chosen) if chosen in rows else min(BEST, len(rows) - 1))

    def _cells(self, probe: Probe, done: bool, now: float) -> list[Text]:
        """The cells of a row, in the order of COLUMNS."""
        ratio = float(probe.gradient_ratio)
        muted = self.palette.muted
        loss, colour = self._loss(probe, done)
        accuracy = None if probe.accuracy is None or math.isnan(probe.accuracy) else float(probe.accuracy)
        return [
            Text(change_words(probe), self.palette.accent if probe.setting == AS_IT_IS else self.palette.text),
            Text(loss, colour, justify="right"),
            Text("" if probe.accuracy is None else share_text(accuracy), muted, justify="right"),
            Text(norm_text(ratio), self._colour(ratio), justify="right"),
            Text(norm_text(ratio / now) if now > 0 else UNKNOWN, muted, justify="right"),
            Text(norm_text(float(probe.update_ratio)), muted, justify="right"),
        ]

    def _loss(self, probe: Probe, done: bool) -> tuple[str, str]:
        """Whether the loss is better than that of guessing, with the loss; and a colour."""
        if probe.loss is None:
            return UNKNOWN if done else PENDING, self.palette.muted
        loss, guess, health = float(probe.loss), self._guess, self.palette.health
        number = column_number(loss, 3)
        learns = probe.learns(guess)
        if learns is None:
            return number, self.palette.text
        if learns:
            return f"yes {number}", health["learning"]
        return f"no {number}", health["weak" if loss <= (1 + GAIN) * guess else "exploding"]

    def _colour(self, ratio: float) -> str:
        health = self.palette.health
        if not ratio > 1e-8:
            return health["vanished"]
        return health["learning"] if 1e-3 <= ratio <= 1e3 else health["exploding" if ratio > 1e3 else "weak"]


def change_words(probe: Probe) -> str:
    """Describe a change, for example "BatchNorm on"."""
    if probe.setting == AS_IT_IS:
        return "as it is"
    name, value = SETTING_WORDS.get(probe.setting, probe.setting), probe.value
    words = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value).removesuffix(".0")
    return f"{name} {words}"


def progress_words(tried: Sequence[Tried]) -> str:
    """How far the trials are; "" when all are done."""
    total = tried[0].total if tried else 0
    if len(tried) < total or not tried:
        return f"measuring {len(tried)} of {total or PENDING}"
    done = sum(entry.steps == entry.of for entry in tried)
    if done == total:
        return ""
    step = max((entry.steps for entry in tried if entry.steps < entry.of), default=0)
    return f"training {done + 1} of {total}, step {step} of {tried[0].of}"


def fitting_columns(rows: Sequence[Sequence[Text]], width: int) -> list[tuple[int, str]]:
    """Choose the columns that fit: all with their long heads, or with short ones as many as there is room for.

    Returns:
        The index and the head of each.
    """
    kept = list(range(len(COLUMNS)))
    heads = [column.head for column in COLUMNS]
    while True:
        widths = {
            index: max(len(line) for line in (*heads[index].split("\n"), *(row[index].plain for row in rows)))
            for index in kept
        }
        if sum(widths.values()) + 2 * len(kept) <= width or len(kept) <= 2:
            return [(index, heads[index]) for index in kept]
        if heads == [column.short for column in COLUMNS]:
            kept.remove(min(kept, key=lambda index: COLUMNS[index].importance))
        heads = [column.short for column in COLUMNS]
