"""The frame format: what a run says, as JSON Lines. Sockets, files and pipes have the same lines.

A non-finite number is the string "NaN", "Infinity" or "-Infinity"; what is unknown is null. A `Number` and the arrays
of a frame hold these as NaN, ∞ and masked entries. An array is masked where anything in it is unknown.
"""

import errno
import math
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, get_origin

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.config import NetworkConfig, TrainingConfig
from engine.observations import Tie
from engine.telemetry import LayerMeasurements
from engine.verdict import Verdict

FORMAT = "vgtui-frames"
VERSION = 1
LANES_VERSION = 2
"""The version of a lane's header: a vgtui that does not know lanes would take two of them for one run."""
LINE_LIMIT = 2**26
"""Bytes of the longest line that is read or written: a frame of 10 000 layers has 3 MB."""

Number: TypeAlias = np.float64
"""A float that may be non-finite. Unlike a plain float, msgspec leaves it to the hooks below."""
LaneName: TypeAlias = Literal["A", "B"]


class BackendInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a run computes.

    Attributes:
        name: The backend.
        device: The device.
        dtype: The type of its numbers.
        fallback_reason: Why it is not a GPU, if it could have been one.
        threads: BLAS threads; None if the rule chooses.
    """

    name: str
    device: str
    dtype: str
    fallback_reason: str | None
    threads: int | None = None


class DatasetInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run learns from.

    Attributes:
        name: The data set.
        samples: The number of samples.
        features: The number of features.
        classes: The number of classes.
        path: The absolute path of a user's own file.
        mean_square: The mean square of the standardized inputs of the training part; below 1 if features never change.
    """

    name: str
    samples: int
    features: int
    classes: int
    path: str | None = None
    mean_square: float = 1.0


class LayerInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A layer with weights.

    Attributes:
        name: Its name.
        fan_in: Its number of inputs.
        fan_out: Its number of outputs.
        kind: Of a watched model, the framework's word for it, such as Conv2d.
        shape: Of a watched model, the shape of its weight.
        activation: Of a watched model, the framework's word for the activation after it, if it is known.
        is_matrix: Whether its weight mixes inputs, unlike a norm's scale, an embedding or a token.
    """

    name: str
    fan_in: int
    fan_out: int
    kind: str = ""
    shape: tuple[int, ...] = ()
    activation: str = ""
    is_matrix: bool = True


class ModelInfo(msgspec.Struct, frozen=True):
    """A watched model: its name, what it is written in, the number of its parameters and its optimizer."""

    name: str
    framework: str
    parameters: int | None = None
    optimizer: str | None = None


class OwnRun(NamedTuple):
    """A run that vgtui itself trains."""

    network: NetworkConfig
    training: TrainingConfig
    dataset: DatasetInfo


RunId: TypeAlias = int | msgspec.UnsetType
"""Tells the runs of one training process apart; each restart has another. Unset if there is only one run."""


class Header(msgspec.Struct, frozen=True, tag_field="type", tag="header", kw_only=True):
    """The first line: all that stays the same until the next header, or the next one of its lane.

    It has either a network, its training and a data set, or a model.

    Attributes:
        format: FORMAT.
        version: VERSION, or LANES_VERSION with a lane.
        backend: Where the run computes.
        network: The network that vgtui trains.
        training: How it is trained.
        dataset: What it learns from.
        model: The watched model.
        layers: The layers with weights, from the input to the output.
        run: The id that the frames of the run repeat.
        lane: Which of two compared runs it is of. A header without a lane ends the comparison.
        continues: The lane whose run goes on under this header, "" for the only run. Without it, another run begins.
    """

    format: str = FORMAT
    version: int = VERSION
    backend: BackendInfo
    network: NetworkConfig | None = None
    training: TrainingConfig | None = None
    dataset: DatasetInfo | None = None
    model: ModelInfo | None = None
    layers: tuple[LayerInfo, ...]
    run: RunId = msgspec.UNSET
    lane: LaneName | msgspec.UnsetType = msgspec.UNSET
    continues: LaneName | Literal[""] | msgspec.UnsetType = msgspec.UNSET

    @property
    def own(self) -> OwnRun | None:
        """The run that vgtui itself trains; None for a watched model."""
        if self.network and self.training and self.dataset:
            return OwnRun(self.network, self.training, self.dataset)
        return None


class TimeProfile(msgspec.Struct, frozen=True):
    """The norm of the error signal of a layer that runs over time, at each step of time, the first step first."""

    layer: int
    norm: NDArray[np.float64]


class RankInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process of a distributed training at a step; what did not come in time is unknown.

    Attributes:
        rank: Its number.
        loss: The loss of its own batch.
        norm: The norm of the gradients that it made itself, before they are exchanged.
        seconds: The time of its step.
        own_seconds: The time of its step until backpropagation began, before ranks wait for each other.
    """

    rank: int
    loss: Number | None = None
    norm: Number | None = None
    seconds: Number | None = None
    own_seconds: Number | None = None


