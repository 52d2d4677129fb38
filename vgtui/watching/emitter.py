"""Frames for viewers and recordings from a training script of any framework: names and norms in, frames out."""

import atexit
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import index
from typing import Any, Self, SupportsFloat

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import UsageError
from engine.model_diagnosis import ModelDiagnosis, ModelLayer
from engine.observations import Observations
from engine.telemetry import ALL_FIELDS, LAYER_FIELDS, OPTIONAL_FIELDS, SIGNED_FIELDS, LayerMeasurements
from engine.verdict import Verdict
from vgtui.recordings.flight_recorder import FlightRecorder
from vgtui.recordings.reader import RecordingReader
from vgtui.recordings.writer import Recorder
from vgtui.watching.cadence import Cadence
from vgtui.watching.errors import ArgumentError
from vgtui.watching.keep import keep_of
from vgtui.watching.publisher import Publisher
from vgtui.watching.trackers import Log, Tracker
from vgtui.wire.frames import (
    BackendInfo,
    Event,
    Frame,
    Header,
    LayerInfo,
    ModelInfo,
    Number,
    RankInfo,
    TimeProfile,
    encode_line,
)

log = logging.getLogger("vgtui")

MAX_NOTE_LENGTH = 10_000
"""Characters of a note; the rest is left out."""
MAX_RUNS = 10_000
"""Recordings of one name, which are numbered."""
GRADIENTS = ("grad_norm", "grad_norm_min", "grad_norm_max")


