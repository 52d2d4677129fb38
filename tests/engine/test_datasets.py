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
def test_points_in_the_plane_are_the_same_every_time(name: str, classes: int) -> None:
    points = load_dataset(name)
    assert (points.features, points.classes) == (2, classes)
    assert np.bincount(points.labels).tolist() == [points.samples // classes] * classes
    assert np.array_equal(points.inputs, load_dataset(name).inputs)


def test_the_moons_are_two_half_circles_of_which_one_is_turned_around() -> None:
    points = load_dataset("moons")
    assert points.name == "moons"
    upper, lower = (points.inputs[points.labels == label] for label in (0, 1))
    for half, centre, sign in ((upper, (0.0, 0.0), 1), (lower, (1.0, 0.5), -1)):
        across, up = (half - centre).T
        radius = np.hypot(across, up)
        assert radius.mean() == pytest.approx(1, abs=0.02)
        assert radius.std() == pytest.approx(0.1, abs=0.02)
        assert (sign * up > -0.35).all()
        assert np.arctan2(sign * up, across).mean() == pytest.approx(np.pi / 2, abs=0.1)


def test_the_blobs_are_round_and_at_the_corners_of_a_square() -> None:
    points = load_dataset("blobs")
    assert points.name == "blobs"
    for label, corner in enumerate([(0, 0), (4, 0), (0, 4), (4, 4)]):
        cloud = points.inputs[points.labels == label]
        assert cloud.mean(axis=0) == pytest.approx(corner, abs=0.15)
        assert cloud.std(axis=0) == pytest.approx(0.8, abs=0.1)


def test_the_spirals_have_three_arms_of_one_and_a_quarter_turns() -> None:
    points = load_dataset("spirals")
    assert points.name == "spirals"
    radius = np.hypot(*points.inputs.T)
    assert radius.max() == pytest.approx(1, abs=0.1)
    assert (radius**2).mean() == pytest.approx(0.51, abs=0.03)  # evenly over the disc
    angle = np.arctan2(points.inputs[:, 1], points.inputs[:, 0])
    off = np.angle(np.exp(1j * (angle - 2.5 * np.pi * radius - points.labels * 2 * np.pi / 3)))
    assert np.abs(off[radius > 0.3]).max() < 0.8  # the arms are 2.1 apart
    assert np.bincount(points.labels).tolist() == [500] * 3
