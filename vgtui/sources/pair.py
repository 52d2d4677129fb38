"""Two watched models side by side, as the two lanes of a comparison."""

import asyncio
import time
from collections.abc import Mapping

from vgtui.sources.base import Watched
from vgtui.wire.frames import Event, Frame, Header, LaneName, in_lane
from vgtui.wire.protocol import Answer

PACE_SECONDS = 0.1
"""The least time between two frames of a lane."""


class Pair:
    """Gives the frames of two models, each in its lane, as they come. It is a `Player` that cannot be played again."""

    pace = ""
    seekable = False
    has_lanes = True

    def __init__(self, first: Watched, second: Watched) -> None:
        """Prepare to show two models: the first as lane A."""
        self._lanes: Mapping[LaneName, Watched] = {"A": first, "B": second}
        self._asked: dict[LaneName, asyncio.Task[Answer]] = {}
        self._may_ask: dict[LaneName, float] = {}

    @property
    def ended(self) -> bool:
        """Whether both trainings have ended, for now."""
        return all(source.ended for source in self._lanes.values())

    async def next_answer(self, at: int = 0) -> Answer:
        """Return the next line of either."""
        for lane, source in self._lanes.items():
            if lane not in self._asked:
                self._asked[lane] = asyncio.create_task(self._next_of(lane, source))
        done, _ = await asyncio.wait(self._asked.values(), return_when=asyncio.FIRST_COMPLETED)
        lane = next(lane for lane, task in self._asked.items() if task in done)
        return self._asked.pop(lane).result()

    def train(self, until: int | None = None) -> None:
        """Show frames as they come."""
        for source in self._lanes.values():
            source.train()

    def pause(self) -> None:
        """Ask for no more frames."""
        for source in self._lanes.values():
            source.pause()

    def step_once(self) -> None:
        """Ask for one frame of each."""
        for source in self._lanes.values():
            source.step_once()

    def play_from(self, frame: int) -> None:
        """Do nothing: what a training showed cannot be played again."""

    def change_speed(self, step: int) -> None:
        """Do nothing: the trainings have their own pace."""

    def skip(self, share: float) -> None:
        """Do nothing: there is nothing ahead."""

    async def close(self) -> None:
        """Detach from both."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        self._asked.clear()
        await asyncio.gather(*(source.close() for source in self._lanes.values()))

    async def _next_of(self, lane: LaneName, source: Watched) -> Answer:
        await asyncio.sleep(self._may_ask.get(lane, 0.0) - time.monotonic())
        answer = await source.next_answer()
        if isinstance(answer, Frame):
            self._may_ask[lane] = time.monotonic() + PACE_SECONDS
        return in_lane(answer, lane) if isinstance(answer, Header | Frame | Event) else answer