class Frame(msgspec.Struct, frozen=True, tag_field="type", tag="frame", kw_only=True):
    """A run at one step.

    Attributes:
        step: The number of updates so far.
        epoch: The number of passes through the data so far.
        loss: The loss of the batch.
        accuracy: The accuracy on the batch.
        validation_accuracy: The accuracy on the validation data.
        steps_per_second: How fast the run trains, excluding idle time.
        layers: The measurements of all layers.
        verdict: The diagnosis.
        clip_factor: The norm of all gradients after clipping, over that before; unset if only one was measured.
        ties: How each layer of a watched model is tied to the training; unset if all are trained.
        through_time: The profiles of the layers that run over time; unset if there are none.
        fresh: The indices of the layers that were measured at this step, where the others have the numbers of steps
            before; unset if all were.
        ranks: Each process of a distributed training; unset if there is one.
        run: The id in its header.
        lane: The lane of its header.
    """

    step: int
    epoch: int | None = None
    loss: Number | None = None
    accuracy: Number | None = None
    validation_accuracy: Number | None = None
    steps_per_second: float
    layers: LayerMeasurements
    verdict: Verdict
    clip_factor: Number | msgspec.UnsetType = msgspec.UNSET
    ties: tuple[Tie, ...] | msgspec.UnsetType = msgspec.UNSET
    through_time: tuple[TimeProfile, ...] | msgspec.UnsetType = msgspec.UNSET
    fresh: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    ranks: tuple[RankInfo, ...] | msgspec.UnsetType = msgspec.UNSET
    run: RunId = msgspec.UNSET
    lane: LaneName | msgspec.UnsetType = msgspec.UNSET


class Event(msgspec.Struct, frozen=True, tag_field="type", tag="event", kw_only=True):
    """Something between two frames: a change of the network, a fault, or a note."""

    step: int
    kind: Literal["change", "fault", "note"]
    network: NetworkConfig | None = None
    message: str
    lane: LaneName | msgspec.UnsetType = msgspec.UNSET


Line: TypeAlias = Header | Frame | Event
OneLine = TypeVar("OneLine", bound=Line)
Kept = TypeVar("Kept")


def in_lane(line: OneLine, name: str, continues: str | msgspec.UnsetType = msgspec.UNSET) -> OneLine:
    """Put a line into a lane.

    Args:
        line: A line of any lane.
        name: The lane, "" for the only run.
        continues: Of a header, the lane whose run goes on under it.

    Returns:
        The line with its lane.
    """
    lane = name or msgspec.UNSET
    if not isinstance(line, Header):
        return line if line.lane == lane else msgspec.structs.replace(line, lane=lane)
    version = LANES_VERSION if name else VERSION
    return msgspec.structs.replace(line, version=version, lane=lane, continues=continues)


def carried(kept: dict[str, Kept], header: Header) -> dict[str, Kept]:
    """Carry what is kept for each lane past a header.

    Args:
        kept: What is kept, by the name of the lane, "" for the only run.
        header: The next header.

    Returns:
        What is kept after the header: it moves with a run that goes on, and a comparison that ends leaves nothing of
        the other lane.
    """
    after = dict(kept) if header.lane else {}
    source = (header.lane or "") if header.continues is msgspec.UNSET else header.continues
    after.pop(source, None)
    if source in kept:
        after[header.lane or ""] = kept[source]
    return after


def encode_line(message: Any) -> bytes:
    """Encode a message as one line of JSON, with its newline.

    Raises:
        OSError: No reader would take the line: it is longer than LINE_LIMIT, or has text that is not UTF-8.
    """
    try:
        line = _encoder.encode(message) + b"\n"
    except UnicodeEncodeError as error:
        raise OSError(errno.EILSEQ, f"{error.object[:80]!r} is not UTF-8") from error
    if len(line) > LINE_LIMIT:
        raise OSError(errno.EMSGSIZE, f"a line of {len(line)} bytes, where {LINE_LIMIT} are read at most")
    return line


def number_text(value: float) -> str | float:
    """Return a number as it is written in JSON."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _encode_other(value: object) -> object:
    if isinstance(value, np.floating):
        return number_text(float(value))
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        if np.isfinite(np.ma.filled(value, 0.0)).all():
            return value.tolist()  # None where it is masked
        return [None if entry is None else number_text(entry) for entry in value.tolist()]
    raise NotImplementedError(f"{type(value)} has no place in a frame")


def decode_other(kind: type, value: Any) -> object:
    """Decode the types of a frame that JSON does not have, as a hook of msgspec."""
    if kind is np.float64:
        return np.float64(value)
    entries: NDArray[np.float64] = np.array([np.nan if entry is None else entry for entry in value], dtype=np.float64)
    if get_origin(kind) is np.ma.MaskedArray or None in value:
        return np.ma.MaskedArray(entries, mask=[entry is None for entry in value])
    return entries


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