class Emitter:
    """Gives frames to `vgtui attach`, and to a recording.

    Whatever goes wrong is logged, and the training goes on, even if no recording or no socket can be made. Only
    arguments that are plainly wrong raise, here and in every method: ArgumentError, a TypeError.
    """

    def __init__(
        self,
        layers: Iterable[str | LayerInfo] = (),
        *,
        name: str = "model",
        framework: str = "",
        device: object = "",
        dtype: object = "",
        optimizer: object = None,
        parameters: int | None = None,
        every: str | int = "100ms",
        record: str | os.PathLike[str] | None = None,
        keep: str | None = None,
        log: Log | None = None,
        log_layers: bool = False,
    ) -> None:
        """Open a socket for viewers, and a recording if one is wanted.

        Args:
            layers: The names of the layers with weights, from the input to the output, or a LayerInfo of each. Without
                them, call begin() before the first frame.
            name: The name for `vgtui attach`.
            framework: What the model is written in.
            device: Where it is trained.
            dtype: The type of its numbers.
            optimizer: The name of its optimizer.
            parameters: The number of its parameters.
            every: How often a frame is due: a time such as "100ms", or a number of steps.
            record: A file that keeps every frame, for `vgtui replay`; a number is added where there is one already.
            keep: For how long `record` keeps every frame, such as "10min": of what is older ever fewer are left, but
                for those around a spike, a NaN or a new verdict. Without it, all are kept.
            log: Called with a few numbers of each frame, and its step, such as wandb.log.
            log_layers: Whether `log` gets the numbers of each layer too.

        Raises:
            ArgumentError: An argument is plainly wrong.
        """
        self._cadence = Cadence(every)
        infos = _layers(layers)
        if not isinstance(name, str):
            raise ArgumentError("name", f"{name!r} is not a word")
        self.name = _encodable(name)
        model = ModelInfo(
            self.name, str(framework), _count(parameters), optimizer if optimizer is None else str(optimizer)
        )
        self._header: Header | None = None
        self._framework = model.framework
        self._diagnosis = ModelDiagnosis((), model.framework)
        self._verdict: Verdict | None = None
        self._is_asked = False
        self._at: tuple[int, float] | None = None
        self._rate = 0.0
        self._step = 0
        self._owner: int | None = os.getpid()
        """The process that gives frames; None in a copy."""
        self._publisher: Publisher | None = None
        header = self._make_header(model, BackendInfo(model.framework, str(device), str(dtype), None), infos)
        self._tracker = None if log is None else Tracker(log, log_layers)
        self._recorder = self._make_recorder(record, keep)
        with self._guarded():
            self._publisher = self._make_publisher()
            atexit.register(self.close)
            if header:
                self._begin(header)

    @property
    def path(self) -> str | None:
        """The socket that viewers attach to; None if there is none."""
        return str(self._publisher.path) if self._publisher else None

    @property
    def wanted(self) -> bool:
        """Whether a viewer waits for a frame, a recording keeps them, or a tracker logs them."""
        is_kept = self._recorder is not None or (self._tracker is not None and self._tracker.is_wanted)
        if not is_kept and not (self._publisher is not None and self._publisher.wanted):
            return False
        return self._is_ours()

    def is_due(self, step: int) -> bool:
        """Return whether a frame is wanted and due after `step` updates. Ask before you compute what a frame takes."""
        return self.wanted and self._cadence.is_due(_step(step))

    def is_due_for_verdict(self, step: int) -> bool:
        """Return whether a frame is due after `step` updates, though nobody may wait for it: the verdict needs some."""
        if self.wanted or self._is_asked:
            return self._cadence.is_due(_step(step))
        return self._is_ours() and self._cadence.is_due(_step(step), is_seen=False)

    def steps_between(self, step_seconds: float) -> int:
        """Return how many steps lie between two frames now, where a step takes so many seconds."""
        return self._cadence.steps_between(step_seconds, self.wanted or self._is_asked)

    @property
    def verdict(self) -> Verdict | None:
        """The newest verdict; None before the first frame. From the first time it is asked for, frames are due."""
        self._is_asked = True
        return self._verdict

    def took(self, seconds: float) -> None:
        """Note how many seconds the last frame held the training up; the next one is due accordingly later."""
        if (held_up := _number("seconds", seconds)) is not None and np.isfinite(held_up):
            self._cadence.took(float(held_up))

    @property
    def is_paced_by_steps(self) -> bool:
        """Whether the user has said which steps are measured, and not how often."""
        return self._cadence.is_paced_by_steps

    def parts(self, seconds: float, least: float = 0.0) -> int:
        """Return in how many frames to measure what takes so many seconds, so that there is one each second.

        Args:
            seconds: The time of all in one.
            least: That of the smallest frame.
        """
        return self._cadence.parts(seconds, least)

    def begin(self, model: ModelInfo, backend: BackendInfo, layers: Iterable[LayerInfo]) -> None:
        """Begin a run.

        Args:
            model: What is trained.
            backend: Where it is trained.
            layers: The layers with weights, from the input to the output.

        Raises:
            ArgumentError: There are no layers, or they cannot be written.
        """
        header = self._make_header(model, backend, _layers(layers))
        if header is None:
            raise ArgumentError("layers", "there are none; it takes one for each layer with weights")
        if self._is_ours():
            with self._guarded():
                self._begin(header)

    def emit(
        self,
        step: int,
        grad_norm: ArrayLike,
        *,
        loss: SupportsFloat | None = None,
        accuracy: SupportsFloat | None = None,
        validation_accuracy: SupportsFloat | None = None,
        clip_factor: SupportsFloat | None = None,
        observed: Observations | None = None,
        fresh: Sequence[int] | None = None,
        is_partial: bool = False,
        ranks: tuple[RankInfo, ...] = (),
        **fields: ArrayLike,
    ) -> None:
        """Give a frame. In all arrays, NaN is a measured NaN, and a masked entry is unknown.

        Args:
            step: The number of updates so far.
            grad_norm: The norm of each layer's weight gradient, (layers,).
            loss: The loss.
            accuracy: The accuracy on the batch.
            validation_accuracy: The accuracy on the validation data.
            clip_factor: The norm of all gradients after clipping, over that before.
            observed: What else is known of the step, for the verdict.
            fresh: The layers that were measured in this step, if not all; the others have numbers of steps before.
            is_partial: Whether other layers are to be measured before there is another verdict. What is not finite is
                told at once.
            ranks: Each process of a distributed training.
            **fields: Other fields of LayerMeasurements, such as weight_norm, (layers,) each.

        Raises:
            ArgumentError: Something is not a number, or does not fit the layers.
        """
        if not self._is_ours():
            return
        if self._header is None:
            raise ArgumentError("layers", "no layers are known yet: give them to Emitter(layers), or call begin()")
        step = _step(step)
        numbers = [loss, accuracy, validation_accuracy, clip_factor]
        names = ["loss", "accuracy", "validation_accuracy", "clip_factor"]
        loss, accuracy, validation_accuracy, clipped = map(_number, names, numbers)
        with np.errstate(all="ignore"):
            measured = self._measurements({"grad_norm": grad_norm, **fields})
        observed = observed or Observations()
        with self._guarded(), np.errstate(all="ignore"):
            self._cadence.begin(step)
            # the update uses what clipping leaves, so the verdict is on that
            left = 1.0 if clipped is None else clipped
            if self._verdict is None or not (is_partial and _is_finite(loss, measured)):
                self._verdict = self._diagnosis.add(
                    step,
                    replace(measured, **{name: getattr(measured, name) * left for name in GRADIENTS}),
                    loss=loss,
                    accuracy=accuracy,
                    validation_accuracy=validation_accuracy,
                    observed=replace(observed, clip_factor=left),
                )
            self._step = step
            frame = Frame(
                step=step,
                loss=loss,
                accuracy=accuracy,
                validation_accuracy=validation_accuracy,
                steps_per_second=self._steps_per_second(step),
                layers=measured,
                verdict=self._verdict,
                clip_factor=msgspec.UNSET if clipped is None else clipped,
                ties=observed.ties if set(observed.ties) - {"trained"} else msgspec.UNSET,
                through_time=_profiles(observed) or msgspec.UNSET,
                fresh=msgspec.UNSET if fresh is None else tuple(fresh),
                ranks=ranks or msgspec.UNSET,
            )
            self._record(frame)
            if self._tracker and self._header:
                self._tracker.track(self._header, frame)
            if self._publisher and self._publisher.wanted and (line := self._encoded(frame)):
                self._publisher.publish(line)

    def note(self, message: str) -> None:
        """Send a note to viewers, and to the recording."""
        if not self._is_ours():
            return
        with self._guarded():
            event = Event(step=self._step, kind="note", message=_encodable(str(message)[:MAX_NOTE_LENGTH]))
            if self._header:  # a recording begins with a header
                self._record(event)
            if self._publisher and (line := self._encoded(event)):
                self._publisher.tell(line)

    def close(self) -> None:
        """Tell viewers that the training has ended, and complete the recording."""
        if self._is_ours():
            with self._guarded():
                self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Make a copy, deep or pickled, give no frames."""
        return {**self.__dict__, "_publisher": None, "_recorder": None, "_tracker": None, "_owner": None}

    def _is_ours(self) -> bool:
        """Return whether this process gives frames: a forked child has no thread to send them, and no recording."""
        return os.getpid() == self._owner

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Give no more frames after a fault of ours, which is not the training's, and log it once."""
        try:
            yield
        except Exception:
            log.warning(
                "vgtui gives no more frames of %s, the training goes on; please report this", self.name, exc_info=True
            )
            try:
                self._close()
            except Exception:
                log.debug("while giving up", exc_info=True)

    def _make_header(self, model: ModelInfo, backend: BackendInfo, layers: tuple[LayerInfo, ...]) -> Header | None:
        """Make a header; None without layers. Raises ArgumentError if no recording can hold it."""
        if not layers:
            return None
        header = Header(backend=backend, model=model, layers=layers)
        try:
            list(RecordingReader(self.name).feed(encode_line(header)))
        except OSError:
            pass  # too large for any reader, which is logged when it is written
        except Exception as error:
            raise ArgumentError("layers", f"they cannot be sent to a viewer: {error}") from error
        return header

    def _make_recorder(
        self, record: str | os.PathLike[str] | None, keep: str | None
    ) -> Recorder | FlightRecorder | None:
        """Open a recording; None if none is wanted, or if it is not possible, which is logged."""
        seconds = keep_of(record, keep)
        if record is None:
            return None
        if not isinstance(record, str | os.PathLike):
            raise ArgumentError("record", f"{record!r} is not a path")
        try:
            path = _numbered(os.fspath(record))
            return Recorder(path) if seconds is None else FlightRecorder(path, seconds)
        except UsageError as error:
            problem = error.problem
        except Exception as error:  # a path that no system accepts
            problem = f"{record!r}: {error}"
        log.warning("vgtui: %s is not recorded: %s", self.name, problem)
        return None

    def _make_publisher(self) -> Publisher | None:
        """Open a socket; None if it is not possible, which is logged."""
        try:
            return Publisher(self.name)
        except (OSError, RuntimeError) as error:
            log.warning("vgtui: nobody can attach to %s: %s", self.name, error)
            return None

    def _begin(self, header: Header) -> None:
        assert header.model
        self._header = header
        self._framework = header.model.framework
        layers = [
            ModelLayer(info.name, info.kind, info.activation, units=_units(info), is_matrix=info.is_matrix)
            for info in header.layers
        ]
        self._diagnosis = ModelDiagnosis(layers, self._framework)
        self._record(header)
        if self._publisher and (line := self._encoded(header)):
            self._publisher.begin(line)

    def _close(self) -> None:
        atexit.unregister(self.close)
        publisher, self._publisher = self._publisher, None
        recorder, self._recorder = self._recorder, None
        self._tracker = None
        try:
            if recorder:
                recorder.close()
        except OSError as error:
            assert recorder
            self._lost(recorder, error)
        finally:
            if publisher:
                publisher.close()

    def _encoded(self, line: Header | Frame | Event) -> bytes | None:
        """Encode a line for viewers. If none of them could read it, nobody can attach any more."""
        try:
            return encode_line(line)
        except OSError as error:
            publisher, self._publisher = self._publisher, None
            assert publisher
            publisher.close()
            log.warning("vgtui: nobody can attach to %s any more: %s", ascii(self.name), error.strerror)
            return None

    def _record(self, line: Header | Frame | Event) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.write(line)
        except OSError as error:
            recorder, self._recorder = self._recorder, None
            recorder.abandon()
            self._lost(recorder, error)

    def _lost(self, recorder: Recorder | FlightRecorder, error: OSError) -> None:
        log.warning("vgtui: the recording %s ends here, what was written stays: %s", recorder.path, error.strerror)

    def _measurements(self, given: dict[str, ArrayLike]) -> LayerMeasurements:
        if unknown := given.keys() - set(ALL_FIELDS):
            raise ArgumentError(
                "fields", f"{min(unknown)!r} is not a field of a layer; there are {', '.join(ALL_FIELDS)}"
            )
        assert self._header
        count = len(self._header.layers)
        values = {name: _vector(name, numbers, count) for name, numbers in given.items()}
        for extreme in GRADIENTS[1:]:  # only one value was measured
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


