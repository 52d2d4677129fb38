"""PyTorch has one thread, here and in the examples: on a busy machine, several wait for each other without an end."""

import pytest


@pytest.fixture(autouse=True)
def _one_thread_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
