"""What the dashboard knows of its run: everything that the widgets draw, and nothing that draws."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgtui.dashboard.text import plain
from vgtui.recordings.frames import Frame, Header
from vgtui.training.history import History
from vgtui.training.settings import RunSettings


@dataclass(frozen=True, slots=True, eq=False)
class Ghost:
    """A run that was left: its last gradient norms, and in what it differs from the present one."""

    grad_norm: NDArray[np.float64]
    label: str


class RunState:
    """The run as it was asked for, and as its last frame shows it."""

    def __init__(self, wanted: RunSettings) -> None:
        self.wanted = wanted
        self.header: Header | None = None
        self.frame: Frame | None = None
        self.history = History(wanted.network.hidden_layers + 1)
        self.ghost: Ghost | None = None
        self.paused = False
        self.fault: str | None = None
        self.selected = 0
        self._shown: Header | None = None

    @property
    def layers(self) -> int:
        """Weight layers of the frame on the screen."""
        return len(self.frame.layers.grad_norm) if self.frame else self.wanted.network.hidden_layers + 1

    @property
    def begins_run(self) -> bool:
        """Whether the next frame is the first of a run."""
        return self._shown is not self.header

    def want(self, settings: RunSettings) -> None:
        """The user asked for another run: the one on the screen becomes the ghost."""
        if self.frame and self._shown:
            self.ghost = Ghost(self.frame.layers.grad_norm, _difference(self._shown, settings))
        self.wanted = settings

    def take_header(self, header: Header) -> None:
        """A run begins; its first frame is still to come."""
        self.header = header
        self.fault = None

    def take_frame(self, frame: Frame) -> None:
        """Show a frame. The first of a new run marks the history."""
        if self.begins_run:
            self._shown = self.header
            self.history.mark(len(frame.layers.grad_norm))
        self.frame = frame
        self.history.append(frame)
        self.selected = min(self.selected, self.layers - 1)

    def is_pending(self, name: str) -> bool:
        """Whether this field of the settings still waits for the first frame that has it."""
        if self._shown is None:
            return True
        for shown, wanted in ((self._shown.network, self.wanted.network), (self._shown.training, self.wanted.training)):
            if hasattr(wanted, name):
                return bool(getattr(shown, name) != getattr(wanted, name))
        return self._shown.dataset.name != Path(self.wanted.dataset).name


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
