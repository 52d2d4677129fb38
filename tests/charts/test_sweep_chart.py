"""The chart of a sweep, in characters."""

import math

from tests.frames import make_layers
from tests.sweeps.rows import row_of, small_sweep
from vgtui.charts.sweep_chart import shown_layers, sweep_chart
from vgtui.sweeps.grid import Point
from vgtui.sweeps.table import METRICS, make_table
from vgtui.wire.frames import Number


def lines(sweep_words: list[str], values: dict[int, float], metric: str = "loss", columns: int = 60) -> list[str]:
    """The chart of a sweep whose runs have these numbers, by point; the others are not computed."""
    sweep = small_sweep(*sweep_words)
    field = "gradient_ratio_end" if metric == "gradient_ratio_end" else "loss"
    points: list[Point] = [point for point in sweep.points() if point.number in values]
    rows = [row_of(point, **{field: Number(values[point.number])}) for point in points]
    table = make_table(sweep, rows, METRICS[metric])
    assert table
    return ["".join(cell.character for cell in row).rstrip() for row in sweep_chart(table, columns)]


def test_a_heat_map_has_the_first_option_across_and_numbers_upward() -> None:
    chart = lines(["width=2,4", "hidden_layers=10,20"], {0: 0.0, 1: 0.5, 2: 1.0, 3: 0.75})
    assert chart[:7] == [
        "loss: width →  and hidden_layers ↑",
        "",
        "20 │▒▒▒▒▒▒▓▓▓▓▓▓",
        "10 │······██████",
        "   └┬─────┬─────",
        "    2     4",
        "",
    ]
    assert chart[7].split() == ["··", "0", "░░", "0.25", "▒▒", "0.5", "▓▓", "0.75", "██", "1"]


def test_names_are_read_downward() -> None:
    chart = lines(["width=2,4", "activation=relu,tanh"], dict.fromkeys(range(4), 1.0))
    assert chart[2].startswith("relu") and chart[3].startswith("tanh")


def test_zero_infinity_nan_and_what_is_not_there_have_signs_that_are_explained() -> None:
    values = {0: 0.0, 1: math.inf, 2: math.nan, 3: 1e-3, 4: 1.0}
    chart = lines(["width=2,4,8", "hidden_layers=10,20"], values, "gradient_ratio_end")
    assert chart[0].startswith("log10 of ‖∂E/∂W‖")
    assert chart[2:4] == ["20 │∞∞∞∞∞∞······", "10 │000000!!!!!!██████"]
    assert chart[-1] == "0 an exact 0, ! not a number, ∞ infinite, blank: not computed"


def test_a_line_has_its_values_on_both_axes() -> None:
    chart = lines(["width=2,4,8"], {0: 1.0, 1: 3.0, 2: 2.0})
    assert chart[2].lstrip().startswith("3 ┤")
    assert chart[-3].lstrip().startswith("1 ┤")
    assert chart[-1].split() == ["2", "4", "8"]
    assert any(0x2800 < ord(character) < 0x2900 for line in chart for character in line)


def test_many_values_fit_the_width_with_fewer_labels() -> None:
    chart = lines(["lr=0.1:4:40", "hidden_layers=10,20"], dict.fromkeys(range(80), 1.0), columns=60)
    assert max(map(len, chart[:6])) <= 60
    assert 2 < len(chart[5].split()) < 40


def test_no_number_at_all_is_said() -> None:
    assert "(there is no number to show)" in lines(["width=2,4"], {})
    assert "(there is no number to show)" in lines(["width=2,4", "hidden_layers=1,2"], {})


def test_a_number_of_every_layer_is_a_line_each_with_the_layers_below() -> None:
    sweep = small_sweep("width=2,4,8")
    rows = [row_of(point, layers=make_layers([1e-3, 1e-2, 1.0])) for point in sweep.points()]
    table = make_table(sweep, rows, METRICS["grad_norm"])
    assert table
    chart = ["".join(cell.character for cell in row).rstrip() for row in sweep_chart(table, 60)]
    assert chart[0] == "log10 of Gradient norm ‖∂E/∂W‖ by layer: width →"
    assert chart[-1] == "A layer 1   B layer 2   C output"
    assert [next(line for line in chart[1:] if sign in line) for sign in "ABC"] == [chart[15], chart[11], chart[2]]


def test_of_many_layers_the_ends_and_some_between_them_have_a_line() -> None:
    assert shown_layers(1) == [0]
    assert shown_layers(6) == [0, 1, 2, 3, 4, 5]
    assert shown_layers(101) == [0, 20, 40, 60, 80, 100]
