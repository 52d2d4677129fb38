"""The frame format: what a run says, as JSON Lines. The same lines travel from a worker, to a file and through a pipe.

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
from engine.diagnosis import Verdict
from engine.telemetry import LayerMeasurements

FORMAT = "vgtui-frames"
VERSION = 1
LANES_VERSION = 2
"""Of the header of a lane: a vgtui that knows of no lanes would take two of them for one run."""
LINE_LIMIT = 2**26
"""The longest line that is read, or written: a frame of 10 000 layers takes 3 MB."""

Number: TypeAlias = np.float64
"""A float that may be non-finite. msgspec leaves it to the hooks below, as it does not with a plain float."""
LaneName: TypeAlias = Literal["A", "B"]


class BackendInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a run computes; fallback_reason says why not on a GPU. threads: of BLAS, None where a rule chooses."""

    name: str
    device: str
    dtype: str
    fallback_reason: str | None
    threads: int | None = None


class DatasetInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run learns from.

    path: the whole path of a user's own file. mean_square: of the standardized inputs of the training part, below 1
    where features never change.
    """

    name: str
    samples: int
    features: int
    classes: int
    path: str | None = None
    mean_square: float = 1.0


class LayerInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A weight layer's name and shape.

    Of somebody's own model besides: kind, the framework's word for it (Conv2d); shape, that of its weight; activation,
    the framework's word for what follows it, as far as that is known.
    """

    name: str
    fan_in: int
    fan_out: int
    kind: str = ""
    shape: tuple[int, ...] = ()
    activation: str = ""


class ModelInfo(msgspec.Struct, frozen=True):
    """Somebody's own model: its name, what it is written in, how many parameters and which optimizer it has."""

    name: str
    framework: str
    parameters: int | None = None
    optimizer: str | None = None


class OwnRun(NamedTuple):
    """What vgtui itself trains."""

    network: NetworkConfig
    training: TrainingConfig
    dataset: DatasetInfo


RunId: TypeAlias = int | msgspec.UnsetType
"""Tells the runs of one training process apart; each restart has another. Unset where there is only one run."""


class Header(msgspec.Struct, frozen=True, tag_field="type", tag="header", kw_only=True):
    """The first line: all that stays the same until the next header, or the next one of its lane.

    It has a network, how it is trained and on what, or else a model. lane: which of two runs that are compared it is
    of; a header without one ends the comparison. continues: the lane, "" for the only one, whose run goes on from here
    under this header; without it, another run begins.
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
        """What vgtui itself trains; None where it is somebody's own model."""
        if self.network and self.training and self.dataset:
            return OwnRun(self.network, self.training, self.dataset)
        return None


class Frame(msgspec.Struct, frozen=True, tag_field="type", tag="frame", kw_only=True):
    """A run at one step.

    clip_factor: the norm of all gradients after clipping, over that before; there only where both were measured.
    lane: that of its header.
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
    """A line as one of this lane, "" where there is no other; of a header also which lane's run goes on."""
    lane = name or msgspec.UNSET
    if not isinstance(line, Header):
        return line if line.lane == lane else msgspec.structs.replace(line, lane=lane)
    version = LANES_VERSION if name else VERSION
    return msgspec.structs.replace(line, version=version, lane=lane, continues=continues)


def carried(kept: dict[str, Kept], header: Header) -> dict[str, Kept]:
    """What was kept of each lane by its name, "" of the only one, as it is after a header.

    What belongs to a run that goes on goes with it; where a comparison ends, nothing is left of the other lane.
    """
    after = dict(kept) if header.lane else {}
    source = (header.lane or "") if header.continues is msgspec.UNSET else header.continues
    after.pop(source, None)
    if source in kept:
        after[header.lane or ""] = kept[source]
    return after


def encode_line(message: Any) -> bytes:
    """A message as one line of JSON, with its newline.

    Raises OSError for a line that no reader would take: one longer than LINE_LIMIT, or with text that is not UTF-8.
    """
    try:
        line = _encoder.encode(message) + b"\n"
    except UnicodeEncodeError as error:
        raise OSError(errno.EILSEQ, f"{error.object[:80]!r} is not UTF-8") from error
    if len(line) > LINE_LIMIT:
        raise OSError(errno.EMSGSIZE, f"a line of {len(line)} bytes, where {LINE_LIMIT} are read at most")
    return line


def number_text(value: float) -> str | float:
    """How a number stands in JSON."""
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
        if not isinstance(value, np.ma.MaskedArray) and np.isfinite(value).all():
            return value.tolist()
        return [None if entry is None else number_text(entry) for entry in value.tolist()]
    raise NotImplementedError(f"{type(value)} has no place in a frame")


def decode_other(kind: type, value: Any) -> object:
    """msgspec's hook for the types of a frame that JSON does not know."""
    if kind is np.float64:
        return np.float64(value)
    entries: NDArray[np.float64] = np.array([np.nan if entry is None else entry for entry in value], dtype=np.float64)
    if get_origin(kind) is np.ma.MaskedArray or None in value:
        return np.ma.MaskedArray(entries, mask=[entry is None for entry in value])
    return entries


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
