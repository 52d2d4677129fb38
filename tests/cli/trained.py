"""Models of this process that are trained, for tests of what a viewer sees."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import vgtui
from vgtui.wire.frames import LayerInfo

LAYERS = [LayerInfo("stem", 9, 8, "Conv2d", (8, 1, 3, 3)), LayerInfo("head", 8, 3, "Linear", (3, 8))]


@contextmanager
def trained(name: str, norms: Sequence[float] = (1e-9, 1.0), loss: float | None = 2.0) -> Iterator[vgtui.Emitter]:
    """A model of this name whose training gives a frame whenever one is wanted, with these norms of gradients."""
    ended = threading.Event()

    def train() -> None:
        step = 0
        while not ended.wait(0.001):
            if emitter.is_due(step):
                emitter.emit(step, norms, loss=loss)
            step += 1

    with vgtui.Emitter(LAYERS, name=name, framework="PyTorch", every=1) as emitter:
        training = threading.Thread(target=train)
        training.start()
        try:
            yield emitter
        finally:
            ended.set()
            training.join()
