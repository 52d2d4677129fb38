"""The built-in data and its split."""

import numpy as np
import pytest

from engine.datasets import Dataset, load_dataset, split


def test_digits_are_the_1797_images_of_uci() -> None:
    digits = load_dataset("digits")
    assert (digits.samples, digits.features, digits.classes) == (1797, 64, 10)
    assert (digits.inputs.min(), digits.inputs.max()) == (0, 16)
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_split_is_80_to_20_without_overlap_and_standardised_by_the_training_part() -> None:
    inputs = np.column_stack([np.arange(100.0), np.full(100, 3.0)])
    parts = split(Dataset("counted", inputs, np.arange(100), 100), np.random.default_rng(0))
    assert (len(parts.training_labels), len(parts.validation_labels)) == (80, 20)
    assert set(parts.training_labels) | set(parts.validation_labels) == set(range(100))
    assert parts.training_inputs[:, 0].mean() == pytest.approx(0, abs=1e-12)
    assert parts.training_inputs[:, 0].std() == pytest.approx(1)
    assert not parts.training_inputs[:, 1].any()


@pytest.mark.parametrize(("name", "classes"), [("spirals", 3), ("moons", 2), ("blobs", 4)])
def test_points_in_the_plane_are_always_the_same(name: str, classes: int) -> None:
    points = load_dataset(name)
    assert (points.features, points.classes) == (2, classes)
    assert np.bincount(points.labels).tolist() == [points.samples // classes] * classes
    assert np.array_equal(points.inputs, load_dataset(name).inputs)
