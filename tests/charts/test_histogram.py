"""A histogram's picture: bars from the bottom, the largest to the top."""

from vgtui.charts.histogram import draw_histogram


def test_the_largest_reaches_the_top_and_nothing_stands_where_nothing_was_counted() -> None:
    rows = draw_histogram([0, 1, 8, 0], columns=4, rows=2)
    assert [row[2] for row in rows] == ["⣿", "⣿"]
    assert [row[0].strip("\u2800 ") for row in rows] == ["", ""]
    assert rows[0][1].strip("\u2800 ") == ""
    assert rows[1][1] == "⣀"


def test_more_bins_than_dots_and_fewer_fill_the_width() -> None:
    for count in (1, 3, 48, 500):
        rows = draw_histogram([5] * count, columns=10, rows=1)
        assert rows == ["⣿" * 10]


def test_no_counts_are_an_empty_picture() -> None:
    assert "".join(draw_histogram([0, 0], columns=3, rows=2)).strip("\u2800 ") == ""
