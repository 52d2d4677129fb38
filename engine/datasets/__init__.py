"""The data sets: built-in ones by name, and files by path."""

from engine.datasets.dataset import Dataset, Split, split
from engine.datasets.digits import load_digits
from engine.datasets.files import load_file
from engine.datasets.synthetic import load_blobs, load_moons, load_spirals

BUILT_IN = {"digits": load_digits, "spirals": load_spirals, "moons": load_moons, "blobs": load_blobs}
"""The functions that load the built-in data sets, by name."""

__all__ = ["BUILT_IN", "Dataset", "Split", "load_dataset", "split"]


def load_dataset(name: str) -> Dataset:
    """Load a data set.

    Args:
        name: The name of a built-in data set, or the path of a file.

    Returns:
        The data set.

    Raises:
        UsageError: The file cannot be read, or is not a valid data set.
    """
    return BUILT_IN[name]() if name in BUILT_IN else load_file(name)
