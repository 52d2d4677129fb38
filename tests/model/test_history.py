"""The history keeps the whole run in bounded memory and loses no spike."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from msgspec.structs import replace

from engine.config import NetworkConfig
from engine.telemetry import MEASUREMENTS
from tests.frames import make_frame, make_header
from tests.models import BLOCKS, make_model_frame, make_model_header
from vgtui.model.columns import BYTES_PER_ENTRY, MAX_BYTES, MAX_POINTS
from vgtui.model.history import MAX_PARTS, History
from vgtui.model.quantities import GRADIENT, SIGNAL, UPDATE
from vgtui.terminal.text import MAX_CHARACTERS
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings()


@pytest.fixture
def points(long_form: bool, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many points a history has: in the short form few, which are soon full."""
    points = MAX_POINTS if long_form else 64
    monkeypatch.setattr("vgtui.model.columns.MAX_POINTS", points)
    return points


def test_a_spike_survives_any_number_of_merges(points: int) -> None:
    history = History(2)
    calm, spike = make_frame(SETTINGS, [1.0, 1.0]), make_frame(SETTINGS, [1e9, 1.0])
    for number in range(40 * points):
        history.append(spike if number == 17 else calm)
    assert history.length <= points
    assert history.greatest(GRADIENT)[0, 0] == pytest.approx(9)
    assert history.greatest(GRADIENT)[1:, 0].max() == 0
    assert history.frames_per_point == 64


def test_frames_of_a_point_are_merged_by_minimum_mean_and_maximum(points: int) -> None:
    history = History(2)
    for number in range(2 * points):
        history.append(make_frame(SETTINGS, [10.0 if number % 2 else 0.1, 1.0], loss=float(number)))
    assert history.length == points
    assert history.least(GRADIENT)[:, 0] == pytest.approx(-1)
    assert history.greatest(GRADIENT)[:, 0] == pytest.approx(1)
    assert history.scalars.loss[5] == pytest.approx(10.5)


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


def test_what_follows_a_mark_begins_a_point_of_its_own(points: int) -> None:
    history = History(2)
    for _ in range(points + 1):
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


def test_an_unknown_value_is_an_empty_interval_that_a_known_one_fills(points: int) -> None:
    history = History(2)
    for number in range(points + 2):
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
    assert history.scalars.step[0] == 30


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


