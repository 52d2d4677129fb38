"""For PyTorch Lightning: Trainer(callbacks=[vgtui.watching.lightning.Watch()])."""

from typing import Any

from lightning.pytorch import Callback

from vgtui import watch


class Watch(Callback):  # type: ignore[misc]
    """Watches what a Trainer trains. options: name, every and record, as `vgtui.watch` has them."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._watcher = watch(pl_module, next(iter(trainer.optimizers), None), **self._options)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._watcher.step(loss=outputs["loss"] if isinstance(outputs, dict) else outputs)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._watcher.close()
