"""One training run: a trainer, with what is remembered between its frames. Every loop that trains uses it."""

import gc
import time
from collections import deque

import msgspec

from engine.backend import Backend, select_backend
from engine.datasets import Dataset, load_dataset
from engine.diagnosis import diagnose
from engine.errors import UsageError
from engine.memory import check_memory, estimate_memory
from engine.progress import Progress
from engine.telemetry import LayerMeasurements, Measurement
from engine.threads import limit_threads, threads_for
from engine.trainer import Trainer, check_samples
from engine.verdict import PERSISTENCE
from vgtui.wire.frames import BackendInfo, DatasetInfo, Frame, Header, LayerInfo, Number, RunId
from vgtui.wire.run_settings import RunSettings, file_of
from vgtui.worker.checkpoint import About, read_checkpoint, write_checkpoint

VALIDATION_SECONDS = 1.0
"""How often, at most, frames for a screen are measured on the whole validation part."""
PROGRESS = "progress"
"""The array of a checkpoint that has the losses so far."""
RATE_SECONDS = 0.5
"""The time over which steps per second are counted."""


class Run:
    """A trainer, with what is remembered between its frames."""

    def __init__(
        self,
        settings: RunSettings,
        previous: "Run | None" = None,
        *,
        keep: bool = False,
        among: int = 1,
        run_id: RunId = msgspec.UNSET,
    ) -> None:
        """Allocate a run.

        Args:
            settings: The settings.
            previous: The run before, whose backend and data are used if they are the same. It is released once
                nothing can be refused any more.
            keep: Keep the previous run, and go on from its step, with its weights wherever they fit.
            among: The number of runs that share the cores.
            run_id: The id that its header and frames have.

        Raises:
            UsageError: The settings are not possible, or do not fit into memory.
            MemoryError: The estimate of the memory was too low.
        """
        self.settings = settings
        self.run_id = run_id
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
        check_samples(network, training, self.dataset)
        # a run on another device frees nothing here
        held = _memory_of(previous) if previous and previous.backend is self.backend else 0
        freed, kept = (0, held) if keep else (held, 0)
        check_memory(network, training, self.dataset, self.backend, freed=freed, kept=kept, concurrent_runs=among)
        if previous and not keep:
            previous.release()
        self.limit_threads(among)
        self.trainer: Trainer = Trainer(network, training, self.dataset, self.backend, kept=kept)
        self.released = False
        self.shown_step: int | None = None
        self._recent: deque[LayerMeasurements] = deque(maxlen=PERSISTENCE)
        self._progress = Progress(self.trainer.guess_loss)
        self._validation_accuracy = float("nan")
        self._validated_at = float("-inf")
        self.idle_seconds = 0.0
        self._rate = 0.0
        self._counted_from = time.perf_counter()
        self._counted_steps = 0
        if previous and keep:
            self.trainer.adopt(previous.trainer)
            self._counted_steps = self.trainer.step_count

    def release(self) -> None:
        """Free what the run holds, for the next one. It is of no use afterwards."""
        del self.trainer
        self.released = True
        gc.collect()

    def limit_threads(self, among: int) -> None:
        """Use as many threads as the settings say, or else this run's part of what the rule gives `among` runs."""
        rule = threads_for(self.settings.network, self.settings.training)
        limit_threads(self.settings.threads or max(1, rule // among))

    def header(self) -> Header:
        """Describe the run."""
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
                file_of(self.settings.dataset),
                self.trainer.input_mean_square,
            ),
            layers=tuple(LayerInfo(s.name, s.fan_in, s.fan_out) for s in self.trainer.network.shapes),
            run=self.run_id,
        )

    def save(self, path: str, output: str, output_bytes: int) -> str | None:
        """Write a checkpoint of this step, before its frame.

        Args:
            path: The file.
            output: Where the frames go.
            output_bytes: How much of that there is by now.

        Returns:
            Why it could not be written, or None.
        """
        about = About(
            settings=self.settings, output=output, output_bytes=output_bytes, step=self.trainer.step_count,
            recent=tuple(self._recent),
        )  # fmt: skip
        return write_checkpoint(path, about, self.trainer.state() | {PROGRESS: self._progress.state()})

    def resume(self, path: str) -> About:
        """Go on where a checkpoint was saved.

        Args:
            path: The file.

        Returns:
            What the checkpoint says of its run.

        Raises:
            UsageError: It cannot be read, is not a checkpoint, or is of another run.
        """
        like = self.trainer.state() | {PROGRESS: self._progress.state()}
        about, state = read_checkpoint(path, self.settings, like, optional=(PROGRESS,))
        try:
            if PROGRESS in state:
                self._progress.restore(state.pop(PROGRESS))
        except ValueError as error:
            raise UsageError("checkpoint", f"{path} is damaged: {error}") from error
        self.trainer.restore(state)
        self._recent.extend(about.recent)
        self._counted_steps = self.trainer.step_count
        return about

    def frame(self, always_validate: bool) -> Frame:
        """Measure this step.

        Args:
            always_validate: Measure on the whole validation part, however short ago the last time was.
        """
        now = time.perf_counter()
        validate = always_validate or now - self._validated_at >= VALIDATION_SECONDS
        measurement = self.trainer.measure(validate)
        if validate:
            self._validated_at = now
            self._validation_accuracy = measurement.validation_accuracy
        self.shown_step = measurement.step
        self._recent.append(measurement.layers)
        validated = measurement.validation_accuracy if validate else None
        self._progress.add(measurement.step, measurement.loss, measurement.accuracy, validated)
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
            verdict=diagnose(self.settings.network, self.settings.training, self._recent, self._progress.judge()),
            run=self.run_id,
        )

    def _steps_per_second(self) -> float:
        now = time.perf_counter()
        elapsed = now - self._counted_from - self.idle_seconds
        steps = self.trainer.step_count - self._counted_steps
        if steps and (elapsed >= RATE_SECONDS or self._rate == 0):
            self._rate = steps / elapsed
            self._counted_from, self._counted_steps, self.idle_seconds = now, self.trainer.step_count, 0.0
        return self._rate


def _memory_of(run: Run) -> int:
    """Estimate how many bytes a run holds."""
    return 0 if run.released else estimate_memory(run.settings.network, run.settings.training, run.dataset)
