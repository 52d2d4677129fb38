"""For Hugging Face's Trainer: Trainer(callbacks=[vgtui.watching.integrations.transformers.Watch()])."""

import os
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from vgtui.watching.integrations.callback import Watching


class Watch(TrainerCallback):  # type: ignore[misc]
    """Watches what a Trainer trains. The arguments are those of `vgtui.watch`.

    The loss is what was backpropagated in the step, all its micro-batches together. In float16, whose losses are
    scaled, it is the one that the Trainer logged last.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        every: str | int = "100ms",
        record: str | os.PathLike[str] | None = None,
        keep: str | None = None,
        log: Callable[[dict[str, float], int], object] | None = None,
        log_layers: bool = False,
    ) -> None:
        self._watching = Watching(name, every, record, keep, log, log_layers)
        self._loss: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Begin to watch."""
        self._loss = None
        self._watching.begin(parts.get("model"), parts.get("optimizer"), is_scaled=getattr(args, "fp16", False))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **parts: Any) -> None:
        """Remember the loss."""
        self._loss = (logs or {}).get("loss", self._loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Say that a step is done, with its loss."""
        self._watching.step(self._loss if getattr(args, "fp16", False) else None)

    def on_train_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Watch no more."""
        self._watching.end()
