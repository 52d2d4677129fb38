"""The data sets: built in by name, or a user's own file by its path."""

from engine.datasets.dataset import Dataset, Split, split
from engine.datasets.digits import load_digits
from engine.datasets.files import load_file
from engine.datasets.synthetic import load_blobs, load_moons, load_spirals

BUILT_IN = {"digits": load_digits, "spirals": load_spirals, "moons": load_moons, "blobs": load_blobs}
"""Each built-in data set by its name."""

__all__ = ["BUILT_IN", "Dataset", "Split", "load_dataset", "split"]


def load_dataset(name: str) -> Dataset:
    """The data set of this name, or in the file of this path. Raises UsageError."""
    return BUILT_IN[name]() if name in BUILT_IN else load_file(name)