def test_an_hour_at_ten_frames_a_second_stays_within_its_bytes_and_a_spike_can_be_gone_back_to(points: int) -> None:
    history = History(31)
    calm = make_frame(SETTINGS, [1.0] * 31)
    spike = make_frame(SETTINGS, [1.0] * 30 + [1e6])
    for number in range(36_000 * points // MAX_POINTS):
        history.append(replace(spike if number == 11 else calm, step=5 * number))
    assert history.bytes == BYTES_PER_ENTRY * 31 * points
    point = int(np.argmax(history.greatest(GRADIENT)[:, -1]))
    frame = history.frame_of(point)
    assert point == 0
    assert frame.layers.grad_norm_max[-1] == pytest.approx(1e6, rel=1e-5)
    assert frame.layers.grad_norm[-1] == pytest.approx((1e6 + 63) / 64)
    assert history.frames_of(point) == 64
    assert abs(frame.step - 5 * 11) < 5 * 64


def test_beside_its_arrays_a_history_needs_little_and_only_while_it_merges() -> None:
    history, frame = History(31), make_frame(SETTINGS, [1.0] * 31)
    tracemalloc.start()
    for _ in range(2 * MAX_POINTS + 2):
        history.append(frame)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert history.frames_per_point == 4
    assert now < history.bytes / 20
    assert peak < history.bytes / 2


@pytest.mark.parametrize("layers", [2, 21, 256, 1000, 4096])
def test_no_history_takes_more_than_its_bound(layers: int) -> None:
    assert History(layers).bytes <= MAX_BYTES
    assert MAX_BYTES < 59_000_000


def test_a_point_of_one_frame_is_that_frame() -> None:
    history = History(3)
    norms = [3.2e-45, 0.0, 7.25]
    frame = make_frame(SETTINGS, norms, step=30, loss=1.5)
    frame.layers.update_ratio.mask = True
    history.append(frame)
    back = history.frame_of(0)
    assert (back.step, back.loss, back.verdict) == (30, 1.5, frame.verdict)
    for name in MEASUREMENTS:
        assert back.layers.of(name).tolist() == frame.layers.of(name).tolist(), name


def test_means_leave_out_what_is_unknown_and_keep_nan(points: int) -> None:
    history = History(2)
    for number in range(2 * points + 1):
        frame = make_frame(SETTINGS, [np.nan if number == 0 else 2.0 * (number % 2), 1.0])
        frame.layers.update_ratio.mask = number == 0
        history.append(frame)
    first, second = history.frame_of(0), history.frame_of(1)
    assert np.isnan(first.layers.grad_norm[0])
    assert second.layers.grad_norm[0] == 1.0
    assert first.layers.update_ratio.tolist() == [1e-3, 1e-3]


def test_a_point_belongs_to_the_run_that_made_it_however_deep_it_was() -> None:
    history = History(4)
    deep, shallow = (make_header(RunSettings(NetworkConfig(hidden_layers=depth))) for depth in (3, 1))
    history.mark(4, deep)
    history.append(make_frame(SETTINGS, [1.0, 2.0, 3.0, 4.0]))
    history.mark(2, shallow, "1 layers")
    history.append(make_frame(SETTINGS, [5.0, 6.0]))
    assert history.frame_of(0).layers.grad_norm.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert history.frame_of(1).layers.grad_norm.tolist() == [5.0, 6.0]
    assert (history.header_of(0), history.header_of(1)) == (deep, shallow)
    assert (history.begin_of(0), history.begin_of(1)) == (0, 1)
    assert history.layers == 2
    history.look_at(0)
    assert history.greatest(GRADIENT)[0].tolist() == pytest.approx(np.log10([1, 2, 3, 4]).tolist())
    history.look_at(None)
    assert history.layers == 2


def test_merging_never_mixes_the_means_of_two_runs(points: int) -> None:
    history = History(2)
    for number in range(points - 3):
        history.append(make_frame(SETTINGS, [1.0, 1.0], step=number))
    history.mark(2, None, "BatchNorm on")  # at an odd point
    for number in range(4):
        history.append(make_frame(SETTINGS, [100.0, 1.0], step=number))
    point = history.marks[0]
    assert history.frame_of(point).layers.grad_norm[0] == 100.0
    assert history.frame_of(point).step == 0
    assert history.least(GRADIENT)[point, 0] == 0


def test_occasions_keep_their_place_and_are_no_more_than_points(points: int) -> None:
    history = History(2)
    count = 2200 * points // MAX_POINTS
    for number in range(count):
        if number % 3 == 0:
            history.mark(2, None, f"change {number}")
        history.append(make_frame(SETTINGS, [1.0, 1.0]))
        if number == 2:
            history.note("fault", "NaN")
    assert len(history.occasions) <= 3 * points
    assert [entry.message for entry in history.occasions if entry.kind == "fault"] == ["NaN"]
    assert history.occasions[-1].message == f"change {(count - 1) // 3 * 3}"
    assert all(entry.point < history.length for entry in history.occasions)


def test_the_point_of_a_step_is_looked_for_in_the_newest_run() -> None:
    history = History(2)
    for number in range(10):
        if number == 5:
            history.mark(2)
        history.append(make_frame(SETTINGS, [1.0, 1.0], step=10 * (number % 5)))
    assert [history.point_of(step) for step in (0, 21, 1000)] == [5, 7, 9]


def test_what_a_model_does_not_know_stays_unknown_in_the_past() -> None:
    history = History(len(BLOCKS))
    history.mark(len(BLOCKS), make_model_header())
    norms = [None, *[0.5] * 6, 1.0]
    for step in range(3):
        history.append(make_model_frame(norms, step, loss=None if step else 2.5))
    past = [history.frame_of(point) for point in range(3)]
    for frame in past:
        assert frame.layers.grad_norm.tolist() == norms
        assert frame.layers.grad_norm_max.tolist() == norms
        assert frame.layers.weight_norm.tolist() == [4.0] * 8
        assert frame.layers.delta_norm.tolist() == [None] * 8
        assert (frame.epoch, frame.accuracy, frame.validation_accuracy) == (None, None, None)
    assert [frame.loss for frame in past] == [2.5, None, None]


def test_a_mean_is_given_only_where_every_frame_of_a_point_knows_its_part(points: int) -> None:
    history = History(len(BLOCKS))
    for step in range(2 * points):
        history.append(make_model_frame([None if step == 5 else 0.25, *[0.5] * 6, 1.0], step, loss=float(step % 2)))
    assert history.frames_per_point == 2
    assert history.frame_of(2).layers.grad_norm.tolist()[0] is None
    assert history.frame_of(3).layers.grad_norm.tolist()[0] == 0.25
    assert history.frame_of(3).loss == 0.5


def test_gaps_are_kept_when_a_deeper_model_follows() -> None:
    history = History(len(BLOCKS))
    history.mark(len(BLOCKS), make_model_header())
    history.append(make_model_frame([None, *[0.5] * 6, 1.0]))
    history.mark(12)
    assert history.frame_of(0).layers.grad_norm.tolist() == [None, *[0.5] * 6, 1.0]


def test_a_history_that_is_cut_takes_the_same_frames_again(points: int) -> None:
    settings = RunSettings(NetworkConfig(hidden_layers=1))
    frames = [make_frame(settings, [0.1, 1.0], step=step) for step in range(2 * points + 1)]
    begins = {0, 333 * points // MAX_POINTS | 1, 1500 * points // MAX_POINTS}
    whole = History(2)

    def take(history: History, numbers: range) -> None:
        for number in numbers:
            if number in begins:
                history.mark(2, None, str(number))
            history.append(frames[number])

    take(whole, range(len(frames)))
    for point in (0, 84 * points // MAX_POINTS, 400 * points // MAX_POINTS):
        again = History(2)
        take(again, range(len(frames)))
        before = again.frames_before(point)
        again.cut(point)
        assert again.length == point and again.occasions == [one for one in whole.occasions if one.point < point]
        take(again, range(before, len(frames)))
        last = again.length - 1
        assert again.frames_before(last) + again.frames_of(last) == len(frames)
        assert [one.message for one in again.occasions] == [one.message for one in whole.occasions]
        assert (np.diff(again.scalars.step) > 0).all()


def test_words_from_outside_are_kept_in_part() -> None:
    history = History(4)
    frame = make_frame(SETTINGS, [1e-9, 1e-6, 1e-3, 1.0])
    verdict = frame.verdict
    evidence = dataclasses.replace(verdict.evidence[0], layers=tuple(range(4)) * 10_000)
    endless = dataclasses.replace(verdict, message="x" * 10**6, cures=verdict.cures * 1000, evidence=(evidence,) * 1000)
    history.append(replace(frame, verdict=endless))
    history.note("note", "y" * 10**6)
    kept = history.frame_of(0).verdict
    assert kept.message == "x" * (MAX_CHARACTERS - 1) + "…"
    assert (len(kept.cures), len(kept.evidence), len(kept.evidence[0].layers)) == (MAX_PARTS, MAX_PARTS, 4)
    assert len(history.occasions[0].message) == MAX_CHARACTERS


def test_runs_and_occasions_are_no_more_than_points_however_many_there_were() -> None:
    history = History(2)
    history.append(make_frame(SETTINGS, [1.0, 1.0]))
    for number in range(20_000):
        history.mark(2, make_header(SETTINGS) if number < 2 else None, f"run {number}")
        history.note("note", f"note {number}")
    assert len(history._runs) == 2
    assert [entry.message for entry in history.occasions] == ["note 19999", "run 19999"]
