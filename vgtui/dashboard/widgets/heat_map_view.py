"""The heat map: all layers over the whole history, two bands to a line, coloured by log10."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from vgtui.charts.heat_map import HeatMap, bands_of, heat_map
from vgtui.charts.strip_chart import CURSOR, INFINITE, MARK, NAN, SIGN_WORDS, ZERO, points_per_dot
from vgtui.dashboard.widgets.lines import Lines
from vgtui.terminal.text import first_that_fits

HALVES = 2
"""Bands per line: the upper and the lower half of ▀."""
SHADES = " .:-=+*#%@"
"""From small to large, in place of colours, with one band per line."""
LABEL_EVERY = 3
"""Lines between two labels if not every line has one."""
BLANK, IS_ZERO, IS_NAN, IS_INFINITE, IS_MOMENT = -1, -2, -3, -4, -5
SIGNS = {IS_ZERO: ZERO, IS_NAN: NAN, IS_INFINITE: INFINITE}


class HeatMapView(Lines):
    """A heading, the map with the labels of layers, and the scale of colours."""

    @property
    def colourless(self) -> bool:
        """Whether characters replace colours, with one band per line."""
        return not self.state.look.blocks

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the heading, the map and the scale; nothing if there is no room or no frame."""
        columns, lines = width - self.state.label_width - 1, height - 2
        if columns < 1 or lines < 1 or not self.state.frame:
            return []
        picture = heat_map(self.state.history, self.state.look.quantity, columns, lines * self._per_line)
        height_of_band = self._height_of_band(len(picture.layers), lines)
        cells = np.repeat(self._cells(picture), height_of_band, axis=0)
        if (moment := self.state.moment) is not None:
            cells[:, moment // points_per_dot(self.state.history.length, columns)] = IS_MOMENT
        if len(cells) % self._per_line:
            cells = np.vstack([cells, np.full((1, columns), BLANK)])
        rows = cells.reshape(-1, self._per_line, columns)
        labels = self._labels(picture, height_of_band, len(rows))
        body = [
            Strip([self._label(labels, y), *self._line(row[0], row[-1], picture.marks)]) for y, row in enumerate(rows)
        ]
        signs = {sign for cell, sign in SIGNS.items() if (cells == cell).any()}
        return [self._heading(picture, width), *body, *[Strip([])] * (lines - len(body)), self._scale(signs, width)]

    def layer_at(self, line: int) -> int | None:
        """The layer on a line of the widget; if several share it, the lowest."""
        lines = self.size.height - 2
        if not 1 <= line <= lines:
            return None
        bands = bands_of(self.state.layers, lines * self._per_line)
        band = (line * self._per_line - 1) // self._height_of_band(len(bands), lines)
        return bands[band].start if band < len(bands) else None

    @property
    def _per_line(self) -> int:
        return 1 if self.colourless else HALVES

    def _height_of_band(self, bands: int, lines: int) -> int:
        """The height of a band in half lines: a network of few layers fills the room."""
        return max(1, lines * self._per_line // bands)

    def _cells(self, picture: HeatMap) -> NDArray[np.intp]:
        """The number of a colour for each cell, or a negative constant such as BLANK or IS_ZERO."""
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
        if above == IS_MOMENT:
            return CURSOR, self.style(self.palette.accent)
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

    def _labels(self, picture: HeatMap, height_of_band: int, lines: int) -> dict[int, int]:
        """The layer whose label stands on each line: the first line of every layer, or of evenly spaced ones."""
        tops: dict[int, range] = {}
        for band, layers in enumerate(picture.layers):
            tops.setdefault(band * height_of_band // self._per_line, layers)
        every = 1 if len(tops) == len(picture.layers) == self.state.layers else LABEL_EVERY
        labels = {line: layers[-1] for line, layers in tops.items() if line % every == 0}
        labels[max(tops)] = 0
        chosen = next(line for line, layers in reversed(tops.items()) if layers[-1] >= self.state.selected)
        labels[chosen] = self.state.selected
        return labels

    def _label(self, labels: dict[int, int], line: int) -> Segment:
        layer = labels.get(line)
        chosen = layer == self.state.selected
        name = "" if layer is None else self.state.label(layer)
        return Segment(
            f"{'▸' if chosen else ' '}{name:>{self.state.label_width - 1}} ",
            self.style(self.palette.accent if chosen else self.palette.muted),
        )

    def _heading(self, picture: HeatMap, width: int) -> Strip:
        sizes = {len(layers) for layers in picture.layers}
        least, most = min(sizes), max(sizes)
        words = "layer  since the start →"
        if most > 1:
            count = f"{most}" if least == most else f"{least}–{most}"
            shared = f"{count} layers a {'line' if self.colourless else 'half line'}"
            forms = [f"{words}   {shared}: the least", f"layer  {shared}: the least", f"layer  {shared}"]
        else:
            forms = [words, "layer  time →"]
        return Strip([Segment(first_that_fits([*forms, "layer"], width), self.style(self.palette.muted))])

    def _scale(self, signs: set[str], width: int) -> Strip:
        """The meaning of the colours and of the signs on the map; of all signs if there is room."""
        quantity, muted = self.state.look.quantity, self.style(self.palette.muted)
        colours = self.palette.levels
        ends = f"1e{quantity.floor} ", f" 1e{quantity.ceiling}"
        of_map = [sign for sign in SIGN_WORDS if sign in signs]
        in_words = [f"{sign} {SIGN_WORDS[sign]}" for sign in of_map]
        all_signs = [f"{sign} {words}" for sign, words in SIGN_WORDS.items()]
        room = width - sum(map(len, ends)) - len(colours) - 1
        if room < 0:
            return Strip([])
        words = first_that_fits([f"   {'  '.join(entries)}" for entries in (all_signs, in_words, of_map)], room)
        room -= len(words)
        first = first_that_fits((f" {quantity.symbol} ", " "), room + 1)
        wide = 1 if self.colourless or room + 1 - len(first) < len(colours) else 2
        blocks = [
            Segment(self._shade(number) if self.colourless else "█" * wide, self.style(colour))
            for number, colour in enumerate(colours)
        ]
        return Strip([Segment(f"{first}{ends[0]}", muted), *blocks, Segment(f"{ends[1]}{words}", muted)])
