"""For Hugging Face's Trainer: Trainer(callbacks=[vgtui.watching.transformers.Watch()])."""

from typing import Any

from transformers import TrainerCallback

from vgtui import watch


class Watch(TrainerCallback):  # type: ignore[misc]
    """Watches what a Trainer trains. options: name, every and record, as `vgtui.watch` has them.

    The loss is the one that the Trainer logged last, as it tells no other.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        optimizer = parts.get("optimizer")
        # accelerate puts one of its own around it, whose step calls the inner one's
        self._watcher = watch(parts["model"], getattr(optimizer, "optimizer", optimizer), **self._options)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **parts: Any) -> None:
        self._loss = (logs or {}).get("loss", self._loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self._watcher.step(loss=self._loss)

    def on_train_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self._watcher.close()
