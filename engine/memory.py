"""How much memory a run takes, asked before anything is allocated."""

import os

from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset
from engine.errors import UsageError
from engine.network import working_memory
from engine.optimizers import OPTIMIZERS

MOST_OF_THE_MACHINE = 0.8


def refuse_what_does_not_fit(network: NetworkConfig, training: TrainingConfig, dataset: Dataset) -> None:
    """Raise UsageError, with the estimate, when a run would take most of this machine's memory."""
    vectors = OPTIMIZERS[training.optimizer].state_vectors
    needed = working_memory(network, dataset.features, dataset.classes, training.batch_size, vectors)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > MOST_OF_THE_MACHINE * there:
        raise UsageError(
            "hidden_layers",
            f"{network.hidden_layers} layers of width {network.width} need about {needed / 2**30:.1f} GiB, and this "
            f"machine has {there / 2**30:.1f} GiB; take fewer layers, a smaller width or a smaller batch",
        )
