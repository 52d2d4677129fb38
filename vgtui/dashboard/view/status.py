"""What is known of a lane beside its frames: whether it trains, and what has become of its source."""

from dataclasses import dataclass


@dataclass(slots=True)
class LaneStatus:
    """The state of one lane. Only the session (session/) writes it; screens and widgets read it."""

    name: str = ""
    """A or B when two runs are compared."""
    follows: bool = False
    """Whether it shows a run that somebody else decides about: a recording, or a watched model."""
    chosen: bool = True
    """Whether keys act on it."""
    paused: bool = False
    fault: str | None = None
    """Why the run has ended, if a fault ended it."""
    silent_seconds: float | None = None
    """For how long the training process has given no answer, if that is long."""
    ended: bool = False
    """Whether nothing more comes for now: from a watched model, or a recording."""
    recording: bool = False
    pace: str = ""
    """What a recording says of its pace."""
    seekable: bool = False
    """Whether a recording can be played again."""
    pictures_per_second: float = 0.0
