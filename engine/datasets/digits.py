"""The handwritten digits of UCI, embedded; digits.md has their source and licence."""

from importlib.resources import files

import numpy as np

from engine.datasets.dataset import Dataset


def load_digits() -> Dataset:
    """Load 1 797 images of 8×8 pixels, each from 0 to 16, of the digits 0 to 9."""
    with (
        files("engine.datasets").joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return Dataset("digits", arrays["images"].astype(np.float64), arrays["labels"].astype(np.int64), classes=10)
