"""The random numbers of a process, which somebody else's training must find as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def random_state_kept(loader: Any = None) -> Iterator[None]:
    """Let random numbers be drawn within the block, and restore the state of all generators at its end.

    Args:
        loader: A DataLoader that is iterated in the block, whose own generators are restored as well.
    """
    python, numbers, host = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    apple = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    holders = (loader, getattr(loader, "sampler", None))
    generators = [getattr(holder, "generator", None) for holder in holders]
    own = [(entry, entry.get_state()) for entry in generators if isinstance(entry, torch.Generator)]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
        torch.set_rng_state(host)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
        if apple is not None:
            torch.mps.set_rng_state(apple)
        for generator, state in own:
            generator.set_state(state)


def seed_all(seed: int) -> None:
    """Begin all generators anew. A device that was not used yet is left alone."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
