"""Everything that defines a run: what the command line, a key and the worker all speak of."""

import os
from dataclasses import dataclass, field

from engine.config import BACKEND_NAMES, DATASET_NAMES, NetworkConfig, TrainingConfig, check_together
from engine.errors import UsageError, unknown_name

MOST_THREADS = 1024


def looks_like_a_file(dataset: str) -> bool:
    """Whether a user who wrote this means a file rather than a built-in name."""
    return any(sign in dataset for sign in ("/", ".", "ubyte")) or os.path.exists(dataset)


def file_of(dataset: str) -> str | None:
    """The whole path of a user's own data; None for a built-in data set."""
    return None if dataset in DATASET_NAMES else os.path.abspath(os.path.expanduser(dataset))


def _is_utf8(text: str) -> bool:
    """Whether a command line, a recording and a checkpoint can all hold it; bytes that are not UTF-8 are surrogates."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """A run: network, training, data set, backend, and BLAS threads (None: by the rule). Raises UsageError.

    dataset is a name or a path; what is in it, the worker finds out.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    dataset: str = "digits"
    backend: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        check_together(self.network, self.training)
        if self.backend not in BACKEND_NAMES:
            raise unknown_name("backend", "backend", self.backend, BACKEND_NAMES)
        if not _is_utf8(self.dataset):
            raise UsageError("dataset", f"{self.dataset!r} is not the name of a file in UTF-8; rename the file")
        if self.dataset not in DATASET_NAMES and not looks_like_a_file(self.dataset):
            raise unknown_name("dataset", "data set", self.dataset, DATASET_NAMES)
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UsageError(
                "threads", f"{self.threads} is out of range; it takes a whole number from 1 to {MOST_THREADS}"
            )
