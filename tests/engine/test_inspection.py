"""Histograms lose no value, and looking inside a layer changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.inspection import BINS, Histogram
from tests.engine.conftest import MakeTrainer

FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(st.lists(FLOATS, min_size=1, max_size=60))
def test_every_value_is_counted_once(values: list[float]) -> None:
    histogram = Histogram.of(np.array(values))
    finite = [value for value in values if np.isfinite(value)]
    assert len(histogram.counts) == BINS
    assert sum(histogram.counts) == len(finite)
    assert histogram.non_finite == len(values) - len(finite)
    assert histogram.zeros == finite.count(0.0)
    if finite:
        assert (histogram.low, histogram.high) == (min(finite), max(finite))


def test_bins_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).standard_normal((40, 50))
    counts, edges = np.histogram(values, BINS)
    histogram = Histogram.of(values)
    assert (histogram.low, histogram.high) == (edges[0], edges[-1])
    # a value on an edge may fall to either side
    assert np.abs(np.cumsum(histogram.counts) - np.cumsum(counts)).max() <= 1


def test_a_constant_is_one_bin() -> None:
    assert sorted(Histogram.of(np.full(9, 3.5)).counts)[-2:] == [0, 9]
    assert sorted(Histogram.of(np.zeros(9)).counts)[-2:] == [0, 9]


@pytest.mark.parametrize("network", [{}, {"batch_norm": True, "skip_connections": True, "activation": "relu"}])
def test_an_inspection_is_of_the_layer_that_was_asked_for(
    small_trainer: MakeTrainer, network: dict[str, object]
) -> None:
    trainer = small_trainer(**network)
    trainer.step()
    for layer in range(4):
        inspection = trainer.inspect(layer)
        weights = trainer.network.named_parameters()[f"layers.{layer}.weight"]
        gradients = trainer.network.named_gradients()[f"layers.{layer}.weight"]
        outputs = trainer.network.outputs[layer] if layer < 3 else trainer.network.logits
        assert inspection.layer == layer
        assert inspection.weights == Histogram.of(weights.T)
        assert inspection.gradients == Histogram.of(gradients)
        assert inspection.activations == Histogram.of(outputs)


def test_looking_inside_changes_no_number(small_trainer: MakeTrainer) -> None:
    looked, left = small_trainer(), small_trainer()
    for number in range(5):
        looked.inspect(number % 4)
        if number % 2:
            looked.measure()
            looked.inspect(0)
        looked.step()
        left.step()
    assert np.array_equal(looked.network.parameters.flat, left.network.parameters.flat)
    assert looked.measure().loss == left.measure().loss
