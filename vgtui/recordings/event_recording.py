"""A run of TensorBoard as a recording: a frame at each step at which a gradient was written, with the verdict on it."""

import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.model_diagnosis import ModelDiagnosis, ModelLayer
from engine.telemetry import LAYER_FIELDS, LayerMeasurements
from vgtui.recordings.event_files import read_event_log, some
from vgtui.recordings.event_tags import NO_MATRIX, TaggedRun, TagRule, find_tags
from vgtui.wire.frames import BackendInfo, Event, Frame, Header, LayerInfo, Line, ModelInfo, Number, encode_line

BACKEND = "TensorBoard"
PERCENT = 100.0


def event_recording(path: str, rule: TagRule) -> tuple[BufferedReader, list[str]]:
    """Make a recording of event files.

    Args:
        path: An event file, or the folder of a run.
        rule: What the user says of tags.

    Returns:
        The recording, open for reading, and the remarks in it. The file has no name, and is gone when it is closed.

    Raises:
        UsageError: There is no run, or no gradient in it.
    """
    file = cast(BufferedReader, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
    remarks: list[str] = []
    try:
        for line in event_lines(path, rule):
            file.write(encode_line(line))
            if isinstance(line, Event):
                remarks.append(line.message)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, remarks


def event_lines(path: str, rule: TagRule) -> Iterator[Line]:
    """Give the header, remarks and frames of event files. Raises UsageError as event_recording() does."""
    log = read_event_log(path)
    run = find_tags(log, rule, path)
    place = Path(path)
    layers = tuple(LayerInfo(name, 0, 0, is_matrix=not NO_MATRIX.search(name)) for name in run.layers)
    name = (place if place.is_dir() else place.absolute().parent).resolve().name
    steps = sorted({step for series in run.gradients.values() for step in series})
    if not steps:
        raise UsageError("FILE", f"{path} has no gradient whose norm is known: {'; '.join(log.remarks)}")
    yield Header(backend=BackendInfo(BACKEND, "", "", None), model=ModelInfo(name, ""), layers=layers)
    for remark in (*_remarks(run), *log.remarks):
        yield Event(step=steps[0], kind="note", message=remark)
    yield from _frames(run, steps, layers, log.times)


def _frames(
    run: TaggedRun, steps: list[int], layers: tuple[LayerInfo, ...], times: dict[int, float]
) -> Iterator[Frame]:
    diagnosis = ModelDiagnosis([ModelLayer(info.name, "", is_matrix=info.is_matrix) for info in layers], "")
    loss, accuracy, validation = (
        _Lookup(run.numbers.get(name, {}), is_share=name != "loss")
        for name in ("loss", "accuracy", "validation_accuracy")
    )
    before = -1
    for step in steps:
        numbers = _Numbers(loss.at(before, step), accuracy.at(before, step), validation.at(before, step))
        with np.errstate(all="ignore"):
            measured = _measurements(run, step)
            verdict = diagnosis.add(step, measured, **numbers._asdict())
        elapsed = times.get(step, 0.0) - times.get(before, 0.0) if before >= 0 else 0.0
        yield Frame(
            step=step,
            steps_per_second=(step - before) / elapsed if elapsed > 0 else 0.0,
            layers=measured,
            verdict=verdict,
            **numbers._asdict(),
        )
        before = step


class _Numbers(NamedTuple):
    """The numbers of a frame that are not of a layer."""

    loss: Number | None
    accuracy: Number | None
    validation_accuracy: Number | None


def _measurements(run: TaggedRun, step: int) -> LayerMeasurements:
    """What is known of the layers at a step; everything else is unknown."""
    norms = _column([run.gradients[name].get(step) for name in run.layers])
    values = {name: _column([None] * len(run.layers)) for name in LAYER_FIELDS}
    values.update(grad_norm=norms, grad_norm_min=norms, grad_norm_max=norms)
    values["weight_norm"] = _column([run.weights.get(name, {}).get(step) for name in run.layers])
    return LayerMeasurements(**values)  # type: ignore[arg-type]


def _column(numbers: list[float | None]) -> NDArray[np.float64]:
    known = [0.0 if number is None else number for number in numbers]
    return np.ma.MaskedArray(np.array(known, dtype=np.float64), mask=[number is None for number in numbers])


class _Lookup:
    """A number that was not always written at the steps of the gradients."""

    def __init__(self, series: dict[int, float], is_share: bool) -> None:
        self._steps = sorted(series)
        scale = PERCENT if is_share and any(1 < value <= PERCENT for value in series.values()) else 1.0
        self._values = [series[step] / scale for step in self._steps]

    def at(self, before: int, step: int) -> Number | None:
        """The last value after the frame before, up to this step; None if there is none."""
        place = bisect_right(self._steps, step) - 1
        if place < 0 or self._steps[place] <= before:
            return None
        return Number(self._values[place])


def _remarks(run: TaggedRun) -> Iterator[str]:
    """What the numbers are, and what is unknown."""
    sources = {"histograms": "histograms, whose sums of squares are stored", "scalars": "scalars"}
    words = f"the gradient norms are of {' and of '.join(sources[kind] for kind in run.kinds)}"
    for name, tag in run.tags.items():
        words += f"; {name.replace('_', ' ')} is {tag}"
    if "loss" not in run.tags:
        words += "; the loss is unknown (--tag loss=TAG says which tag it is)"
    yield f"{words}. The layers are in the order in which their gradients were written"
    if run.left_out:
        yield f"gradients whose norm is unknown are left out: {some(run.left_out)}"
