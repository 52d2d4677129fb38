"""The name of the training process in version 0.1: `python -m vgtui.training.worker` is `vgtui.worker.main`."""
