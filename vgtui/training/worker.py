"""The process that trains: `python -m vgtui.training.worker FD`, with FD its end of the socket.

It waits for commands between two steps, and leaves when the socket closes. It imports no Textual and no plotext.
"""

import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator

from engine.backend import Backend, select_backend
from engine.changes import single_changes
from engine.datasets import Dataset, load_dataset
from engine.diagnosis import PERSISTENCE, diagnose
from engine.errors import UsageError
from engine.probe import probe
from engine.telemetry import LayerMeasurements, Measurement
from engine.threads import limit_threads, threads_for
from engine.trainer import Trainer
from vgtui.recordings.frames import BackendInfo, DatasetInfo, Frame, Header, LayerInfo, Number
from vgtui.training.protocol import (
    Command,
    CommandChannel,
    DisconnectedError,
    Inspect,
    Inspected,
    Pull,
    Refused,
    Restart,
    ShareCores,
    StepOnce,
    Train,
    Tried,
    TryChanges,
)
from vgtui.training.settings import RunSettings

VALIDATION_SECONDS = 1.0
"""While frames come at a screen's pace, the whole validation part is evaluated at most this often."""
RATE_SECONDS = 0.5
"""The span over which steps a second are counted."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    try:
        Worker(CommandChannel(connection)).serve()
    except DisconnectedError:
        return


class Worker:
    """One training run after the other, as the commands say."""

    def __init__(self, channel: CommandChannel) -> None:
        self._channel = channel
        self._run: _Run | None = None
        self._until: int | None = 0
        self._pull: Pull | None = None
        self._among = 1
        self._trials: Iterator[Tried] = iter(())
        self._trying = False

    def serve(self) -> None:
        """Obey until the socket closes, which raises DisconnectedError."""
        while True:
            for command in _with_last_restart_alone(self._receive()):
                self._obey(command)
            if self._run is not None:
                self._answer(self._run)
                self._try_one()
                if self._may_step(self._run):
                    self._run.trainer.step()
                    self._answer(self._run)

    def _receive(self) -> list[Command]:
        """What has come; where nothing can be trained, wait for it, off the clock that counts steps a second."""
        run = self._run
        if run is not None and (self._may_step(run) or self._trying):
            return self._channel.receive(wait=False)
        began = time.perf_counter()
        commands = self._channel.receive(wait=True)
        if run is not None:
            run.idle_seconds += time.perf_counter() - began
        return commands

    def _may_step(self, run: "_Run") -> bool:
        if run.shown_step is None and self._pull is None:
            return False  # its first frame is its initialization, so it waits until somebody asks
        return self._until is None or run.trainer.step_count < self._until

    def _obey(self, command: Command) -> None:
        match command:
            case Inspect(layer):
                self._inspect(layer)
            case TryChanges():
                self._trying = self._run is not None
                self._trials = _trials(self._run) if self._run else iter(())
            case Restart(settings):
                self._restart(settings)
            case Train(until):
                self._until = until
            case StepOnce():
                self._until = (self._run.trainer.step_count if self._run else 0) + 1
            case Pull():
                self._pull = command
            case ShareCores(among):
                self._among = among
                if self._run:
                    self._run.limit_threads(among)

    def _restart(self, settings: RunSettings) -> None:
        try:
            self._run = _Run(settings, self._run, self._among)
            self._trying = False
        except UsageError as error:
            self._channel.send(Refused(error.setting, error.problem))
        except MemoryError as error:
            self._channel.send(Refused("hidden_layers", f"{settings.network.hidden_layers} do not fit: {error}"))
        else:
            # a bound belongs to the run that was left; what it says of the new one is that it waits
            self._until = None if self._until is None else 0
            self._channel.send(self._run.header())

    def _inspect(self, layer: int) -> None:
        if self._run is not None and layer < len(self._run.trainer.network.shapes):
            trainer = self._run.trainer
            self._channel.send(Inspected(trainer.step_count, trainer.inspect(layer)))

    def _try_one(self) -> None:
        """Measure one more single change: no more, so that commands and frames go on in between."""
        if self._trying:
            tried = next(self._trials, None)
            if tried is None:
                self._trying = False
            else:
                self._channel.send(tried)

    def _answer(self, run: "_Run") -> None:
        """Send the frame that was asked for, if it is due: a waiting run shows each of its steps once."""
        if self._pull is None or run.trainer.step_count < self._pull.at or run.shown_step == run.trainer.step_count:
            return
        validate = self._pull.validate or not self._may_step(run)
        self._pull = None
        self._channel.send(run.frame(validate))


def _with_last_restart_alone(commands: list[Command]) -> list[Command]:
    """Of several restarts that came during one step, only the last is meant."""
    last = max((place for place, command in enumerate(commands) if isinstance(command, Restart)), default=0)
    return [command for place, command in enumerate(commands) if place >= last or not isinstance(command, Restart)]


def _trials(run: "_Run") -> Iterator[Tried]:
    network = run.settings.network
    total = len(list(single_changes(network)))
    for number, result in enumerate(probe(network, run.settings.training, run.dataset, run.backend), start=1):
        yield Tried(number, total, result)


class _Run:
    """A trainer with what is remembered between its frames."""

    def __init__(self, settings: RunSettings, previous: "_Run | None", among: int) -> None:
        self.settings = settings
        network, training = settings.network, settings.training
        self.backend: Backend
        self.dataset: Dataset
        if previous and previous.settings.backend == settings.backend:
            self.backend = previous.backend
        else:
            self.backend = select_backend(settings.backend)
        if previous and previous.settings.dataset == settings.dataset:
            self.dataset = previous.dataset
        else:
            self.dataset = load_dataset(settings.dataset)
        self.limit_threads(among)
        self.trainer = Trainer(network, training, self.dataset, self.backend)
        self.shown_step: int | None = None
        self._recent: deque[LayerMeasurements] = deque(maxlen=PERSISTENCE)
        self._validation_accuracy = float("nan")
        self._validated_at = float("-inf")
        self.idle_seconds = 0.0
        self._rate = 0.0
        self._counted_from = time.perf_counter()
        self._counted_steps = 0

    def limit_threads(self, among: int) -> None:
        """Take as many threads as the user says or the rule gives, of which `among` runs get a part each."""
        rule = threads_for(self.settings.network, self.settings.training)
        limit_threads(self.settings.threads or max(1, rule // among))

    def header(self) -> Header:
        return Header(
            backend=BackendInfo(
                self.backend.name, self.backend.device, self.settings.network.dtype, self.backend.fallback_reason
            ),
            network=self.settings.network,
            training=self.settings.training,
            dataset=DatasetInfo(self.dataset.name, self.dataset.samples, self.dataset.features, self.dataset.classes),
            layers=tuple(LayerInfo(s.name, s.fan_in, s.fan_out) for s in self.trainer.network.shapes),
        )

    def frame(self, always_validate: bool) -> Frame:
        now = time.perf_counter()
        validate = always_validate or now - self._validated_at >= VALIDATION_SECONDS
        measurement = self.trainer.measure(validate)
        if validate:
            self._validated_at = now
            self._validation_accuracy = measurement.validation_accuracy
        self.shown_step = measurement.step
        self._recent.append(measurement.layers)
        return self._as_frame(measurement)

    def _as_frame(self, measurement: Measurement) -> Frame:
        return Frame(
            step=measurement.step,
            epoch=measurement.epoch,
            loss=Number(measurement.loss),
            accuracy=Number(measurement.accuracy),
            validation_accuracy=Number(self._validation_accuracy),
            steps_per_second=self._steps_per_second(),
            layers=measurement.layers,
            verdict=diagnose(self.settings.network, self.settings.training, self._recent),
        )

    def _steps_per_second(self) -> float:
        now = time.perf_counter()
        elapsed = now - self._counted_from - self.idle_seconds
        steps = self.trainer.step_count - self._counted_steps
        if steps and (elapsed >= RATE_SECONDS or self._rate == 0):
            self._rate = steps / elapsed
            self._counted_from, self._counted_steps, self.idle_seconds = now, self.trainer.step_count, 0.0
        return self._rate


if __name__ == "__main__":
    main()
