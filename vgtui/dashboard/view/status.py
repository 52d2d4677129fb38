"""What is known of a lane besides its frames: whether it trains, and the state of its source."""

from dataclasses import dataclass


@dataclass(slots=True)
class LaneStatus:
    """The state of one lane. Only the session (session/) writes it; screens and widgets read it.

    Attributes:
        name: A or B when two runs are compared, otherwise "".
        follows: Whether the run cannot be changed: a recording, or a watched model.
        of_command: Whether its models are those of a command that was started here.
        chosen: Whether keys act on it.
        paused: Whether it is paused.
        fault: Why the run has ended, if by a fault.
        silent_seconds: How long the training process has not answered, if that is long.
        ended: Whether a watched model or a recording has no more frames for now.
        recording: Whether it is being recorded.
        pace: The pace of a recording, as text.
        seekable: Whether a recording can be played again.
        redraws_per_second: As measured lately.
    """

    name: str = ""
    follows: bool = False
    of_command: bool = False
    chosen: bool = True
    paused: bool = False
    fault: str | None = None
    silent_seconds: float | None = None
    ended: bool = False
    recording: bool = False
    pace: str = ""
    seekable: bool = False
    redraws_per_second: float = 0.0
