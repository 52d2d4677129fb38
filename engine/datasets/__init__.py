"""The data sets: built in by name."""

from engine.datasets.dataset import Dataset, Split, split
from engine.datasets.digits import load_digits
from engine.errors import unknown_name

BUILT_IN = {"digits": load_digits}
"""Each built-in data set by its name."""

__all__ = ["BUILT_IN", "Dataset", "Split", "load_dataset", "split"]


def load_dataset(name: str) -> Dataset:
    """The data set of this name. Raises UsageError when there is none."""
    if name not in BUILT_IN:
        raise unknown_name("dataset", "data set", name, BUILT_IN)
    return BUILT_IN[name]()
