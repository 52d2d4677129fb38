"""The heat map: every layer and the whole run in the room that there is, and no least value lost."""

import math

import numpy as np
import pytest

from tests.frames import make_frame
from vgtui.charts.heat_map import bands_of, heat_map
from vgtui.model.history import History
from vgtui.model.quantities import GRADIENT
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings()


def history_of(*frames: list[float]) -> History:
    history = History(len(frames[0]))
    for norms in frames:
        history.append(make_frame(SETTINGS, norms))
    return history


def test_the_output_is_on_top_and_time_runs_to_the_right() -> None:
    picture = heat_map(history_of([1e-4, 1e-2, 1.0], [1e-5, 1e-3, 10.0]), GRADIENT, 5, 8)
    assert picture.levels[:, 0] == pytest.approx([0, -2, -4])
    assert picture.levels[:, 1] == pytest.approx([1, -3, -5])
    assert picture.known.tolist() == [[True, True, False, False, False]] * 3
    assert [list(layers) for layers in picture.layers] == [[2], [1], [0]]


def test_neighbours_share_a_cell_by_their_least() -> None:
    norms = [1.0] * 1000
    norms[123] = 1e-9
    picture = heat_map(history_of(norms), GRADIENT, 5, 60)
    (band,) = np.flatnonzero(picture.levels[:, 0] < -8)
    assert 123 in picture.layers[int(band)]
    assert len(picture.layers) == 60


@pytest.mark.parametrize(("layers", "most"), [(1, 10), (7, 7), (21, 10), (1001, 68), (60, 60), (5, 1)])
def test_the_bands_hold_every_layer_once_and_are_as_even_as_can_be(layers: int, most: int) -> None:
    bands = bands_of(layers, most)
    assert [layer for band in reversed(bands) for layer in band] == list(range(layers))
    assert len(bands) == min(layers, most)
    assert max(map(len, bands)) - min(map(len, bands)) <= 1


def test_a_short_dip_survives_the_merging_of_time() -> None:
    frames = [[1e-7 if number == 333 else 1.0, 1.0] for number in range(700)]
    picture = heat_map(history_of(*frames), GRADIENT, 20, 10)
    assert np.nanmin(picture.levels[1]) == pytest.approx(-7)
    assert picture.levels[0][picture.known[0]].min() == 0


@pytest.mark.parametrize(("value", "level"), [(0.0, -math.inf), (math.nan, math.nan), (math.inf, math.inf)])
def test_what_has_no_logarithm_is_kept_apart_from_what_is_unknown(value: float, level: float) -> None:
    picture = heat_map(history_of([value, 1.0]), GRADIENT, 2, 10)
    assert np.array_equal(picture.levels[1, 0], level, equal_nan=True)
    assert picture.known[1].tolist() == [True, False]


def test_a_layer_that_is_new_has_no_past_and_the_change_is_marked() -> None:
    history = history_of([1.0, 1.0], [1.0, 1.0])
    history.mark(3)
    history.append(make_frame(SETTINGS, [1.0, 1.0, 1.0]))
    picture = heat_map(history, GRADIENT, 10, 10)
    assert picture.known[1].tolist()[:4] == [False, False, True, False]
    assert picture.marks == {2}


def test_before_the_first_frame_nothing_is_known() -> None:
    assert not heat_map(History(3), GRADIENT, 4, 4).known.any()