def _numbered(path: str) -> str:
    """Return the path of a recording, or that with the next number, such as run-2.jsonl, if there is one already."""
    folder, name = os.path.split(path)
    stem, dot, suffixes = name.partition(".")
    candidates = (path, *(os.path.join(folder, f"{stem}-{number}{dot}{suffixes}") for number in range(2, MAX_RUNS)))
    return next((entry for entry in candidates if not (os.path.isfile(entry) and os.path.getsize(entry))), path)


def _is_finite(loss: float | None, measured: LayerMeasurements) -> bool:
    norms = np.ma.filled(measured.grad_norm, 0.0), np.ma.filled(measured.weight_norm, 0.0)
    return (loss is None or bool(np.isfinite(loss))) and all(np.isfinite(values).all() for values in norms)


class SilentEmitter(Emitter):
    """In other processes than the first: it opens nothing and tells nobody."""

    def __init__(self, *, name: str, every: str | int, **_: Any) -> None:
        self.name = name
        self._cadence = Cadence(every)
        self._publisher = self._recorder = self._tracker = self._verdict = self._owner = None
        self._is_asked = False


def _profiles(observed: Observations) -> tuple[TimeProfile, ...]:
    return tuple(TimeProfile(layer, norm) for layer, norm in sorted(observed.through_time.items()))


