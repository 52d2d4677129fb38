"""A histogram of a layer's activations, weights or gradients."""

from textwrap import wrap

from rich.segment import Segment
from textual.strip import Strip

from engine.inspection import Histogram
from vgtui.charts.histogram import draw_histogram
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.lines import Lines
from vgtui.terminal.text import count_text, first_that_fits, norm_text, share_text
from vgtui.user.themes import Palette


class HistogramChart(Lines):
    """The histogram, its limits, and the values outside it.

    Args:
        state: The run on the screen.
        palette: The colours.
        part: The field of the inspection: activations, weights or gradients.
        title: The title of the border.
    """

    def __init__(self, state: RunView, palette: Palette, part: str, title: str) -> None:
        super().__init__(state, palette)
        self.border_title = title
        self._part = part

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the histogram with its limits and facts, or say why there is none."""
        inspected = self.state.inspected
        muted, text = self.style(self.palette.muted), self.style(self.palette.text)
        if inspected is None or self.state.why_not_examined or height < 3:
            words = self.state.why_not_examined or "measuring …"
            return [Strip([Segment(f" {line}", muted)]) for line in wrap(words, max(1, width - 2))[:height]]
        histogram: Histogram = getattr(inspected.inspection, self._part)
        if not any(histogram.counts):
            return [Strip([Segment(" nothing finite here", self.style(self.palette.health["NaN"]))])]
        low, high = norm_text(histogram.low), norm_text(histogram.high)
        picture = draw_histogram(histogram.counts, width, height - 2)
        colour = self.style(self.palette.series.measured)
        return [
            *(Strip([Segment(row, colour)]) for row in picture),
            Strip([Segment(f"{low}{high:>{max(1, width - len(low))}}", muted)]),
            Strip([Segment(self._facts(histogram, width), text)]),
        ]

    def _facts(self, histogram: Histogram, width: int) -> str:
        """As many facts as fit; faults are left out last."""
        finite = sum(histogram.counts)
        facts = [f"{count_text(finite + histogram.non_finite)} values"]
        if histogram.zeros:
            facts.append(f"{share_text(histogram.zeros / finite)} exactly 0")
        if histogram.non_finite:
            facts.append(f"{count_text(histogram.non_finite)} NaN or ∞")
        return first_that_fits([", ".join(facts[number:]) for number in range(len(facts))], width)
