"""Configurations from papers, each with its reference and what to see in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import unknown_name


@dataclass(frozen=True, slots=True)
class Preset:
    """settings: fields of the settings; the rest have their defaults. see: what to look at, and what to change."""

    title: str
    reference: str
    settings: Mapping[str, Any]
    see: str


PRESETS: dict[str, Preset] = {
    "glorot-2010": Preset(
        "Normalized initialization, tanh",
        "Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010",
        {"hidden_layers": 5, "width": 128, "activation": "tanh", "initialization": "xavier_uniform"},
        "gradients of one size in all five layers; with --init pytorch_default, the usual one before, "
        "the error signal shrinks to a twentieth on its way down, and training begins later",
    ),
    "he-2015": Preset(
        "Thirty layers of ReLU",
        "He et al., Delving deep into rectifiers, ICCV 2015, section 2.2 and figure 3",
        {"hidden_layers": 30, "activation": "relu", "initialization": "he_normal", "learning_rate": 0.05},
        "an error signal of one size from the output to the input; with --init xavier_normal it falls by 2 "
        "in the mean square in every layer, and the network stalls",
    ),
    "ioffe-szegedy-2015": Preset(
        "BatchNorm on three sigmoid layers of 100",
        "Ioffe & Szegedy, Batch normalization, ICML 2015, section 4.1",
        {
            "hidden_layers": 3,
            "width": 100,
            "initialization": "small_normal",
            "batch_norm": True,
            "batch_size": 60,
        },
        "the digits are learned within two hundred steps; without BatchNorm the small weights leave the first "
        "layer 1e-4 of the gradient",
    ),
    "klambauer-2017": Preset(
        "Self-normalizing network of 32 layers",
        "Klambauer et al., Self-normalizing neural networks, NeurIPS 2017",
        {
            "hidden_layers": 32,
            "activation": "selu",
            "initialization": "lecun_normal",
            "learning_rate": 0.02,
        },
        "activations that keep mean 0 and spread 1 through 32 layers without BatchNorm (n shows the spread)",
    ),
    "schoenholz-2017": Preset(
        "tanh at the edge of chaos",
        "Schoenholz et al., Deep information propagation, ICLR 2017",
        {
            "hidden_layers": 50,
            "activation": "tanh",
            "initialization": "gaussian",
            "weight_variance": 1.76,
            "bias_variance": 0.05,
            "learning_rate": 0.02,
        },
        "a flat gradient in 50 layers (t shows theory: χ is 1 at σ_w² = 1.76); it vanishes with "
        "--weight-variance 1 and explodes with 3",
    ),
}
"""By the name that --preset takes."""


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UsageError: There is no such preset.
    """
    if name not in PRESETS:
        raise unknown_name("preset", "preset", name, PRESETS)
    return PRESETS[name]
