"""What the dashboard knows about a run: everything that the widgets draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.telemetry import LayerMeasurements
from engine.theory import Prediction, predict
from engine.verdict import Health
from vgtui.dashboard.keymap import Key
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.dashboard.view.outline import Outline
from vgtui.dashboard.view.status import LaneStatus
from vgtui.model.differences import FIELDS, Difference, differences, settings_from_header
from vgtui.model.health import health_of
from vgtui.model.history import History
from vgtui.terminal.text import layer_name, plain
from vgtui.wire.frames import Frame, Header, TimeProfile
from vgtui.wire.protocol import Inspected, Tried
from vgtui.wire.run_settings import RunSettings

NUMBER_WIDTH = 4
"""The width of a layer's number in cells."""
MAX_PINS = 3
"""The maximum number of pinned runs; a further one replaces the oldest."""


@dataclass(frozen=True, slots=True, eq=False)
class Ghost:
    """Another run in the charts.

    Attributes:
        layers: Measurements of its layers at the moment to compare.
        steps: The steps of its history, (points,).
        loss: The loss at each step, (points,).
        accuracy: The accuracy at each step, (points,).
        label: What it is called.
    """

    layers: LayerMeasurements
    steps: NDArray[np.float64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    label: str


class RunView:
    """A run as it was requested, and as its newest frame or a moment of its past shows it.

    Only the feed and the controller, with its lanes, change it; screens and widgets read it.

    Args:
        wanted: The requested settings.
        look: What the user chose to see.
        name: The name of the lane, when two runs are compared.
        follows: Whether the run cannot be changed: a recording, or a watched model.
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
        """The first frame of the newest run, if it is that of step 0."""
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
        """The header of the run to describe; in the present, also of a run whose first frame has not arrived."""
        return self.header if self.moment is None else self.shown

    @property
    def awaits_model(self) -> bool:
        """Whether it belongs to a command that has no watched model yet."""
        return self.status.of_command and self.header is None

    @property
    def ghost_shown(self) -> Ghost | None:
        """The run before the one on the screen, if that is the newest."""
        return self.ghost if self.shows_newest_run else None

    @property
    def why_not_examined(self) -> str:
        """Why layers of the network on the screen cannot be examined; "" if they can."""
        if self.moment is not None:
            return "available for the present only"
        return "not available: the training has stopped" if self.status.fault else ""

    def key_label(self, key: Key) -> str:
        """The label of what a key does now."""
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
        """The settings to show: the requested ones, or in the past those of the run on the screen."""
        shown = self.shown
        return self.wanted if self.moment is None or shown is None or shown.own is None else settings_from_header(shown)

    @property
    def first(self) -> Frame | None:
        """The first frame of the run on the screen, if it is that of step 0."""
        if self.moment is None or self.shows_newest_run:
            return self.newest_first
        begin = self.history.begin_of(self.moment)
        return self.history.frame_of(begin) if self.history.scalars.step[begin] == 0 else None

    @property
    def profile_over_time(self) -> TimeProfile | None:
        """The profile over time that the verdict on the screen is about, if it is about time."""
        frame = self.frame
        if frame is None or not frame.verdict.kind.endswith("-in-time"):
            return None
        concerned = {layer for evidence in frame.verdict.evidence for layer in evidence.layers}
        return next((profile for profile in frame.through_time or () if profile.layer in concerned), None)

    @property
    def concerned(self) -> list[int]:
        """The layers that the verdict on the screen is about, the most important ones first."""
        evidence = self.frame.verdict.evidence if self.frame else ()
        return list(dict.fromkeys(layer for one in evidence for layer in one.layers if layer < self.layers))

    @property
    def health(self) -> list[Health]:
        """The health of each layer on the screen."""
        if self._health[0] is not self.frame and self.frame:
            self._health = self.frame, health_of(self.frame, self.shown)
        return self._health[1]

    @property
    def layers(self) -> int:
        """The number of weight layers of the frame on the screen."""
        return len(self.frame.layers.grad_norm) if self.frame else self.wanted.network.hidden_layers + 1

    @property
    def views(self) -> tuple[str, ...]:
        """The available views: no chain rule for a watched model, whose order of layers is unknown."""
        return VIEWS if self.shown is None or self.shown.own else VIEWS[:2]

    @property
    def rows(self) -> Sequence[int]:
        """The layers that have a row, from the input."""
        return self._outline.rows if self._outline else range(self.layers)

    def row_of(self, layer: int) -> int:
        """The layer that has the row of this layer: another one of its group, if that is folded."""
        return self._outline.row_of(layer) if self._outline else layer

    def label(self, layer: int) -> str:
        """The short name of a layer, for its row."""
        return self._outline.label(layer) if self._outline else layer_name(layer, self.layers)

    def full_label(self, layer: int) -> str:
        """The full name of a layer: its number, or its name with kind and shape."""
        if self._outline:
            outline = self._outline
            return " ".join(filter(None, [outline.names[layer], outline.kinds[layer], outline.shapes[layer]]))
        return "output layer" if layer == self.layers - 1 else f"layer {layer + 1}"

    def search_label(self, layer: int) -> str:
        """The text to search for a layer: its number, or its name and kind."""
        outline = self._outline
        return f"{outline.names[layer]} {outline.kinds[layer]}" if outline else self.full_label(layer)

    def kind(self, layer: int) -> str:
        """The kind and shape of a layer of a watched model, in at most `kind_width` cells; otherwise ""."""
        return self._outline.kind(layer) if self._outline else ""

    @property
    def kind_width(self) -> int:
        """The width of kinds and shapes in cells; 0 for numbered layers."""
        return self._outline.kind_width if self._outline else 0

    @property
    def label_width(self) -> int:
        """The width of labels in cells, including the sign of the chosen layer."""
        return 1 + (self._outline.width if self._outline else NUMBER_WIDTH)

    @property
    def _outline(self) -> Outline | None:
        """The outline of the run on the screen."""
        return self.outline if self.shown is self._present else None

    def fit_rows(self) -> None:
        """Update the layers that represent folded groups, and keep the chosen layer visible."""
        if self._outline and self.frame:
            self._outline.fit(self.frame.layers.grad_norm)
            self.selected = self._outline.row_of(self.selected)

    @property
    def begins_run(self) -> bool:
        """Whether the next frame is the first of a run."""
        return self._present is not self.header

    @property
    def companions(self) -> list[Ghost]:
        """The runs that charts show beside this one: the pinned ones, and the other lane."""
        return [*self.pins, *([self.other.as_ghost()] if self.other and self.other.newest else [])]

    def want(self, settings: RunSettings) -> None:
        """Request another run: the one on the screen becomes the ghost."""
        if self.newest and self._present:
            words = [entry.before for entry in differences(self._present, settings)]
            self.ghost = self._as_ghost(plain(", ".join(words)) or "same settings", None)
        self.wanted = settings
        self._examine_anew(restarting=True)

    def keep_run(self, settings: RunSettings) -> None:
        """Continue the present run, which has these settings, as the requested one was refused."""
        self.wanted = settings
        self._examine_anew(restarting=False)

    def pin(self) -> None:
        """Keep the run on the screen in the charts, with its layers as they are now."""
        if self.frame and self.shown:
            label = _summary(self.shown, self.frame, with_step=self.moment is not None)
            self.pins = [*self.pins, self._as_ghost(label, self.moment)][-MAX_PINS:]

    def as_ghost(self) -> Ghost:
        """This run as the charts of the other lane show it."""
        return self._as_ghost(self.status.name, self.moment)

    def leave_neighbour(self) -> None:
        """Drop the other lane, whose last state becomes the ghost."""
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
            self.wanted = settings_from_header(header)
        return True

    def take_frame(self, frame: Frame) -> None:
        """Take a frame, which is now the newest; the first of a run also marks the history."""
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
        """What a header changes compared with the present run, in words."""
        changes = differences(self._present, header) if self._present else []
        return plain(", ".join(entry.after for entry in changes)) or "restart"

    @property
    def on_gpu(self) -> bool:
        """Whether the run computes on a GPU, or may."""
        present = self.header.backend.name if self.header else "auto"
        return "numpy" not in (present, self.wanted.backend)

    def take_tried(self, tried: Tried) -> None:
        """Take what is known of a change; it replaces what was known before. Leftovers of another round are dropped."""
        if self._restarting:
            return
        if tried.number == 1 and not tried.steps:
            self.tried = [tried]
        elif self.tried and tried.number <= len(self.tried) + 1:
            self.tried[tried.number - 1 :] = [tried, *self.tried[tried.number :]]

    def take_inspected(self, inspected: Inspected) -> None:
        """Take an inspection of the chosen layer; that of another layer or of an earlier run is dropped."""
        if not self._restarting and inspected.inspection.layer == self.selected:
            self.inspected = inspected

    def rewind(self, point: int) -> int:
        """Forget a point of the history and all later ones.

        Returns:
            The number of frames before it.
        """
        frames = self.history.frames_before(point)
        self.moment = point - 1 if point else None
        header, frame, first = (self.shown, self.frame, self.first) if point else (None, None, None)
        self.history.cut(point)
        if header is not self._present and header and header.model:
            self.outline = Outline(header.layers, sorted(self.outline.folded) if self.outline else ())
        self.header = self._present = header
        self.newest, self.newest_first = frame, first
        if header and header.own:
            self.wanted = settings_from_header(header)
        self.go_to(point)
        return frames

    def go_to(self, point: int) -> None:
        """Show a point of the history; the last point is the present."""
        last = self.history.length - 1
        self.moment = None if point >= last else max(point, 0)
        self._past = None
        self.history.look_at(self.moment)
        self.selected = min(self.selected, self.layers - 1)
        self.fit_rows()

    def theory(self) -> Prediction | str | None:
        """What mean-field theory predicts for the run on the screen, or why it does not; None before a run."""
        if self.shown is None:
            return None
        if (own := self.shown.own) is None:
            return "no theory for your own model"
        return predict_once(own.network, own.dataset.features, own.dataset.classes, own.dataset.mean_square)

    def pending(self) -> set[str]:
        """The fields of the settings that have changed, but not in a frame yet."""
        if self._present is None:
            return set(FIELDS)
        return {entry.field for entry in differences(self._present, self.wanted)} if self.moment is None else set()

    def differences(self) -> list[Difference]:
        """The changes that lead from this lane's settings to those of the other."""
        return differences(self.on_screen, self.other.on_screen) if self.other else []

    def _examine_anew(self, restarting: bool) -> None:
        """Forget what was found in the run that is left; until the next begins, answers still belong to that run."""
        self._restarting = restarting
        self.inspected, self.tried = None, []

    def _as_ghost(self, label: str, moment: int | None) -> Ghost:
        """The run of a moment with its layers as they were then; None is the present."""
        history = self.history
        shown = self.newest if moment is None else history.frame_of(moment)
        assert shown
        point = history.length - 1 if moment is None else moment
        run, scalars = slice(history.begin_of(point), history.end_of(point) + 1), history.scalars
        steps, loss, accuracy = (values[run].copy() for values in (scalars.step, scalars.loss, scalars.accuracy))
        return Ghost(shown.layers, steps, loss, accuracy, label)


predict_once = lru_cache(maxsize=4)(predict)


def _summary(shown: Header, frame: Frame, with_step: bool) -> str:
    """A short description of a run; in the past with the step."""
    if shown.own is None:
        return f"step {frame.step}"
    network = shown.own.network
    switches = [name for name, on in (("BatchNorm", network.batch_norm), ("skip", network.skip_connections)) if on]
    words = [network.activation, f"{network.hidden_layers}×{network.width}", *switches]
    return " ".join([*words, f"at step {frame.step}"] if with_step else words)
