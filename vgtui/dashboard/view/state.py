"""What the dashboard knows of a run: everything that the widgets draw, and nothing that draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.diagnosis import Health, layer_health
from engine.telemetry import LayerMeasurements
from engine.theory import Prediction, predict
from vgtui.dashboard.keymap import Key
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.dashboard.view.outline import Outline
from vgtui.dashboard.view.status import LaneStatus
from vgtui.model.differences import FIELDS, Difference, differences, settings_of
from vgtui.model.history import ACCURACY, LOSS, STEP, History
from vgtui.terminal.text import layer_name, plain
from vgtui.wire.frames import Frame, Header
from vgtui.wire.protocol import Inspected, Tried
from vgtui.wire.run_settings import RunSettings

NUMBER_WIDTH = 4
"""Cells of a layer's number."""
MAX_PINS = 3
"""Runs that can be kept in the charts; a further one takes the place of the oldest."""


@dataclass(frozen=True, slots=True, eq=False)
class Ghost:
    """A run that is kept in sight: its last layers, its loss and accuracy over the steps, and what it is called."""

    layers: LayerMeasurements
    steps: NDArray[np.float64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    label: str


class RunView:
    """A run as it was asked for, and as its newest frame or a moment of its past shows it.

    Args:
        wanted: The settings that were asked for.
        look: How the user wants to see it.
        name: The lane's, when two runs are compared.
        follows: Whether somebody else decides about the run.
    """

    def __init__(self, wanted: RunSettings, look: Look | None = None, *, name: str = "", follows: bool = False) -> None:
        self.look = look or Look()
        self.status = LaneStatus(name, follows)
        self.other: RunView | None = None
        """The run beside it, when two are compared."""
        self.wanted = wanted
        self.header: Header | None = None
        self.newest: Frame | None = None
        self.history = History(wanted.network.hidden_layers + 1)
        self.ghost: Ghost | None = None
        self.pins: list[Ghost] = []
        self.inspected: Inspected | None = None
        self.tried: list[Tried] = []
        self.outline: Outline | None = None
        """The layers of a watched model by name."""
        self.selected = 0
        self.moment: int | None = None
        """The point of the history that is shown instead of the newest frame."""
        self.newest_first: Frame | None = None
        """The newest run at its initialization, if that was seen."""
        self._present: Header | None = None
        self._restarting = False
        self._health: tuple[Frame | None, list[Health]] = None, []
        self._past: tuple[int, Frame] | None = None

    @property
    def frame(self) -> Frame | None:
        """The frame on the screen."""
        if self.moment is None:
            return self.newest
        if self._past is None or self._past[0] != self.moment:
            self._past = self.moment, self.history.frame_of(self.moment)
        return self._past[1]

    @property
    def shown(self) -> Header | None:
        """The run that the frame on the screen belongs to."""
        return self._present if self.moment is None else self.history.header_of(self.moment)

    @property
    def shows_newest_run(self) -> bool:
        """Whether the frame on the screen belongs to the newest run, in the present or in its past."""
        return self.shown is self._present

    @property
    def header_shown(self) -> Header | None:
        """That of the run to describe: in the present also of one whose first frame is still to come."""
        return self.header if self.moment is None else self.shown

    @property
    def ghost_shown(self) -> Ghost | None:
        """The run before that of the frame on the screen, where that is the newest."""
        return self.ghost if self.shows_newest_run else None

    @property
    def why_not_examined(self) -> str:
        """Why one cannot look inside of the network on the screen; "" where one can."""
        if self.moment is not None:
            return "available for the present only"
        return "not available: the training has stopped" if self.status.fault else ""

    def key_label(self, key: Key) -> str:
        """What a key does now, in a word or two."""
        now = {
            "pause": self.status.paused and "resume",
            "compare": self.other and "stop comparing",
            "record": self.status.recording and "stop recording",
            "restart": self.status.pace and "play again",
            "fold_all": self.outline and self.outline.folded and "unfold",
        }
        return now.get(key.name) or key.label

    @property
    def on_screen(self) -> RunSettings:
        """The settings to name: those that were asked for, or in the past those of the run that is shown."""
        shown = self.shown
        return self.wanted if self.moment is None or shown is None or shown.own is None else settings_of(shown)

    @property
    def first(self) -> Frame | None:
        """The run on the screen at its initialization, where that was seen."""
        if self.moment is None or self.shows_newest_run:
            return self.newest_first
        begin = self.history.begin_of(self.moment)
        return self.history.frame_of(begin) if self.history.scalars[begin, STEP] == 0 else None

    @property
    def health(self) -> list[Health]:
        """Every layer's health on the screen."""
        if self._health[0] is not self.frame and self.frame:
            self._health = self.frame, layer_health(self.frame.layers.grad_norm)
        return self._health[1]

    @property
    def layers(self) -> int:
        """Weight layers of the frame on the screen."""
        return len(self.frame.layers.grad_norm) if self.frame else self.wanted.network.hidden_layers + 1

    @property
    def views(self) -> tuple[str, ...]:
        """The pictures that there are: of somebody's own model nobody knows which layer follows which."""
        return VIEWS if self.shown is None or self.shown.own else VIEWS[:2]

    @property
    def rows(self) -> Sequence[int]:
        """The layers that have a row of their own, from the input."""
        return self._outline.rows if self._outline else range(self.layers)

    def label(self, layer: int) -> str:
        """What a layer's row is called, in few cells."""
        return self._outline.label(layer) if self._outline else layer_name(layer, self.layers)

    def full_label(self, layer: int) -> str:
        """What a layer is called: its number, or its name with its kind and shape."""
        if self._outline:
            outline = self._outline
            return " ".join(filter(None, [outline.names[layer], outline.kinds[layer], outline.shapes[layer]]))
        return "output layer" if layer == self.layers - 1 else f"layer {layer + 1}"

    def search_label(self, layer: int) -> str:
        """What a layer can be found by: its number, or its name and kind."""
        outline = self._outline
        return f"{outline.names[layer]} {outline.kinds[layer]}" if outline else self.full_label(layer)

    def kind(self, layer: int) -> str:
        """Of somebody's own model, a layer's kind and shape, in kind_width cells."""
        return self._outline.kind(layer) if self._outline else ""

    @property
    def kind_width(self) -> int:
        """The cells of a kind."""
        return self._outline.kind_width if self._outline else 0

    @property
    def label_width(self) -> int:
        """The cells of a label, with the sign beside that of the chosen one."""
        return 1 + (self._outline.width if self._outline else NUMBER_WIDTH)

    @property
    def _outline(self) -> Outline | None:
        """That of the run on the screen."""
        return self.outline if self.shown is self._present else None

    def fit_rows(self) -> None:
        """Let folded groups show the layers that get the least now; the chosen layer stays in sight."""
        if self._outline and self.frame:
            self._outline.fit(self.frame.layers.grad_norm)
            self.selected = self._outline.row_of(self.selected)

    @property
    def begins_run(self) -> bool:
        """Whether the next frame is the first of a run."""
        return self._present is not self.header

    @property
    def companions(self) -> list[Ghost]:
        """The runs that charts show beside this one: those that are pinned, and the other lane."""
        return [*self.pins, *([self.other.as_ghost()] if self.other and self.other.newest else [])]

    def want(self, settings: RunSettings) -> None:
        """The user asked for another run: the one on the screen becomes the ghost."""
        if self.newest and self._present:
            words = [entry.before for entry in differences(self._present, settings)]
            self.ghost = self._as_ghost(plain(", ".join(words)) or "same settings", None)
        self.wanted = settings
        self._examine_anew(restarting=True)

    def keep_run(self, settings: RunSettings) -> None:
        """The run that was asked for was refused: the one that there is, with these settings, goes on."""
        self.wanted = settings
        self._examine_anew(restarting=False)

    def pin(self) -> None:
        """Keep the run on the screen in the charts, its layers as they are there."""
        if self.frame and self.shown:
            label = _summary(self.shown, self.frame, with_step=self.moment is not None)
            self.pins = [*self.pins, self._as_ghost(label, self.moment)][-MAX_PINS:]

    def as_ghost(self) -> Ghost:
        """This run as its neighbour shows it."""
        return self._as_ghost(self.status.name, self.moment)

    def leave_neighbour(self) -> None:
        """The other lane ends; as it last was, it is the ghost."""
        if self.other and self.other.newest:
            words = plain(", ".join(entry.after for entry in differences(self.wanted, self.other.wanted)))
            self.ghost = self.other._as_ghost(words or "same settings", None)
        self.other = None

    def take_header(self, header: Header) -> bool:
        """Take the header of a run whose first frame is still to come.

        Returns:
            Whether a run begins; otherwise the present one continues in another lane.
        """
        if header.continues is not UNSET and self.header:
            return False
        self.header = header
        self._examine_anew(restarting=False)
        if self.status.follows and header.own:
            self.wanted = settings_of(header)
        return True

    def take_frame(self, frame: Frame) -> None:
        """Take a frame, which is the present now. The first of a new run marks the history."""
        per_point = self.history.frames_per_point
        before = self.newest.verdict.kind if self.newest and not self.begins_run else None
        if self.begins_run:
            assert self.header
            self.history.mark(len(frame.layers.grad_norm), self.header, self.change_words(self.header))
            self._present = self.header
            if self.header.model:
                self.outline = Outline(self.header.layers, sorted(self.outline.folded) if self.outline else ())
            self.newest_first = frame if frame.step == 0 else None
        self.history.append(frame)
        if frame.verdict.kind == "non-finite" != before:
            self.history.note("fault", frame.verdict.message)
        self.newest = frame
        merged = self.history.frames_per_point // per_point
        self.go_to(self.history.length if self.moment is None else self.moment // merged)

    def change_words(self, header: Header) -> str:
        """What a header changes of the run on the screen."""
        changes = differences(self._present, header) if self._present else []
        return plain(", ".join(entry.after for entry in changes)) or "restart"

    @property
    def on_gpu(self) -> bool:
        """Whether the run computes on a GPU, or may do so."""
        present = self.header.backend.name if self.header else "auto"
        return "numpy" not in (present, self.wanted.backend)

    def take_tried(self, tried: Tried) -> None:
        """Take one single change; what is left of a round that was broken off is not mixed with the next."""
        if self._restarting:
            return
        if tried.number == 1:
            self.tried = [tried]
        elif self.tried and tried.number == len(self.tried) + 1:
            self.tried.append(tried)

    def take_inspected(self, inspected: Inspected) -> None:
        """Take the inside of the chosen layer; what comes of another layer, or of a run that was left, is too late."""
        if not self._restarting and inspected.inspection.layer == self.selected:
            self.inspected = inspected

    def rewind(self, point: int) -> int:
        """Forget a point of the history and all after it. Returns how many frames came before it."""
        frames = self.history.frames_before(point)
        self.moment = point - 1 if point else None
        header, frame, first = (self.shown, self.frame, self.first) if point else (None, None, None)
        self.history.cut(point)
        if header is not self._present and header and header.model:
            self.outline = Outline(header.layers, sorted(self.outline.folded) if self.outline else ())
        self.header = self._present = header
        self.newest, self.newest_first = frame, first
        if header and header.own:
            self.wanted = settings_of(header)
        self.go_to(point)
        return frames

    def go_to(self, point: int) -> None:
        """Show a point of the history; the last one is the present."""
        last = self.history.length - 1
        self.moment = None if point >= last else max(point, 0)
        self._past = None
        self.history.look_at(self.moment)
        self.selected = min(self.selected, self.layers - 1)
        self.fit_rows()

    def theory(self) -> Prediction | str | None:
        """What mean-field theory says of the run on the screen, or in words why nothing."""
        if self.shown is None:
            return None
        if (own := self.shown.own) is None:
            return "no theory of somebody's own model"
        return predict_once(own.network, own.dataset.features, own.dataset.classes, own.dataset.mean_square)

    def pending(self) -> set[str]:
        """The fields of the settings that still wait for the first frame that has them."""
        if self._present is None:
            return set(FIELDS)
        return {entry.field for entry in differences(self._present, self.wanted)} if self.moment is None else set()

    def differences(self) -> list[Difference]:
        """What one must change of this lane to get the other."""
        return differences(self.on_screen, self.other.on_screen) if self.other else []

    def _examine_anew(self, restarting: bool) -> None:
        """Forget what was found in a run that is left. Until the next one begins, what comes is still of that run."""
        self._restarting = restarting
        self.inspected, self.tried = None, []

    def _as_ghost(self, label: str, moment: int | None) -> Ghost:
        """The run of a moment, None for the present, with its layers as they were then."""
        history = self.history
        shown = self.newest if moment is None else history.frame_of(moment)
        assert shown
        point = history.length - 1 if moment is None else moment
        run = history.scalars[history.begin_of(point) : history.end_of(point) + 1]
        steps, loss, accuracy = (run[:, column].copy() for column in (STEP, LOSS, ACCURACY))
        return Ghost(shown.layers, steps, loss, accuracy, label)


predict_once = lru_cache(maxsize=4)(predict)


def _summary(shown: Header, frame: Frame, with_step: bool) -> str:
    """A run in as few words as tell it from its neighbours, in the past with the step."""
    if shown.own is None:
        return f"step {frame.step}"
    network = shown.own.network
    switches = [name for name, on in (("BatchNorm", network.batch_norm), ("skip", network.skip_connections)) if on]
    words = [network.activation, f"{network.hidden_layers}×{network.width}", *switches]
    return " ".join([*words, f"at step {frame.step}"] if with_step else words)