def _vector(name: str, numbers: ArrayLike, count: int) -> NDArray[np.float64]:
    try:
        if np.iscomplexobj(numbers):
            raise TypeError("they are complex")
        as_array = np.ma.asarray if isinstance(numbers, np.ma.MaskedArray) else np.asarray
        values: NDArray[np.float64] = as_array(numbers, dtype=np.float64)
    except Exception as error:  # of whatever framework
        raise ArgumentError(name, f"takes numbers: {error}") from error
    if values.shape != (count,):
        problem = f"{name} has the shape {values.shape}; it takes a number for each of the {count} layers"
        raise ArgumentError("fields", problem)
    if name not in SIGNED_FIELDS and (np.ma.filled(values, 0) < 0).any():
        raise ArgumentError(name, "takes no negative number")
    return np.ma.MaskedArray(values) if name in ("saturated", "dead", "update_ratio", *OPTIONAL_FIELDS) else values


def _number(name: str, value: SupportsFloat | None) -> Number | None:
    """Read a number of any framework; None stays None."""
    if value is None or value is np.ma.masked:
        return None
    try:
        return Number(float(value.detach() if hasattr(value, "detach") else value))
    except Exception as error:
        raise ArgumentError(name, f"{type(value).__name__} is not a number: {error}") from error


def _step(step: int) -> int:
    try:
        number = int(step)
    except Exception as error:
        raise ArgumentError("step", f"{step!r} is not a number of updates") from error
    if number < 0:
        raise ArgumentError("step", f"{step!r} is negative")
    return number


def _count(parameters: int | None) -> int | None:
    try:
        return None if parameters is None else index(parameters)
    except TypeError as error:
        raise ArgumentError("parameters", f"{parameters!r} is not a number of parameters") from error


def _layers(layers: Iterable[str | LayerInfo]) -> tuple[LayerInfo, ...]:
    given = None if isinstance(layers, str) or not isinstance(layers, Iterable) else tuple(layers)
    if given is None or not all(isinstance(entry, str | LayerInfo) for entry in given):
        raise ArgumentError("layers", f"{layers!r} is not a list of names")
    return tuple(LayerInfo(_encodable(entry), 0, 0) if isinstance(entry, str) else entry for entry in given)


def _encodable(text: str) -> str:
    """Replace lone surrogates, which a file's name can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _units(info: LayerInfo) -> int:
    """Return how many outputs or channels a layer has, as far as that is known."""
    return info.shape[0] if info.kind != "Embedding" and info.shape else info.fan_out
