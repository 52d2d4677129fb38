"""Waiting for the answers of a live run."""

from engine.config import NetworkConfig, TrainingConfig
from vgtui.sources.live import LiveRun
from vgtui.wire.frames import Frame, Header
from vgtui.wire.protocol import Answer, Inspected, Pong, Silent
from vgtui.wire.run_settings import RunSettings

SMALL = RunSettings(NetworkConfig(hidden_layers=3, width=8), TrainingConfig(batch_size=16))


async def next_answer(run: LiveRun, at: int = 0) -> Answer:
    """The next one, also where a busy machine lets the worker be silent for so long that it is told."""
    while isinstance(answer := await run.next_answer(at), Silent | Pong):
        pass
    return answer


async def next_frame(run: LiveRun, at: int = 0) -> Frame:
    while not isinstance(answer := await next_answer(run, at), Frame):
        assert isinstance(answer, Header)
    return answer


async def assert_waits(run: LiveRun) -> None:
    """The frame that is asked for does not come before what is asked for after it, twice as it could be on its way."""
    run.ask()
    for _ in range(2):
        run.inspect(0)
        assert isinstance(await next_answer(run), Inspected)
