"""How much memory a run needs and may use, checked before anything is allocated."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from engine.backend import Backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset
from engine.errors import UsageError
from engine.network import working_memory
from engine.optimizers import OPTIMIZERS

MAX_SHARE = 0.8
"""The share of the available memory that a run may use."""


def estimate_memory(network: NetworkConfig, training: TrainingConfig, dataset: Dataset) -> int:
    """Estimate the memory of a run, in bytes, without allocating anything."""
    vectors = OPTIMIZERS[training.optimizer].state_vectors
    return working_memory(network, dataset.features, dataset.classes, training.batch_size, vectors)


def check_memory(
    network: NetworkConfig,
    training: TrainingConfig,
    dataset: Dataset,
    backend: Backend,
    *,
    freed: int = 0,
    kept: int = 0,
    concurrent_runs: int = 1,
) -> None:
    """Check that a run fits into memory.

    Args:
        network: The network of the run.
        training: Its training.
        dataset: Its data set.
        backend: Where it computes.
        freed: Bytes of an existing run that is released before this one is allocated.
        kept: Bytes of an existing run that stays in memory.
        concurrent_runs: The number of runs that share the memory of the host.

    Raises:
        UsageError: The run needs more than MAX_SHARE of the available memory; the text has the estimate.
    """
    needed = estimate_memory(network, training, dataset)
    if backend.free_memory:
        available, description = backend.free_memory() + freed, "the GPU has {} free"
        room = MAX_SHARE * available
    else:
        available, description = min(host_limits())
        description += f" for {concurrent_runs} runs" if concurrent_runs > 1 else ""
        room = MAX_SHARE * available / concurrent_runs - kept
    if needed > room:
        beside = f" beside the {_gibibytes(kept)} of the run whose weights are kept" if kept else ""
        raise UsageError(
            "hidden_layers",
            f"{network.hidden_layers} layers of width {network.width} need about {_gibibytes(needed)}{beside}, and "
            f"{description.format(_gibibytes(available))}; use fewer layers, a smaller width or a smaller batch",
        )


def host_limits(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> Iterator[tuple[int, str]]:
    """List the limits of this process's memory.

    These are the machine's memory, `ulimit -v`, and the control groups (version 1 or 2) of a container or a batch job.

    Args:
        groups: The file that names the control groups of this process.
        mounted: Where the control groups are mounted.

    Yields:
        A limit in bytes and a phrase that describes it, with {} for the amount.
    """
    yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine has {}"
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        yield address_space, "ulimit -v allows {}"
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                root, name = mounted, "memory.max"
            elif "memory" in controllers.split(","):
                root, name = mounted / "memory", "memory.limit_in_bytes"
            else:
                continue
            # a container may see its own group as the root, so every level that exists counts
            for depth in range(len(Path(path).parts)):
                group = root.joinpath(*Path(path).parts[1 : depth + 1])
                with suppress(OSError, ValueError):  # missing, or "max"
                    yield int((group / name).read_text()), "this container or job may use {}"


def _gibibytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
