"""A plain training loop that notes the norms itself, to hold against what is told of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.watching.recorded import frames, header
from vgtui import watch

EXACT = 1e-6
SAMPLES, FEATURES, CLASSES = 32, 12, 5
STEPS = 5


def norm_of(parameters: Sequence[Any]) -> float | None:
    """The norm of all their gradients together; None without any."""
    gradients = [parameter.grad.to_dense() for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return None
    return float(np.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))


class Truth:
    """The norms of the gradients of each row, which is one parameter or several, noted by the loop."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = {name: entry if isinstance(entry, list | tuple) else [entry] for name, entry in rows.items()}
        self.steps: list[dict[str, float | None]] = []

    def note(self) -> None:
        self.steps.append({name: norm_of(parameters) for name, parameters in self.rows.items()})

    def check(self, recording: Path, since: int = 0) -> None:
        told = told_norms(recording)
        assert told, "there is no frame"
        assert list(told[0][1]) == list(self.rows)
        for step, norms in told:
            if step >= since:
                check_norms(norms, self.steps[step], f"in step {step}")


def told_norms(recording: Path) -> list[tuple[int, dict[str, float | None]]]:
    """The norm of each row by its name, for each frame with its step."""
    names = [layer.name for layer in header(recording).layers]
    return [(frame.step, dict(zip(names, frame.layers.grad_norm.tolist(), strict=True))) for frame in frames(recording)]


def check_norms(told: dict[str, float | None], true: dict[str, float | None], where: str = "") -> None:
    expected = {name: norm if norm is None else pytest.approx(norm, rel=EXACT, abs=0) for name, norm in true.items()}
    assert told == expected, where


def train(
    model: Any,
    optimizer: Any,
    path: Path,
    loss_of: Callable[[Any], Any],
    truth: Truth | None = None,
    steps: int = STEPS,
    before: Callable[[], None] = lambda: None,
    **options: Any,
) -> Any:
    """Train and watch. loss_of: gives the loss of a model. before: done between backward and the update."""
    with watch(model, optimizer, every=1, record=path, **options) as watcher:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of(model)
            loss.backward()
            if truth:
                truth.note()
            before()
            optimizer.step()
            watcher.step(loss=loss)
        verdict = watcher.verdict
    assert verdict
    return verdict
