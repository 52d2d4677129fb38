"""For PyTorch Lightning: Trainer(callbacks=[vgtui.watching.integrations.lightning.Watch()])."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import Callback

from vgtui.watching.integrations.callback import Watching


class Watch(Callback):  # type: ignore[misc]
    """Watches what a Trainer trains. The arguments are those of `vgtui.watch`.

    Of several optimizers the first one's updates are the steps.
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

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch."""
        has_scaler = getattr(getattr(trainer, "precision_plugin", None), "scaler", None) is not None
        self._watching.begin(pl_module, list(trainer.optimizers), has_scaler)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Say that a step is done, with its loss."""
        # in manual optimization, outputs is whatever the user's training_step returns
        self._watching.step(outputs.get("loss") if isinstance(outputs, Mapping) else outputs)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Watch no more."""
        self._watching.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Watch no more."""
        self._watching.end()
