"""One training run: a trainer, with what is remembered between its frames. The one loop that trains goes through it."""

import time
from collections import deque

from engine.backend import Backend, select_backend
from engine.config import DATASET_NAMES
from engine.datasets import Dataset, load_dataset
from engine.diagnosis import PERSISTENCE, diagnose
from engine.telemetry import LayerMeasurements, Measurement
from engine.threads import limit_threads, threads_for
from engine.trainer import Trainer
from vgtui.recordings.frames import BackendInfo, DatasetInfo, Frame, Header, LayerInfo, Number
from vgtui.training.checkpoint import About, read_checkpoint, write_checkpoint
from vgtui.training.settings import RunSettings

VALIDATION_SECONDS = 1.0
"""While frames come at a screen's pace, the whole validation part is evaluated at most this often."""
RATE_SECONDS = 0.5
"""The span over which steps a second are counted."""


class Run:
    """A trainer with what is remembered between its frames."""

    def __init__(self, settings: RunSettings, previous: "Run | None" = None, among: int = 1) -> None:
        """previous: lends its backend and data where they are the same. among: see limit_threads. Raises UsageError."""
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
                self.backend.name,
                self.backend.device,
                self.settings.network.dtype,
                self.backend.fallback_reason,
                self.settings.threads,
            ),
            network=self.settings.network,
            training=self.settings.training,
            dataset=DatasetInfo(
                self.dataset.name,
                self.dataset.samples,
                self.dataset.features,
                self.dataset.classes,
                None if self.settings.dataset in DATASET_NAMES else self.settings.dataset,
            ),
            layers=tuple(LayerInfo(s.name, s.fan_in, s.fan_out) for s in self.trainer.network.shapes),
        )

    def save(self, path: str, output: str, output_bytes: int) -> str | None:
        """Write a checkpoint of this step, before its frame. Returns why not, where that is not possible."""
        about = About(
            settings=self.settings, output=output, output_bytes=output_bytes, step=self.trainer.step_count,
            recent=tuple(self._recent),
        )  # fmt: skip
        return write_checkpoint(path, about, self.trainer.state())

    def resume(self, path: str) -> About:
        """Go on where a checkpoint was saved. Returns what it tells. Raises UsageError."""
        about, state = read_checkpoint(path, self.settings, self.trainer.state())
        self.trainer.restore(state)
        self._recent.extend(about.recent)
        self._counted_steps = self.trainer.step_count
        return about

    def adopt(self, other: "Run") -> None:
        """Go on from another run's step, with its weights wherever they fit."""
        self.trainer.adopt(other.trainer)
        self._counted_steps = self.trainer.step_count

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
