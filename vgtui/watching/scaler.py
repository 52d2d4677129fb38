"""The scale of a loss under a GradScaler, which a model's gradients have until they are unscaled."""

import sys
from typing import Any

import torch
from torch import Tensor

MAX_SCALER_FRAMES = 12
"""How far up the stack a GradScaler that calls the optimizer is looked for."""


def loss_scale(scaler: Any, device: torch.device) -> Tensor | None:
    """Return the factor by which a GradScaler multiplies the loss, without waiting for the device.

    Args:
        scaler: The GradScaler of the training, or None to look for the one that calls the optimizer now.
        device: Where the factor is wanted.

    Returns:
        A tensor without dimensions. None if there is no scaler, or if it has not scaled a loss yet.
    """
    scaler = scaler or _calling_scaler()
    # a first call of scale() would make the state of a scaler that the training has but does not use
    if scaler is None or getattr(scaler, "_scale", scaler) is None or not scaler.is_enabled():
        return None
    scale: Tensor = scaler.scale(torch.ones((), device=device))
    return scale


def _calling_scaler() -> torch.amp.GradScaler | None:
    """Find the GradScaler that calls the optimizer: it does not tell the optimizer what it is."""
    frame = sys._getframe()
    for _ in range(MAX_SCALER_FRAMES):
        if frame.f_back is None:
            break
        frame = frame.f_back
        # a fused optimizer is called by step() itself
        caller = frame.f_locals.get("self") if frame.f_code.co_name in ("_maybe_opt_step", "step") else None
        if isinstance(caller, torch.amp.GradScaler):
            return caller
    return None
