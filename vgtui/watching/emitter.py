"""What a training script of any framework gives to viewers and recordings: names and norms in, frames out."""

import atexit
import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.diagnosis import PERSISTENCE
from engine.model_diagnosis import ModelLayer, diagnose_model
from engine.telemetry import LAYER_FIELDS, LayerMeasurements
from vgtui.recordings.frames import BackendInfo, Event, Frame, Header, LayerInfo, ModelInfo, Number, encode_line
from vgtui.recordings.writer import Recorder
from vgtui.watching.cadence import Cadence
from vgtui.watching.publisher import Publisher

log = logging.getLogger("vgtui")

LONGEST_NOTE = 10_000
"""Characters of a note; the rest is left out."""
GRADIENTS = ("grad_norm", "grad_norm_min", "grad_norm_max")


class Emitter:
    """Gives frames to `vgtui attach`, and into a recording where `record` names one.

    layers: the names of the layers with weights, from the input to the output, or what there is to say of each; without
    them, begin() says it later. every: how often there is to be a frame, "100ms", or a number of steps.
    Raises UsageError for a recording that cannot be made, or a wrong `every`.
    """

    def __init__(
        self,
        layers: Sequence[str | LayerInfo] = (),
        *,
        name: str = "model",
        framework: str = "",
        device: str = "",
        dtype: str = "",
        optimizer: str | None = None,
        parameters: int | None = None,
        every: str | int = "100ms",
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        self.name = name
        self._cadence = Cadence(every)
        self._recorder = Recorder(os.fspath(record)) if record is not None else None
        self._header: Header | None = None
        self._framework = framework
        self._layers: list[ModelLayer] = []
        self._recent: deque[LayerMeasurements] = deque(maxlen=PERSISTENCE)
        self._at: tuple[int, float] | None = None
        self._rate = 0.0
        self._step = 0
        self._publisher: Publisher | None = None
        try:
            self._publisher = Publisher(name)
        except OSError as error:
            log.warning("vgtui: nobody can attach to %s: %s", name, error)
        atexit.register(self.close)
        if layers:
            infos = tuple(LayerInfo(entry, 0, 0) if isinstance(entry, str) else entry for entry in layers)
            self.begin(
                ModelInfo(name, framework, parameters, optimizer), BackendInfo(framework, device, dtype, None), infos
            )

    @property
    def path(self) -> str | None:
        """The socket; None where there is none."""
        return str(self._publisher.path) if self._publisher else None

    @property
    def wanted(self) -> bool:
        """Whether anybody looks: a viewer that waits for a frame, or a recording."""
        return self._recorder is not None or (self._publisher is not None and self._publisher.wanted)

    def is_due(self, step: int) -> bool:
        """Whether a frame is wanted, and it is time for one. Ask it before you compute what a frame takes."""
        return self.wanted and self._cadence.is_due(step)

    def took(self, seconds: float) -> None:
        """So long the last frame has held the training up: the next comes late enough that this is hardly felt."""
        self._cadence.took(seconds)

    def begin(self, model: ModelInfo, backend: BackendInfo, layers: tuple[LayerInfo, ...]) -> None:
        """A run begins: what is trained, and where."""
        self._header = Header(backend=backend, model=model, layers=layers)
        self._framework = model.framework
        self._layers = [ModelLayer(info.name, info.kind, info.activation, units=_units(info)) for info in layers]
        self._recent.clear()
        if self._recorder:
            self._record(self._header)
        if self._publisher and (line := self._encoded(self._header)):
            self._publisher.begin(line)

    def emit(
        self,
        step: int,
        grad_norm: ArrayLike,
        *,
        loss: float | None = None,
        accuracy: float | None = None,
        validation_accuracy: float | None = None,
        clip_factor: float | None = None,
        **fields: ArrayLike,
    ) -> None:
        """Give a frame: after `step` updates, a gradient norm for every layer.

        fields: further ones of LayerMeasurements, such as weight_norm. Everywhere, NaN is a NaN that was measured, and
        a masked entry is unknown. Raises ValueError for numbers that do not fit the layers.
        """
        if self._header is None:
            raise ValueError("no layers are known yet: give them to Emitter(layers), or call begin()")
        self._cadence.begin(step)
        measured = self._measurements({"grad_norm": grad_norm, **fields})
        # what an update takes is what explodes or not, so a verdict is on what clipping leaves
        left = 1.0 if clip_factor is None else clip_factor
        self._recent.append(replace(measured, **{name: getattr(measured, name) * left for name in GRADIENTS}))
        self._step = step
        frame = Frame(
            step=step,
            loss=None if loss is None else Number(loss),
            accuracy=None if accuracy is None else Number(accuracy),
            validation_accuracy=None if validation_accuracy is None else Number(validation_accuracy),
            steps_per_second=self._steps_per_second(step),
            layers=measured,
            verdict=diagnose_model(self._layers, self._framework, self._recent),
            clip_factor=msgspec.UNSET if clip_factor is None else Number(clip_factor),
        )
        if self._recorder:
            self._record(frame)
        if self._publisher and self._publisher.wanted and (line := self._encoded(frame)):
            self._publisher.publish(line)

    def note(self, message: str) -> None:
        """Something that who looks should know."""
        words = message[:LONGEST_NOTE].encode(errors="replace").decode()
        event = Event(step=self._step, kind="note", message=words)
        if self._recorder:
            self._record(event)
        if self._publisher and (line := self._encoded(event)):
            self._publisher.tell(line)

    def close(self) -> None:
        """The training has ended: viewers are told so, the recording is complete."""
        atexit.unregister(self.close)
        publisher, self._publisher = self._publisher, None
        if publisher:
            publisher.close()
        recorder, self._recorder = self._recorder, None
        if recorder:
            try:
                recorder.close()
            except OSError as error:
                self._lost(recorder, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _encoded(self, line: Header | Frame | Event) -> bytes | None:
        """For viewers. After a line that none of them could read, nobody can attach any more."""
        try:
            return encode_line(line)
        except OSError as error:
            publisher, self._publisher = self._publisher, None
            assert publisher
            publisher.close()
            log.warning("vgtui: nobody can attach to %s any more: %s", ascii(self.name), error.strerror)
            return None

    def _record(self, line: Header | Frame | Event) -> None:
        assert self._recorder
        try:
            self._recorder.write(line)
        except OSError as error:
            recorder, self._recorder = self._recorder, None
            recorder.abandon()
            self._lost(recorder, error)

    def _lost(self, recorder: Recorder, error: OSError) -> None:
        log.warning("vgtui: the recording %s ends here, what was written stays: %s", recorder.path, error.strerror)

    def _measurements(self, given: dict[str, ArrayLike]) -> LayerMeasurements:
        if unknown := given.keys() - set(LAYER_FIELDS):
            raise ValueError(f"{min(unknown)!r} is no field of a layer; there are {', '.join(LAYER_FIELDS)}")
        count = len(self._layers)
        values = {name: _vector(name, numbers, count) for name, numbers in given.items()}
        for extreme in GRADIENTS[1:]:  # nothing was measured in between
            values.setdefault(extreme, values["grad_norm"])
        for name in LAYER_FIELDS:
            if name not in values:
                values[name] = np.ma.MaskedArray(np.zeros(count), mask=True)
        return LayerMeasurements(**values)  # type: ignore[arg-type]

    def _steps_per_second(self, step: int) -> float:
        now = time.monotonic()
        if self._at is not None and step > self._at[0] and now > self._at[1]:
            self._rate = (step - self._at[0]) / (now - self._at[1])
        self._at = step, now
        return self._rate


def _vector(name: str, numbers: ArrayLike, count: int) -> NDArray[np.float64]:
    values = np.ma.asarray(numbers, dtype=np.float64) if isinstance(numbers, np.ma.MaskedArray) else numbers
    values = values if isinstance(values, np.ma.MaskedArray) else np.asarray(numbers, dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(f"{name} has the shape {values.shape}; it takes a number for each of the {count} layers")
    return np.ma.MaskedArray(values) if name in ("saturated", "dead", "update_ratio") else values


def _units(info: LayerInfo) -> int:
    """How many outputs or channels a layer has, where that is known."""
    return info.shape[0] if info.kind != "Embedding" and info.shape else info.fan_out
