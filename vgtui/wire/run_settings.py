"""Everything that defines a run, for the command line, the keys and the worker."""

import os
from dataclasses import dataclass, field

from engine.config import BACKEND_NAMES, DATASET_NAMES, NetworkConfig, TrainingConfig, check_together
from engine.errors import UsageError, unknown_name

MAX_THREADS = 1024


def looks_like_a_file(dataset: str) -> bool:
    """Return whether a user who wrote this means a file rather than a built-in name."""
    return any(sign in dataset for sign in ("/", ".", "ubyte")) or os.path.exists(dataset)


def file_of(dataset: str) -> str | None:
    """Return the absolute path of a user's own data; None for a built-in data set."""
    return None if dataset in DATASET_NAMES else os.path.abspath(os.path.expanduser(dataset))


def _is_utf8(text: str) -> bool:
    """Return whether a command line, a recording and a checkpoint can all hold it. Other bytes are surrogates."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        network: The network.
        training: How it is trained.
        dataset: The name of a built-in data set, or the path of a file, which only the worker reads.
        backend: Where it is trained.
        threads: BLAS threads; None for as many as the rule gives.

    Raises:
        UsageError: They are not possible.
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
        if self.threads is not None and not 1 <= self.threads <= MAX_THREADS:
            raise UsageError(
                "threads", f"{self.threads} is out of range; it takes a whole number from 1 to {MAX_THREADS}"
            )
