"""A frame source that says what a test tells it to, and remembers what it was told."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from engine.changes import AS_IT_IS, Probe, single_changes
from engine.inspection import Histogram, Inspection
from tests.frames import make_frame, make_header
from vgtui.wire.frames import Event
from vgtui.wire.protocol import Answer, Inspected, Refused, Tried
from vgtui.wire.run_settings import RunSettings

Norms = Callable[[RunSettings, int], Sequence[float]]


def vanishing(settings: RunSettings, step: int) -> list[float]:
    """Norms that fall by a factor of ten a layer, and breathe a little with time."""
    depth = settings.network.hidden_layers
    return [10.0 ** (layer - depth) * (1 + 0.5 * (step % 3)) for layer in range(depth + 1)]


class ScriptedSource:
    """`frames` frames a run, ten steps apart, with the norms of a function; then it waits."""

    def __init__(
        self, settings: RunSettings, frames: int = 6, norms: Norms = vanishing, dead: float | None = None
    ) -> None:
        self.settings = settings
        self.told: list[str] = []
        self.held: list[bool] = []
        """Whether trials were left off, or gone on with, time after time."""
        self.refusal: Refused | None = None
        self.frames = frames
        self._norms = norms
        self._dead = dead
        self._answers: asyncio.Queue[Answer] = asyncio.Queue()
        self._begin(settings)

    @property
    def exhausted(self) -> bool:
        """Whether everything that there is to say has been taken."""
        return self._answers.empty()

    def say(self, answer: Answer) -> None:
        """Let this be the next answer after those that wait already."""
        self._answers.put_nowait(answer)

    def fail(self, message: str) -> None:
        self.say(Event(step=0, kind="fault", message=message))

    async def next_answer(self, at: int = 0) -> Answer:
        return await self._answers.get()

    def train(self, until: int | None = None) -> None:
        self.told.append("train")

    def pause(self) -> None:
        self.told.append("pause")

    def step_once(self) -> None:
        self.told.append("step")

    async def close(self) -> None:
        self.told.append("close")

    def _begin(self, settings: RunSettings) -> None:
        while not self._answers.empty():
            self._answers.get_nowait()
        self._answers.put_nowait(make_header(settings))
        for number in range(self.frames):
            self._answers.put_nowait(make_frame(settings, self._norms(settings, number), 10 * number, dead=self._dead))


class ScriptedRun(ScriptedSource):
    """One that can be restarted and looked into as well."""

    def ask(self, at: int = 0) -> None:
        self.told.append(f"ask {at}")

    def another(self, settings: RunSettings) -> "ScriptedRun":
        return ScriptedRun(settings, self.frames, self._norms, self._dead)

    def share_cores(self, among: int) -> None:
        self.told.append(f"share {among}")

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        self.told.append("restart, weights kept" if keep else "restart")
        if self.refusal:
            self.say(self.refusal)
        else:
            self.settings = settings
            self._begin(settings)

    def inspect(self, layer: int) -> None:
        self.told.append(f"inspect {layer}")
        ramp = Histogram(-1.0, 2.0, tuple(range(48)), 1, 0)
        self.say(Inspected(110, Inspection(layer, ramp, ramp, ramp)))

    def try_changes(self) -> None:
        self.told.append("try changes")
        changes = [(AS_IT_IS, None), *single_changes(self.settings.network, self.settings.training)]
        for number, (setting, value) in enumerate(changes, start=1):
            ratio = np.float64(10.0 ** -abs(number - 3))
            self.say(Tried(number, len(changes), Probe(setting, value, ratio, ratio)))

    def hold_trials(self, hold: bool) -> None:
        self.held.append(hold)
