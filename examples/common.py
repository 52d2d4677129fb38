"""What the examples share: the data, and the words after their names."""

import argparse

import numpy as np
import torch

from engine.datasets import load_dataset
from engine.datasets.dataset import split


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The training part of the handwritten digits of UCI: (samples, 64) and the classes 0 to 9."""
    data = split(load_dataset("digits"), np.random.default_rng(0))
    return torch.tensor(data.training_inputs, dtype=torch.float32), torch.tensor(data.training_labels)


def options(about: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000, metavar="N", help="train N steps (default: 20000)")
    parser.add_argument("--cured", action="store_true", help="without the fault")
    parser.add_argument(
        "--every", default="100ms", metavar="TIME", help="how often a step is sampled; a number is one of steps"
    )
    parser.add_argument("--record", metavar="FILE", help="keep every frame, for vgtui replay")
    chosen = parser.parse_args()
    if chosen.every.isdecimal():
        chosen.every = int(chosen.every)
    return chosen
