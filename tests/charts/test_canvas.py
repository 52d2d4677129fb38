"""plotext puts a dot exactly where it is told to."""

import pytest

from vgtui.charts.canvas import draw

BITS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""Braille bits of a cell, from its lowest row of dots upwards (Unicode 15, block 2800)."""


@pytest.mark.parametrize("x", range(6))
@pytest.mark.parametrize("y", range(8))
def test_every_dot_lands_in_its_own_place(x: int, y: int) -> None:
    cells = draw([x], [y], columns=3, rows=2)
    expected = chr(0x2800 + BITS[y % 4][x % 2])
    assert cells[1 - y // 4][x // 2] == expected
    assert "".join(cells).replace(" ", "").replace("\u2800", "") == expected


def test_joined_points_leave_no_column_empty() -> None:
    cells = draw([0, 19], [0, 7], columns=10, rows=2, joined=True)
    assert all(top.strip(" \u2800") or bottom.strip(" \u2800") for top, bottom in zip(*cells, strict=True))


def test_no_points_are_an_empty_picture() -> None:
    assert draw([], [], columns=4, rows=2) == ["    ", "    "]
