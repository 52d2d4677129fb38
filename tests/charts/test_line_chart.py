"""Lines in their own colours, and the ticks of a log axis."""

import math

from vgtui.charts.line_chart import Line, decade_ticks, draw_lines


def test_a_later_line_lies_over_an_earlier_one() -> None:
    over, under = Line("red", [0, 1], [0, 0]), Line("blue", [0, 1], [0, 0])
    picture = draw_lines([under, over], (0, 1), (0, 1), 8, 2)
    assert {cell.style for cell in picture[1]} == {"red"}
    assert {cell.style for cell in picture[0]} == {""}


def test_points_that_are_not_finite_are_gaps() -> None:
    picture = draw_lines([Line("red", [0, 1, 2], [math.nan, 0.5, math.inf], joined=False)], (0, 2), (0, 1), 9, 1)
    assert [column for column, cell in enumerate(picture[0]) if cell.style] == [4]


def test_the_ends_of_the_span_are_the_outermost_dots() -> None:
    picture = draw_lines([Line("red", [0, 1], [0, 1], joined=False)], (0, 1), (0, 1), 5, 3)
    assert picture[2][0].character == "⡀"
    assert picture[0][4].character == "⠈"


def test_ticks_are_whole_powers_and_never_too_many() -> None:
    assert decade_ticks(-13.2, 0.3, 5) == [0, -5, -10]
    assert decade_ticks(-2, 0, 5) == [0, -1, -2]
    for low in range(-300, 0, 7):
        ticks = decade_ticks(low, 2, 5)
        assert 1 <= len(ticks) <= 5
        assert ticks[0] == 2
