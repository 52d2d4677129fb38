"""The history keeps the whole run in bounded memory and loses no spike."""

import numpy as np
import pytest

from tests.frames import make_frame
from vgtui.training.history import MOST_POINTS, STEP, History
from vgtui.training.quantities import GRADIENT, SIGNAL, UPDATE
from vgtui.training.settings import RunSettings

SETTINGS = RunSettings()


def test_a_spike_survives_any_number_of_merges() -> None:
    history = History(2)
    calm, spike = make_frame(SETTINGS, [1.0, 1.0]), make_frame(SETTINGS, [1e9, 1.0])
    for number in range(40_000):
        history.append(spike if number == 17 else calm)
    assert history.length <= MOST_POINTS
    assert history.greatest(GRADIENT)[0, 0] == pytest.approx(9)
    assert history.greatest(GRADIENT)[1:, 0].max() == 0
    assert history.frames_per_point == 64


def test_frames_of_a_point_are_merged_by_minimum_mean_and_maximum() -> None:
    history = History(2)
    for number in range(2 * MOST_POINTS):
        history.append(make_frame(SETTINGS, [10.0 if number % 2 else 0.1, 1.0], loss=float(number)))
    assert history.length == MOST_POINTS
    assert history.least(GRADIENT)[:, 0] == pytest.approx(-1)
    assert history.greatest(GRADIENT)[:, 0] == pytest.approx(1)
    assert history.scalars[5, 0] == pytest.approx(10.5)


def test_zero_and_nan_stay_what_they_are() -> None:
    history = History(2)
    history.append(make_frame(SETTINGS, [0.0, np.nan]))
    assert history.least(GRADIENT)[0, 0] == -np.inf
    assert np.isnan(history.greatest(GRADIENT)[0, 1])


def test_hidden_layers_keep_their_number_and_the_output_stays_the_output() -> None:
    history = History(4)
    for _ in range(3):
        history.append(make_frame(SETTINGS, [1e-3, 1e-2, 1e-1, 1e5]))
    history.mark(3)
    assert history.least(GRADIENT)[0].tolist() == pytest.approx([-3, -2, 5])
    history.mark(5)
    assert history.least(GRADIENT)[0, [0, 1, 2, 4]].tolist() == pytest.approx([-3, -2, -1, 5])
    unknown = history.least(GRADIENT)[0] > history.greatest(GRADIENT)[0]
    assert unknown.tolist() == [False, False, False, True, False]
    assert history.marks == [3]


def test_what_follows_a_mark_begins_a_point_of_its_own() -> None:
    history = History(2)
    for _ in range(MOST_POINTS + 1):
        history.append(make_frame(SETTINGS, [1.0, 1.0]))
    length = history.length
    assert history.frames_per_point == 2
    history.mark(2)
    history.append(make_frame(SETTINGS, [100.0, 1.0]))
    assert history.length == length + 1
    assert history.greatest(GRADIENT)[length - 1, 0] == 0


def test_a_mark_before_the_first_frame_only_sets_the_layers() -> None:
    history = History(3)
    history.mark(7)
    assert (history.layers, history.marks) == (7, [])


def test_an_unknown_value_is_an_empty_interval_that_a_known_one_fills() -> None:
    history = History(2)
    for number in range(MOST_POINTS + 2):
        frame = make_frame(SETTINGS, [1.0, 1.0])
        frame.layers.update_ratio.mask = number == 0
        history.append(frame)
        if number == 0:
            assert history.least(UPDATE)[0, 0] > history.greatest(UPDATE)[0, 0]
    assert history.least(UPDATE)[0, 0] == history.greatest(UPDATE)[0, 0] == pytest.approx(-3)


def test_every_quantity_and_the_step_are_kept() -> None:
    history = History(2)
    history.append(make_frame(SETTINGS, [1e-4, 1.0], step=30))
    assert history.least(SIGNAL)[0, 0] == pytest.approx(np.log10(0.25))
    assert history.scalars[0, STEP] == 30


@pytest.mark.parametrize(("layers", "points"), [(1, 1024), (256, 1024), (1000, 256), (10_000, 64)])
def test_many_layers_have_fewer_points_so_that_memory_stays_bounded(layers: int, points: int) -> None:
    assert History(layers).capacity == points


def test_a_run_that_grows_deep_keeps_its_whole_past_in_fewer_points() -> None:
    history = History(2)
    for number in range(700):
        history.append(make_frame(SETTINGS, [1e9 if number == 17 else 1.0, 1.0]))
    history.mark(2001)
    assert history.length <= history.capacity
    assert history.greatest(GRADIENT)[:, 0].max() == pytest.approx(9)
