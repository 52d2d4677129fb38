"""How many threads BLAS gets: one fixed rule, so that a run seen live can be repeated bit for bit."""

import os

from threadpoolctl import threadpool_limits

from engine.config import NetworkConfig, TrainingConfig

SMALL_PRODUCT = 2**23
"""Multiply-adds in one hidden layer's product. Measured on two cores: at 128×128×256 (2²²) a second thread gains 15 %
alone and loses 7 % beside a dashboard; at 256×256×256 (2²⁴) it gains 58 % and 19 %."""


def threads_for(network: NetworkConfig, training: TrainingConfig) -> int:
    """One thread for small products, every core for large ones."""
    small = network.width * network.width * training.batch_size < SMALL_PRODUCT
    return 1 if small else usable_cores()


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Hold this process's BLAS to so many threads from now on."""
    threadpool_limits(limits=threads, user_api="blas")
