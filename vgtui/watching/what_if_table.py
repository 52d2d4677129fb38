"""What came of changes that were tried on copies of a model: a table, as data and as text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from vgtui.terminal.text import plain, short_number
from vgtui.watching.cures import ModelCure, ModelVerdict

DIVERGED = 10.0
"""A loss that has grown to so many times its first value has diverged."""
NOT_POSSIBLE = "not possible"


@dataclass(frozen=True, slots=True)
class WhatIfRow:
    """A change, and what came of it.

    Attributes:
        change: The change in words.
        cure: The change itself, with `cure.apply` to make it on your model; None for the model as it is.
        is_advised: Whether the verdict advises it, or the caller.
        steps: The updates that were made; fewer than were asked for where the loss ceased to be finite.
        loss_before: The loss of the first batch, before any update; None if it is unknown.
        loss_after: The loss at last, the mean over the last tenth of the steps. NaN and infinity are what they are.
        ratio_before: The norm of the first layer's gradient over that of the last one, at the first step; None if it is
            unknown, as where a layer has no gradient.
        ratio_after: The same over the last tenth of the steps.
        problem: Why the change could not be tried; empty if it could.
    """

    change: str
    cure: ModelCure | None = None
    is_advised: bool = False
    steps: int = 0
    loss_before: float | None = None
    loss_after: float | None = None
    ratio_before: float | None = None
    ratio_after: float | None = None
    problem: str = ""

    @property
    def has_diverged(self) -> bool:
        """Whether the loss ceased to be finite, or is far above where it began."""
        if self.loss_after is None or self.loss_before is None:
            return False
        return not math.isfinite(self.loss_after) or self.loss_after > DIVERGED * abs(self.loss_before)

    @property
    def remark(self) -> str:
        """What numbers do not say, in a few words; empty if there is nothing."""
        if self.problem:
            return NOT_POSSIBLE
        if self.loss_after is not None and not math.isfinite(self.loss_after):
            return f"{'NaN' if math.isnan(self.loss_after) else 'infinite'} at step {self.steps}"
        return "diverged" if self.has_diverged else ""

    @property
    def order(self) -> tuple[bool, bool, float]:
        """The key by which rows are sorted: the best loss first, then those that are not finite, then the untried."""
        loss = math.nan if self.loss_after is None else self.loss_after
        return self.loss_after is None, not math.isfinite(loss), loss if math.isfinite(loss) else 0.0


@dataclass(frozen=True)
class WhatIfTable(Sequence[WhatIfRow]):
    """The rows of a what-if, the best loss first. It is a sequence of them, and `print` shows it.

    Attributes:
        rows: All rows.
        verdict: The verdict on the model as it is; None if there is none.
        steps: The steps that each was to be trained.
        batches: The number of different batches that were used.
        by_hand: The advised cures that only a person can make, in words.
        is_by_verdict: Whether the verdict has advised the cures, and not the caller.
    """

    rows: tuple[WhatIfRow, ...]
    verdict: ModelVerdict | None = None
    steps: int = 0
    batches: int = 0
    by_hand: tuple[str, ...] = ()
    is_by_verdict: bool = True

    @overload
    def __getitem__(self, index: int) -> WhatIfRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[WhatIfRow, ...]: ...
    def __getitem__(self, index: int | slice) -> WhatIfRow | tuple[WhatIfRow, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[WhatIfRow]:
        return iter(self.rows)

    @property
    def as_it_is(self) -> WhatIfRow:
        """The row of the model without a change."""
        return next(row for row in self.rows if row.cure is None)

    def __str__(self) -> str:
        from io import StringIO

        text = StringIO()
        self.show(text)
        return text.getvalue().rstrip("\n")

    def show(self, file: object = None) -> None:
        """Print the table.

        Args:
            file: Where to; standard output if it is None.
        """
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=file)  # type: ignore[arg-type]
        table = Table(box=None, pad_edge=False, header_style="bold")
        marked = any(row.is_advised for row in self.rows)
        for name in ["", "change"] if marked else ["change"]:
            table.add_column(name)
        for name in ("loss\nat first", f"after\n{self.steps} steps", "gradient\nfirst/last", "after"):
            table.add_column(name, justify="right", no_wrap=True)
        if any(row.remark for row in self.rows):
            table.add_column("", no_wrap=True)
        for row in self.rows:
            numbers = (row.loss_before, row.loss_after, row.ratio_before, row.ratio_after)
            mark = ("*" if row.is_advised else "",) if marked else ()
            cells = (*mark, row.change, *map(short_number, numbers), row.remark)
            style = "bold" if row.cure is None else ""
            table.add_row(*(Text(plain(cell), style) for cell in cells[: len(table.columns)]))
        if self.verdict:
            console.print(Text(plain(self.verdict.message)))
        console.print(table)
        for text in self._notes():
            console.print(Text(plain(text)))

    def _notes(self) -> Iterator[str]:
        if any(row.is_advised for row in self.rows):
            yield "* what the verdict advises" if self.is_by_verdict else "* what was asked for"
        if 0 < self.batches < self.steps:
            yield f"trained on {self.batches} batch{'es' if self.batches > 1 else ''} again and again"
        for row in self.rows:
            if row.problem:
                yield f"{NOT_POSSIBLE}, {row.change}: {row.problem}"
        for text in self.by_hand:
            yield f"by hand: {text}"
