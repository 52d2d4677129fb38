"""A histogram as a filled outline of dots."""

from collections.abc import Sequence

import numpy as np

from vgtui.charts.canvas import DOTS_ACROSS, DOTS_DOWN, draw


def draw_histogram(counts: Sequence[int], columns: int, rows: int) -> list[str]:
    """The counts as `rows` strings of `columns` characters; the largest reaches the top, only 0 is invisible."""
    bins = np.minimum(np.arange(columns * DOTS_ACROSS) * len(counts) // (columns * DOTS_ACROSS), len(counts) - 1)
    heights = np.asarray(counts, dtype=np.float64)[bins]
    seen = heights > 0
    largest = heights.max(initial=1.0)
    dots = np.maximum(heights / largest * DOTS_DOWN * rows - 1, 0)
    return draw(np.flatnonzero(seen).tolist(), dots[seen].tolist(), columns, rows, filled=True)
