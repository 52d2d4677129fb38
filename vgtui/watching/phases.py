"""What a watcher does now, and the points of a training step at which it acts."""

from enum import Enum, auto


class Phase(Enum):
    """What a watcher does now."""

    CLOSED = auto()
    """Nothing is watched."""
    TRACING = auto()
    """The uses of modules are noted, until the first gradients show which layers there are."""
    WAITING = auto()
    """No step is sampled."""
    SAMPLING = auto()
    """The coming step is sampled: its gradients are not there yet."""
    READ = auto()
    """The gradients of the sampled step were read, and its update is not done."""
    UPDATED = auto()
    """The update of the sampled step was read; only its loss is missing."""


class Moment(Enum):
    """A point of a training step, at which a watcher acts."""

    GRADIENTS = auto()
    """The gradients are whole, unscaled and clipped. A closure may make them several times a step."""
    UPDATE = auto()
    """The optimizer has changed the weights."""
    STEP = auto()
    """step() is called."""
