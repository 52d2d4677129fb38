"""Numbers that stand out from those before them."""

import math

import numpy as np
import pytest

from engine.spikes import MIN_VALUES, SIGMAS, WINDOW, Spikes


def test_a_spike_is_found_with_its_size_in_standard_deviations() -> None:
    values = np.random.default_rng(0).normal(10.0, 1.0, (100, WINDOW))
    sizes = []
    for window in values.tolist():
        spikes = Spikes()
        assert [spikes.add(value) for value in window] == [0.0] * WINDOW
        sizes.append(spikes.add(30.0))
    # the spread of 128 normal numbers by their median distance is right within a few percent on average
    assert np.mean(sizes) == pytest.approx(20.0, rel=0.15)


def test_a_spike_does_not_hide_the_next_one_and_a_fall_is_none() -> None:
    spikes = Spikes()
    for value in np.random.default_rng(1).normal(1.0, 0.1, WINDOW):
        spikes.add(float(value))
    assert all(spikes.add(100.0) > SIGMAS for _ in range(WINDOW // 4))
    assert spikes.add(-100.0) == 0


def test_norms_are_compared_by_their_logarithm_and_what_hardly_moves_has_no_spikes() -> None:
    norms = Spikes(is_logarithmic=True)
    for exponent in np.random.default_rng(2).normal(-20.0, 0.5, WINDOW):
        norms.add(10.0**exponent)
    assert norms.add(1e-18) == 0 and norms.add(1e-10) > SIGMAS
    steady = Spikes(is_logarithmic=True)
    for _ in range(WINDOW):
        steady.add(1.0)
    assert steady.add(1.3) == 0 and steady.add(1.4) == pytest.approx(math.log(1.4) / 0.05)


def test_few_numbers_and_those_that_are_not_finite_are_no_spikes() -> None:
    spikes = Spikes(is_logarithmic=True)
    for _ in range(MIN_VALUES - 1):
        assert spikes.add(1.0) == 0
    for value in (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e9):
        assert spikes.add(value) == 0


def test_a_loss_of_zero_that_stays_so_has_no_spikes_and_one_that_leaves_it_is_not_divided_by() -> None:
    spikes = Spikes()
    assert all(spikes.add(0.0) == 0 for _ in range(WINDOW))
    assert spikes.add(1.0) == 0
