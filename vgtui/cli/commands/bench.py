"""`vgtui bench`: how fast this machine trains, through the same training process as everything else."""

import argparse
import asyncio
import sys
import time
from dataclasses import replace

from engine.config import NetworkConfig, TrainingConfig
from engine.errors import UsageError
from vgtui.cli.arguments import add_option, number, value_of
from vgtui.cli.exit_codes import FAULT_EXIT
from vgtui.cli.output.columns import Columns
from vgtui.model.options import option_of
from vgtui.sources.live import LiveRun
from vgtui.terminal.capabilities import tell
from vgtui.terminal.progress import Advance, showing_progress
from vgtui.wire.frames import Event, Frame, Header
from vgtui.wire.protocol import Refused
from vgtui.wire.run_settings import RunSettings

SIZES = ((10, 32, 64), (30, 64, 128), (50, 128, 256), (100, 64, 64), (20, 1024, 256))
"""Hidden layers, width, batch: those of `make bench`."""
INITIALIZATION = {"sigmoid": "xavier_normal", "relu": "he_normal"}

COLUMNS = Columns("<14", ">5", "<10", "<15", ">9", ">8")

DESCRIPTION = "How fast this machine trains: five sizes, sigmoid and relu."
EXAMPLES = "examples:\n  vgtui bench\n  vgtui bench --backend numpy --seconds 60"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the backend and how long to measure."""
    add_option(parser, option_of("backend"))
    parser.add_argument("--seconds", type=number, default=12.0, metavar="X", help="of measuring, in all (default: 12)")


def call(chosen: argparse.Namespace) -> int:
    """Measure how fast the backend trains, in the time that was given."""
    if not 0.5 <= chosen.seconds <= 3600:
        raise UsageError("seconds", f"{chosen.seconds:g} is out of range; it takes a number from 0.5 to 3600")
    return bench(value_of(chosen, "backend"), chosen.seconds)


def cases(backend: str) -> list[RunSettings]:
    """Five sizes with sigmoid and relu, and two of them with BatchNorm and skip connections."""
    uncured = [
        RunSettings(
            NetworkConfig(depth, width, activation, initialization=INITIALIZATION[activation]),
            TrainingConfig(batch, learning_rate=0.01),
            backend=backend,
        )
        for depth, width, batch in SIZES
        for activation in INITIALIZATION
    ]
    cured = [
        replace(case, network=replace(case.network, batch_norm=True, skip_connections=True)) for case in uncured[3:6:2]
    ]
    return [*uncured, *cured]


def bench(backend: str, seconds: float) -> int:
    """Measure every case for its share of the seconds, and print a row as it is known.

    Returns:
        The exit code.
    """
    print(COLUMNS.row("network", "batch", "activation", "", "ms a step", "steps/s"))
    settings = cases(backend)
    with showing_progress("training", len(settings), "cases", quiet=sys.stdout.isatty()) as advance:
        return asyncio.run(_bench(settings, seconds / len(settings), advance))


async def _bench(cases: list[RunSettings], seconds: float, advance: Advance) -> int:
    for done, settings in enumerate(cases, start=1):
        source = LiveRun(settings)
        try:
            best = await best_rate(source, seconds)
        finally:
            await source.close()
        if isinstance(best, str):
            tell(best)
            return FAULT_EXIT
        network = settings.network
        extras = "BatchNorm, skip" if network.batch_norm else ""
        print(
            COLUMNS.row(
                f"{network.hidden_layers}×{network.width}",
                settings.training.batch_size,
                network.activation,
                extras,
                f"{1e3 / best:.3f}",
                f"{best:.0f}",
            ),
            flush=True,
        )
        advance(done)
    return 0


async def best_rate(source: LiveRun, seconds: float) -> float | str:
    """The greatest number of steps a second that a frame tells within this time, or the fault that ended it."""
    best, end = 0.0, None
    while end is None or time.monotonic() < end or best == 0:
        match await source.next_answer():
            case Header():
                end = time.monotonic() + seconds
            case Frame() as frame:
                best = max(best, frame.steps_per_second)
                await asyncio.sleep(min(0.1, seconds / 4))
            case Refused() as refused:
                raise UsageError(refused.setting, refused.problem)
            case Event(kind="fault") as fault:
                return fault.message
    return best
