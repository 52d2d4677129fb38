"""The sparklines: drawn a column at a time, they look as if drawn whole."""

import math

import numpy as np
import pytest

from tests.frames import make_frame
from vgtui.charts.strip_chart import DECADES_PER_CELL, INFINITE, MARK, NAN, ZERO, StripChart
from vgtui.model.history import History
from vgtui.model.quantities import GRADIENT
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings()


def history_of(*frames: list[float]) -> History:
    history = History(len(frames[0]))
    for norms in frames:
        history.append(make_frame(SETTINGS, norms))
    return history


def rows_of(history: History, columns: int = 20, height: int = 1) -> list[str]:
    chart = StripChart()
    chart.update(history, GRADIENT, slice(0, history.layers), columns, height)
    return ["".join(row) for row in chart.cells]


@pytest.mark.parametrize("height", [1, 2, 3])
def test_drawing_column_by_column_equals_drawing_whole(height: int) -> None:
    # the first two frames hold the extremes, so that scale and centres are the same from then on
    extremes = [[1e-3, 1e-8, 1e2], [1e-1, 1e-6, 1e4]]
    rng = np.random.default_rng(0)
    walk = [[float(10 ** rng.uniform(low, low + 2)) for low in (-3, -8, 2)] for _ in range(148)]
    history, growing = History(3), StripChart()
    for number, norms in enumerate([*extremes, *walk]):
        history.append(make_frame(SETTINGS, norms))
        if number == 60:
            history.mark(3)
        growing.update(history, GRADIENT, slice(0, 3), 20, height)
    whole = StripChart()
    whole.update(history, GRADIENT, slice(0, 3), 20, height)
    assert growing.decades_per_cell == whole.decades_per_cell
    assert growing.cells == whole.cells
    assert np.array_equal(growing.levels, whole.levels, equal_nan=True)


def test_the_newest_layer_row_is_on_top_and_time_runs_to_the_right() -> None:
    rows = rows_of(history_of(*([[1.0, 0.0]] * 8)))
    assert rows[0].startswith(ZERO * 4)
    assert ZERO not in rows[1]
    assert rows[1][4:].strip(" \u2800") == ""


def test_all_rows_have_the_smallest_scale_that_holds_them() -> None:
    chart = StripChart()
    for span, expected in ((0.3, 0.5), (0.8, 1.0), (4.0, 5.0), (15.0, 20.0), (200.0, 20.0)):
        chart = StripChart()
        chart.update(history_of([1.0, 1.0], [1.0, 10.0**-span]), GRADIENT, slice(0, 2), 20, 1)
        assert chart.decades_per_cell == expected
        assert chart.decades_per_cell in DECADES_PER_CELL


def test_rising_and_falling_are_seen_on_each_layers_own_centre() -> None:
    rising = [[10.0 ** (-20 + step / 10), 10.0 ** (step / 10)] for step in range(8)]
    rows = rows_of(history_of(*rising))
    assert rows[0] == rows[1]
    assert rows[0][0] != rows[0][3]


@pytest.mark.parametrize(("value", "sign"), [(0.0, ZERO), (math.nan, NAN), (math.inf, INFINITE)])
def test_what_has_no_logarithm_has_a_sign_of_its_own(value: float, sign: str) -> None:
    rows = rows_of(history_of(*([norm, 1.0] for norm in (1.0, 1.0, value, value, 1.0, 1.0))))
    assert rows[1][1] == sign
    assert sign not in rows[1][0] + rows[1][2] + rows[0]


def test_a_change_is_marked_where_it_happened() -> None:
    history = history_of(*([[1.0, 1.0]] * 6))
    history.mark(2)
    history.append(make_frame(SETTINGS, [1.0, 1.0]))
    rows = rows_of(history)
    assert [row.index(MARK) for row in rows] == [3, 3]


def test_a_layer_that_is_new_has_an_empty_past() -> None:
    history = history_of(*([[1.0, 1.0]] * 6))
    history.mark(3)
    history.append(make_frame(SETTINGS, [1.0, 1.0, 1.0]))
    out, second, first = rows_of(history)
    assert out[:3].strip(" \u2800")
    assert first[:3].strip(" \u2800")
    assert not second[:3].strip(" \u2800")


def test_a_spike_between_two_frames_is_drawn() -> None:
    calm, spiked = rows_of(history_of(*([[1.0, 1.0]] * 4)), height=3), history_of(*([[1.0, 1.0]] * 3))
    frame = make_frame(SETTINGS, [1.0, 1.0])
    frame.layers.grad_norm_max[0] = 1e6
    spiked.append(frame)
    assert rows_of(spiked, height=3) != calm


def test_only_what_is_visible_of_many_layers_is_drawn() -> None:
    history = history_of(*([[float(10.0**-layer) for layer in range(50)]] * 4))
    chart = StripChart()
    chart.update(history, GRADIENT, slice(10, 20), 20, 1)
    assert len(chart.cells) == 10
    assert chart.levels[0, 0] == pytest.approx(-10)


def test_an_unchanged_picture_reports_nothing_to_repaint() -> None:
    history = history_of(*([[1.0, 0.5]] * 3))
    chart = StripChart()
    assert chart.update(history, GRADIENT, slice(0, 2), 20, 1) is None
    assert chart.update(history, GRADIENT, slice(0, 2), 20, 1) == {}
    history.append(make_frame(SETTINGS, [1.0, 0.5]))
    assert chart.update(history, GRADIENT, slice(0, 2), 20, 1) == {0: (1, 1), 1: (1, 1)}
