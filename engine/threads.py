"""The number of BLAS threads, by a fixed rule, so that a run can be repeated bit for bit."""

import os

from threadpoolctl import threadpool_limits

from engine.config import NetworkConfig, TrainingConfig

SMALL_PRODUCT = 2**23
"""Multiply-adds in the matrix product of one hidden layer, below which one thread is used.

Measured on two cores: at 128×128×256 (2²²) a second thread gains 15 % alone and loses 7 % beside a dashboard; at
256×256×256 (2²⁴) it gains 58 % and 19 %.
"""


def threads_for(network: NetworkConfig, training: TrainingConfig) -> int:
    """Return the number of BLAS threads for a run: one for small products, every usable core for large ones."""
    small = network.width * network.width * training.batch_size < SMALL_PRODUCT
    return 1 if small else usable_cores()


def usable_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Limit the BLAS threads of this process from now on."""
    threadpool_limits(limits=threads, user_api="blas")
