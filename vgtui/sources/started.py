"""The models of a command that this process has started: the first one that is watched, and later any other."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from vgtui.sources.attached import Attached
from vgtui.watching.descent import belongs_to
from vgtui.watching.endpoints import Endpoint, list_endpoints
from vgtui.wire.protocol import Answer

LOOK_SECONDS = 0.3
"""How often to look for the first model."""


class Started:
    """Frames of a model that a command trains. Until the first one is watched, there are none.

    Args:
        command: Returns the process of the command; 0 while it is not known.
    """

    def __init__(self, command: Callable[[], int]) -> None:
        self._command = command
        self._model: Attached | None = None
        self._endpoint: Endpoint | None = None
        self._paused = False
        self._known: set[Path] = set()

    @property
    def name(self) -> str | None:
        """The name of the model that is shown, if there is one."""
        return self._endpoint.name if self._endpoint else None

    @property
    def ended(self) -> bool:
        """Whether the training has ended, for now."""
        return self._model is not None and self._model.ended

    async def next_answer(self, at: int = 0) -> Answer:
        """Wait for the first model, then return its next line."""
        while self._model is None:
            if found := await self.find_models():
                self._show(found[0])
                break
            await asyncio.sleep(LOOK_SECONDS)
        while True:
            model = self._model
            assert model
            answer = await model.next_answer(at)
            if model is self._model:
                return answer
            await model.close()  # it was left, and this is a late word of it

    async def show_next(self) -> str | None:
        """Show the next model of the command.

        Returns:
            Its name; None if there is no other.
        """
        found = await self.find_models()
        paths = [endpoint.path for endpoint in found]
        at = paths.index(self._endpoint.path) if self._endpoint and self._endpoint.path in paths else -1
        if not found or (at >= 0 and len(found) == 1):
            return None
        left = self._model
        endpoint = found[(at + 1) % len(found)]
        self._show(endpoint)
        if left:
            left.train()  # whoever waits for it sees that it was left
            await left.close()
        return endpoint.name

    async def find_models(self) -> list[Endpoint]:
        """Find what the command's processes have that is watched, by name."""
        command = self._command()
        return await asyncio.to_thread(_models_of, command) if command else []

    async def find_others(self) -> list[str]:
        """Find models that are watched since the last call, but for the one that is shown.

        Returns:
            Their names.
        """
        found = await self.find_models()
        if self._endpoint:
            self._known.add(self._endpoint.path)
        new = [endpoint for endpoint in found if endpoint.path not in self._known]
        self._known.update(endpoint.path for endpoint in new)
        return [endpoint.name for endpoint in new]

    def train(self, until: int | None = None) -> None:
        """Show frames as they come."""
        self._paused = False
        if self._model:
            self._model.train(until)

    def pause(self) -> None:
        """Ask for no more frames."""
        self._paused = True
        if self._model:
            self._model.pause()

    def step_once(self) -> None:
        """Ask for one frame."""
        if self._model:
            self._model.step_once()

    async def close(self) -> None:
        """Detach from the model."""
        if self._model:
            await self._model.close()

    def _show(self, endpoint: Endpoint) -> None:
        self._endpoint, self._model = endpoint, Attached(endpoint)
        if self._paused:
            self._model.pause()


def _models_of(command: int) -> list[Endpoint]:
    try:
        return [endpoint for endpoint in list_endpoints() if belongs_to(endpoint.pid, command)]
    except OSError:
        return []
