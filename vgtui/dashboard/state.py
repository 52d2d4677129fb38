"""What the dashboard knows of its run: everything that the widgets draw, and nothing that draws."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.diagnosis import Health, layer_health
from engine.telemetry import LayerMeasurements
from engine.theory import Prediction, predict
from vgtui.dashboard.keymap import Keymap
from vgtui.dashboard.text import plain
from vgtui.recordings.frames import Frame, Header
from vgtui.training.history import LOSS, STEP, History
from vgtui.training.protocol import Inspected, Tried
from vgtui.training.quantities import GRADIENT, Quantity
from vgtui.training.settings import RunSettings

VIEWS = ("sparklines", "heat map", "chain rule")
"""The pictures of all layers."""
MOST_PINS = 3
"""Runs that can be kept in the charts; a further one takes the place of the oldest."""


@dataclass(frozen=True, slots=True, eq=False)
class Ghost:
    """A run that is kept in sight: its last layers, its loss over the steps, and what it is called."""

    layers: LayerMeasurements
    steps: NDArray[np.float64]
    loss: NDArray[np.float64]
    label: str


@dataclass(slots=True)
class Look:
    """How the user wants to see it."""

    view: str = VIEWS[0]
    quantity: Quantity = GRADIENT
    theory: bool = False
    hints: bool = True
    rate: bool = False


class RunState:
    """The run as it was asked for, and as its last frame shows it; and how the user looks at it."""

    def __init__(self, wanted: RunSettings, look: Look | None = None, keymap: Keymap | None = None) -> None:
        self.look = look or Look()
        self.keymap = keymap or Keymap()
        self.wanted = wanted
        self.header: Header | None = None
        self.frame: Frame | None = None
        self.health: list[Health] = []
        self.history = History(wanted.network.hidden_layers + 1)
        self.ghost: Ghost | None = None
        self.pins: list[Ghost] = []
        self.first: Frame | None = None
        """The present run at its initialization, where that was seen."""
        self.pictures_per_second = 0.0
        self.inspected: Inspected | None = None
        self.tried: list[Tried] = []
        self.blocks = True
        """Whether the terminal shows half blocks in two colours."""
        self.paused = False
        self.fault: str | None = None
        self.selected = 0
        self.shown: Header | None = None

    @property
    def layers(self) -> int:
        """Weight layers of the frame on the screen."""
        return len(self.frame.layers.grad_norm) if self.frame else self.wanted.network.hidden_layers + 1

    @property
    def begins_run(self) -> bool:
        """Whether the next frame is the first of a run."""
        return self.shown is not self.header

    def want(self, settings: RunSettings) -> None:
        """The user asked for another run: the one on the screen becomes the ghost."""
        if self.frame and self.shown:
            self.ghost = self._ghost(self.frame, _difference(self.shown, settings))
        self.wanted = settings

    def pin(self) -> None:
        """Keep the run on the screen in the charts."""
        if self.frame and self.shown:
            self.pins = [*self.pins, self._ghost(self.frame, _summary(self.shown))][-MOST_PINS:]

    def take_header(self, header: Header) -> None:
        """A run begins; its first frame is still to come."""
        self.header = header
        self.fault = None

    def take_frame(self, frame: Frame) -> None:
        """Show a frame. The first of a new run marks the history."""
        if self.begins_run:
            self.shown = self.header
            self.history.mark(len(frame.layers.grad_norm))
            self.first = frame if frame.step == 0 else None
        self.frame = frame
        self.health = layer_health(frame.layers.grad_norm)
        self.history.append(frame)
        self.selected = min(self.selected, self.layers - 1)

    def take_tried(self, tried: Tried) -> None:
        """Take one single change; what is left of a round that was broken off is not mixed with the next."""
        if tried.number == 1:
            self.tried = [tried]
        elif self.tried and tried.number == len(self.tried) + 1:
            self.tried.append(tried)

    def theory(self) -> Prediction | str | None:
        """What mean-field theory says of the run on the screen, or in words why nothing."""
        shown = self.shown
        return predict_once(shown.network, shown.dataset.features, shown.dataset.classes) if shown else None

    def _ghost(self, frame: Frame, label: str) -> Ghost:
        begin = self.history.marks[-1] if self.history.marks else 0
        run = self.history.scalars[begin : self.history.length]
        return Ghost(frame.layers, run[:, STEP].copy(), run[:, LOSS].copy(), label)

    def is_pending(self, name: str) -> bool:
        """Whether this field of the settings still waits for the first frame that has it."""
        if self.shown is None:
            return True
        for shown, wanted in ((self.shown.network, self.wanted.network), (self.shown.training, self.wanted.training)):
            if hasattr(wanted, name):
                return bool(getattr(shown, name) != getattr(wanted, name))
        return self.shown.dataset.name != Path(self.wanted.dataset).name


predict_once = lru_cache(maxsize=4)(predict)


def _summary(shown: Header) -> str:
    """A run in as few words as tell it from its neighbours."""
    network = shown.network
    switches = [name for name, on in (("BatchNorm", network.batch_norm), ("skip", network.skip_connections)) if on]
    return " ".join([network.activation, f"{network.hidden_layers}×{network.width}", *switches])


def _difference(shown: Header, wanted: RunSettings) -> str:
    """What the run on the screen had that the wanted one changes, in the words of the state line."""
    old, new = shown.network, wanted.network
    words = []
    if old.activation != new.activation:
        words.append(old.activation)
    if old.initialization != new.initialization:
        words.append(old.initialization)
    if old.batch_norm != new.batch_norm:
        words.append(switch_text("BatchNorm", old.batch_norm))
    if old.skip_connections != new.skip_connections:
        words.append(switch_text("skip", old.skip_connections))
    if old.hidden_layers != new.hidden_layers:
        words.append(f"{old.hidden_layers} layers")
    if shown.training.optimizer != wanted.training.optimizer:
        words.append(shown.training.optimizer)
    if shown.dataset.name != Path(wanted.dataset).name:
        words.append(plain(shown.dataset.name))
    if shown.training.learning_rate != wanted.training.learning_rate:
        words.append(f"rate {shown.training.learning_rate:g}")
    if shown.training.seed != wanted.training.seed:
        words.append(f"seed {shown.training.seed}")
    return ", ".join(words) or "same settings"


def switch_text(name: str, on: bool) -> str:
    """A switch in words."""
    return f"{name} {'on' if on else 'off'}"
