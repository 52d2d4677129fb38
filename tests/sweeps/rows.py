"""Sweeps and rows made up for tests."""

from typing import Any

from engine.config import NetworkConfig, TrainingConfig
from vgtui.sweeps.grid import Point, Sweep, make_sweep
from vgtui.sweeps.rows import Row
from vgtui.wire.frames import Number
from vgtui.wire.run_settings import RunSettings

SMALL = RunSettings(NetworkConfig(2, 4), TrainingConfig(32), threads=1)


def small_sweep(*vary: str, seeds: int = 1, steps: int = 2) -> Sweep:
    return make_sweep(SMALL, list(vary), seeds, steps)


def row_of(point: Point, **fields: Any) -> Row:
    """A row with a number in every column, but for those that are named."""
    results: dict[str, Any] = {
        "gradient_ratio_start": Number(0.5),
        "gradient_ratio_end": Number(0.25),
        "depth_scale": Number(3.0),
        "loss": Number(1.5),
        "accuracy": Number(0.75),
        "validation_accuracy": Number(0.5),
        "verdict": "healthy",
        "computed_on": "numpy",
        "steps_per_second": 100.0,
    }
    return Row(number=point.number, values=point.values, steps=point.steps, **{**results, **fields})
