"""The processes of a distributed training, a line each; of more than fit, the odd one and the range of the others."""

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from rich.segment import Segment
from textual.strip import Strip

from vgtui.dashboard.widgets.lines import Lines
from vgtui.model.ranks import odd_rank
from vgtui.terminal.text import short_number
from vgtui.wire.frames import RankInfo

COLUMNS = (
    ("loss", "loss", 1.0),
    ("gradient", "norm", 1.0),
    ("step ms", "seconds", 1e3),
    ("own ms", "own_seconds", 1e3),
)
"""The title of each column, its field and its unit."""
COLUMN_WIDTH = 9
LABEL_WIDTH = 9


class RanksPanel(Lines):
    """A line for each process."""

    BORDER_TITLE = "Ranks"

    @property
    def ranks(self) -> Sequence[RankInfo]:
        """What the frame on the screen says of each process; nothing of a training in one."""
        frame = self.state.frame
        return () if frame is None or frame.ranks is msgspec.UNSET else frame.ranks

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the titles, and as many lines as fit."""
        if not self.ranks:
            return []
        odd = odd_rank(self.ranks)
        lines = [self._line("", [title for title, _, _ in COLUMNS], self.palette.muted)]
        for rank in self._shown(height - 1, odd):
            colour = self.palette.health["vanished"] if _is_named(rank, odd) else self.palette.text
            lines.append(self._line(f"rank {rank.rank}", _numbers(rank), colour))
        if len(self.ranks) > height - 1:
            lines += [self._line("least", self._extremes(np.nanmin), self.palette.muted)]
            lines += [self._line("greatest", self._extremes(np.nanmax), self.palette.muted)]
        return [line.crop(0, width) for line in lines[:height]]

    def _shown(self, room: int, odd: str) -> Sequence[RankInfo]:
        """All of them, or as many as fit with the range of all, the odd one first."""
        if len(self.ranks) <= room:
            return self.ranks
        return sorted(self.ranks, key=lambda rank: not _is_named(rank, odd))[: max(0, room - 2)]

    def _extremes(self, choose: Callable[[list[float]], float]) -> list[str]:
        found = []
        for _, field, unit in COLUMNS:
            known = [float(value) for rank in self.ranks if (value := getattr(rank, field)) is not None]
            found.append(short_number(unit * choose(known) if any(map(math.isfinite, known)) else None))
        return found

    def _line(self, label: str, entries: list[str], colour: str) -> Strip:
        text = f"{label:<{LABEL_WIDTH}}" + "".join(f"{entry:>{COLUMN_WIDTH}}" for entry in entries)
        return Strip([Segment(text, self.style(colour))])


def _is_named(rank: RankInfo, odd: str) -> bool:
    return odd.replace("'", " ").startswith(f"rank {rank.rank} ")


def _numbers(rank: RankInfo) -> list[str]:
    values = [(getattr(rank, field), unit) for _, field, unit in COLUMNS]
    return [short_number(None if value is None else unit * float(value)) for value, unit in values]
