"""How much memory a run takes, and how much it may take, asked before anything is allocated."""

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
"""Of the memory that a process may have, which a run may take."""


def estimate_memory(network: NetworkConfig, training: TrainingConfig, dataset: Dataset) -> int:
    """An estimate, in bytes, of what a run takes; nothing is allocated."""
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
    """Raise UsageError, with the estimate, when a run would take most of the memory that it may have.

    freed, kept: bytes of a run that is there already, and is given up before this one is allocated, or stays beside it.
    concurrent_runs: so many runs share the memory of the host.
    """
    needed = estimate_memory(network, training, dataset)
    if backend.free_memory:
        there, whose = backend.free_memory() + freed, "the GPU has {} free"
        room = MAX_SHARE * there
    else:
        there, whose = min(host_limits())
        whose += f" for {concurrent_runs} runs" if concurrent_runs > 1 else ""
        room = MAX_SHARE * there / concurrent_runs - kept
    if needed > room:
        beside = f" beside the {_gibibytes(kept)} of the run whose weights are kept" if kept else ""
        raise UsageError(
            "hidden_layers",
            f"{network.hidden_layers} layers of width {network.width} need about {_gibibytes(needed)}{beside}, and "
            f"{whose.format(_gibibytes(there))}; take fewer layers, a smaller width or a smaller batch",
        )


def host_limits(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> Iterator[tuple[int, str]]:
    """What bounds this process's memory, in bytes, and whose words that is, with {} for the amount.

    The machine's memory, `ulimit -v`, and the control groups that a container or a batch job runs in (versions 1, 2).
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
            # a container may see its own group as the root, so each level that is there counts
            for depth in range(len(Path(path).parts)):
                group = root.joinpath(*Path(path).parts[1 : depth + 1])
                with suppress(OSError, ValueError):  # not there, or "max"
                    yield int((group / name).read_text()), "this container or job may use {}"


def _gibibytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
