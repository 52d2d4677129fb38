"""The heat map: every layer over the whole run, two layers to a line, colour by log10."""

import math
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from vgtui.charts.heat_map import HeatMap, heat_map
from vgtui.charts.strip_chart import INFINITE, MARK, NAN, ZERO
from vgtui.dashboard.text import layer_name
from vgtui.dashboard.widgets.layer_rows import LABEL
from vgtui.dashboard.widgets.lines import Lines

HALVES = 2
"""Bands in a line: the upper and the lower half of ▀."""
SHADES = " .:-=+*#%@"
"""Small to large, where there are no colours; one band a line."""
LABEL_EVERY = 3
"""Lines between two labels where not every line has one."""
BLANK, IS_ZERO, IS_NAN, IS_INFINITE = -1, -2, -3, -4
SIGNS = {IS_ZERO: ZERO, IS_NAN: NAN, IS_INFINITE: INFINITE}


class HeatMapView(Lines):
    """A heading, the map with the layers' numbers beside it, and the scale of its colours."""

    @property
    def colourless(self) -> bool:
        """Whether shades of characters stand for the colours, one band a line."""
        return not self.state.blocks

    def draw(self, width: int, height: int) -> list[Strip]:
        columns, lines = width - LABEL - 1, height - 2
        if columns < 1 or lines < 1 or not self.state.frame:
            return []
        bands_per_line = 1 if self.colourless else HALVES
        picture = heat_map(self.state.history, self.state.look.quantity, columns, lines * bands_per_line)
        # a network of few layers fills the room: each is several bands high
        height_of_band = max(1, lines * bands_per_line // len(picture.levels))
        cells = np.repeat(self._cells(picture), height_of_band, axis=0)
        if len(cells) % bands_per_line:
            cells = np.vstack([cells, np.full((1, columns), BLANK)])
        rows = cells.reshape(-1, bands_per_line, columns)
        lines_of_band = height_of_band / bands_per_line
        labels = self._labels(picture, lines_of_band, len(rows))
        body = [
            Strip([self._label(labels, y), *self._line(row[0], row[-1], picture.marks)]) for y, row in enumerate(rows)
        ]
        return [self._heading(picture, width), *body, *[Strip([])] * (lines - len(body)), self._scale(width)]

    def layer_at(self, line: int) -> int | None:
        """The layer on a line of the widget; where several share it, the one nearest to the input."""
        lines = self.size.height - 2
        bands_per_line = 1 if self.colourless else HALVES
        most_bands = max(1, lines * bands_per_line)
        layers = self.state.layers
        layers_per_band = math.ceil(layers / most_bands)
        bands = math.ceil(layers / layers_per_band)
        band = (line - 1) * bands_per_line // max(1, most_bands // bands)
        return (bands - 1 - band) * layers_per_band if 0 <= line - 1 < lines and band < bands else None

    def _cells(self, picture: HeatMap) -> NDArray[np.intp]:
        """The number of a colour for every cell, or what it is instead of one."""
        quantity, colours = self.state.look.quantity, len(self.palette.levels)
        levels = picture.levels
        shares = (np.where(np.isfinite(levels), levels, 0) - quantity.floor) / (quantity.ceiling - quantity.floor)
        cells = np.rint(np.clip(shares, 0, 1) * (colours - 1)).astype(np.intp)
        cells[np.isneginf(levels)] = IS_ZERO
        cells[np.isposinf(levels)] = IS_INFINITE
        cells[np.isnan(levels)] = IS_NAN
        cells[~picture.known] = BLANK
        return cells

    def _line(self, upper: NDArray[np.intp], lower: NDArray[np.intp], marks: frozenset[int]) -> list[Segment]:
        pairs = zip(upper.tolist(), lower.tolist(), range(len(upper)), strict=True)
        parts = []
        for (above, below, marked), group in groupby(pairs, key=lambda cell: (cell[0], cell[1], cell[2] in marks)):
            character, style = self._cell(above, below, marked)
            parts.append(Segment(character * len(list(group)), style))
        return parts

    def _cell(self, above: int, below: int, marked: bool) -> tuple[str, Style]:
        for cell, other in ((above, below), (below, above)):
            if cell in SIGNS:
                ground = self.palette.background
                colour = self.palette.health["zero" if cell == IS_ZERO else "NaN"]
                return SIGNS[cell], Style(color=colour, bgcolor=ground if other < 0 else None) + self.style(colour)
        if marked:
            return MARK, self.style(self.palette.muted)
        if above == below == BLANK:
            return " ", self.style(self.palette.text)
        if self.colourless:
            return self._shade(above), self.style(self._colour(above))
        return "▀", Style(color=self._colour(above), bgcolor=self._colour(below))

    def _shade(self, cell: int) -> str:
        most = len(self.palette.levels) - 1
        return SHADES[1 + round(cell / most * (len(SHADES) - 2))]

    def _colour(self, cell: int) -> str:
        return self.palette.levels[cell] if cell >= 0 else self.palette.background

    def _labels(self, picture: HeatMap, lines_of_band: float, lines: int) -> dict[int, int]:
        """Lines with the layer whose number stands there: each layer's first line, or some of them, evenly."""
        layers, per_band = self.state.layers, picture.layers_per_band
        every = 1 if lines_of_band >= 1 and per_band == 1 else LABEL_EVERY
        labels: dict[int, int] = {}
        for layer in range(layers - 1, -1, -1):
            line = int(picture.band_of(layer) * lines_of_band)
            if line < lines and line % every == 0:
                labels.setdefault(line, layer)
        labels[min(lines - 1, int((len(picture.levels) - 1) * lines_of_band))] = 0
        labels[int(picture.band_of(self.state.selected) * lines_of_band)] = self.state.selected
        return labels

    def _label(self, labels: dict[int, int], line: int) -> Segment:
        layer = labels.get(line)
        chosen = layer == self.state.selected
        name = "" if layer is None else layer_name(layer, self.state.layers)
        return Segment(
            f"{'▸' if chosen else ' '}{name:>{LABEL - 1}} ",
            self.style(self.palette.accent if chosen else self.palette.muted),
        )

    def _heading(self, picture: HeatMap, width: int) -> Strip:
        shared = picture.layers_per_band
        words = "layer  since the start →"
        if shared > 1:
            bands = "" if self.colourless else "half "
            words += f"   a {bands}line is {shared} layers: the least of them"
        return Strip([Segment(f"{words:<{width}}"[:width], self.style(self.palette.muted))])

    def _scale(self, width: int) -> Strip:
        """What the colours mean."""
        quantity, muted = self.state.look.quantity, self.style(self.palette.muted)
        colours = self.palette.levels
        blocks = [
            Segment(self._shade(number) if self.colourless else "██", self.style(colour))
            for number, colour in enumerate(colours)
        ]
        ends = Segment(f"{quantity.symbol} 1e{quantity.floor} ", muted), Segment(f" 1e{quantity.ceiling}", muted)
        signs = Segment(f"   {ZERO} exact 0  {NAN} NaN  {INFINITE} ∞", muted)
        return Strip([Segment(" ", muted), ends[0], *blocks, ends[1], signs]).crop(0, width)
