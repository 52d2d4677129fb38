"""The history keeps the whole run in bounded memory and loses no spike."""

import numpy as np
import pytest

from tests.frames import make_frame
from vgtui.training.history import POINTS, History
from vgtui.training.settings import RunSettings

SETTINGS = RunSettings()


def test_a_spike_survives_any_number_of_merges() -> None:
    history = History(2)
    for number in range(40_000):
        history.append(make_frame(SETTINGS, [1e9 if number == 17 else 1.0, 1.0]))
    assert history.length <= POINTS
    assert history.low.shape == history.high.shape == (POINTS, 2)
    assert history.high[0, 0] == pytest.approx(9)
    assert history.high[1 : history.length, 0].max() == 0
    assert history.frames_per_point == 64


def test_frames_of_a_point_are_merged_by_minimum_mean_and_maximum() -> None:
    history = History(2)
    for number in range(2 * POINTS):
        history.append(make_frame(SETTINGS, [10.0 if number % 2 else 0.1, 1.0], loss=float(number)))
    assert history.length == POINTS
    assert history.low[:, 0] == pytest.approx(-1)
    assert history.high[:, 0] == pytest.approx(1)
    assert history.scalars[5, 0] == pytest.approx(10.5)


def test_zero_and_nan_stay_what_they_are() -> None:
    history = History(2)
    history.append(make_frame(SETTINGS, [0.0, np.nan]))
    assert history.low[0, 0] == -np.inf
    assert np.isnan(history.high[0, 1])


def test_hidden_layers_keep_their_number_and_the_output_stays_the_output() -> None:
    history = History(4)
    for _ in range(3):
        history.append(make_frame(SETTINGS, [1e-3, 1e-2, 1e-1, 1e5]))
    history.mark(3)
    assert history.low[0].tolist() == pytest.approx([-3, -2, 5])
    history.mark(5)
    assert history.low[0, [0, 1, 4]].tolist() == pytest.approx([-3, -2, 5])
    assert history.since.tolist() == [0, 0, 3, 3, 0]
    assert history.marks == [3]


def test_what_follows_a_mark_begins_a_point_of_its_own() -> None:
    history = History(2)
    for _ in range(POINTS + 1):
        history.append(make_frame(SETTINGS, [1.0, 1.0]))
    length = history.length
    assert history.frames_per_point == 2
    history.mark(2)
    history.append(make_frame(SETTINGS, [100.0, 1.0]))
    assert history.length == length + 1
    assert history.high[length - 1, 0] == 0


def test_a_mark_before_the_first_frame_only_sets_the_layers() -> None:
    history = History(3)
    history.mark(7)
    assert (history.layers, history.marks) == (7, [])
