"""The messages between a live run and its worker: one line of JSON each, over one socket.

Most answers are lines of the frame format; the commands and the other answers are defined here.
"""

import socket
from typing import TypeAlias

import msgspec

from engine.changes import TRIAL_STEPS, Probe
from engine.inspection import Inspection
from vgtui.wire.frames import Line, RunId, decode_other, encode_line
from vgtui.wire.run_settings import RunSettings


class Restart(msgspec.Struct, frozen=True, tag_field="type", tag="restart"):
    """Begin a run at step 0. The answer is a Header, or Refused, and then the present run goes on.

    Attributes:
        settings: The settings.
        run: The id that every answer of the run has.
        checkpoint: A checkpoint of the same settings to resume from; Resumed says where, before the Header.
        keep: Begin at the step of the present run, with its weights wherever they fit.
    """

    settings: RunSettings
    run: RunId
    checkpoint: str | None = None
    keep: bool = False


class Train(msgspec.Struct, frozen=True, tag_field="type", tag="train"):
    """Train up to a step and wait there; without one, train without end. A step in the past means to wait now."""

    until: int | None = None


class StepOnce(msgspec.Struct, frozen=True, tag_field="type", tag="step"):
    """Make one update, then wait."""


class Pull(msgspec.Struct, frozen=True, tag_field="type", tag="pull"):
    """Ask for one Frame. It replaces a question that is not answered yet.

    Attributes:
        at: The first step whose frame is wanted, unless it was shown already.
        validate: Measure on the whole validation part, whatever it costs.
    """

    at: int = 0
    validate: bool = False


class Save(msgspec.Struct, frozen=True, tag_field="type", tag="save"):
    """Write a checkpoint. The answer is Saved.

    Attributes:
        path: The file.
        at: The first step at which it may be written, before the step's frame.
        output: Where the frames go; the checkpoint keeps it.
        output_bytes: How much of the output there is by then; the checkpoint keeps it.
    """

    path: str
    at: int
    output: str
    output_bytes: int


class ShareCores(msgspec.Struct, frozen=True, tag_field="type", tag="share"):
    """Share the cores among so many runs from now on, if the rule chooses the threads."""

    among: int


class Inspect(msgspec.Struct, frozen=True, tag_field="type", tag="inspect"):
    """Look inside a layer after this step. The answer is Inspected."""

    layer: int


class TryChanges(msgspec.Struct, frozen=True, tag_field="type", tag="try"):
    """Measure each change of the present run on its own, then train each, in slices between the run's steps.

    The answers are Tried: one for each change with its ratios, later others with how far its trial is, and with its
    loss. A Restart, or another TryChanges, ends it.

    Attributes:
        steps: The updates of each trial.
    """

    steps: int = TRIAL_STEPS


class HoldTrials(msgspec.Struct, frozen=True, tag_field="type", tag="hold"):
    """Leave off trying changes where it is, or go on with it."""

    hold: bool


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Ask whether the worker is there. The answer is Pong, after this step."""


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """The worker is there, however long the next frame takes. A source passes it on only after a Silent."""


class Silent(msgspec.Struct, frozen=True, tag_field="type", tag="silent"):
    """The worker has not answered for so many seconds, not even a Ping. The source itself says so."""

    seconds: float


class Inspected(msgspec.Struct, frozen=True, tag_field="type", tag="inspected"):
    """The inside of a layer at a step."""

    step: int
    inspection: Inspection
    run: RunId = msgspec.UNSET


class Saved(msgspec.Struct, frozen=True, tag_field="type", tag="saved"):
    """A checkpoint was written at a step, or why it was not: then an older one stays as it is."""

    step: int
    problem: str | None


class Resumed(msgspec.Struct, frozen=True, tag_field="type", tag="resumed"):
    """The run goes on at the step of a checkpoint. output and output_bytes are those of its Save."""

    step: int
    output: str
    output_bytes: int


class Tried(msgspec.Struct, frozen=True, tag_field="type", tag="tried"):
    """What is known of one change, instead of what was told of the same number before.

    Attributes:
        number: Which of `total` changes it is; the first changes nothing.
        total: The number of changes.
        probe: What was measured so far.
        run: The id of the run that is changed.
        steps: How far it is trained; 0 while the ratios are measured.
        of: How far it is to be trained. With all steps made, nothing more comes.
    """

    number: int
    total: int
    probe: Probe
    run: RunId = msgspec.UNSET
    steps: int = 0
    of: int = TRIAL_STEPS


class Refused(msgspec.Struct, frozen=True, tag_field="type", tag="refused"):
    """A Restart was refused because of a setting. problem: what is wrong with it."""

    setting: str
    problem: str
    run: RunId = msgspec.UNSET


Command: TypeAlias = Restart | Train | StepOnce | Pull | Save | Inspect | TryChanges | HoldTrials | ShareCores | Ping
Answer: TypeAlias = Line | Refused | Inspected | Tried | Saved | Resumed | Pong | Silent

answer_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer, dec_hook=decode_other)
_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


class DisconnectedError(Exception):
    """The other end of the socket is closed."""


class CommandChannel:
    """The worker's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        """Use a connected socket."""
        self._connection = connection
        self._unread = b""

    def receive(self, wait: bool) -> list[Command]:
        """Return the commands that have come.

        Args:
            wait: Whether to wait for at least one.

        Raises:
            DisconnectedError: The other end is closed.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        while True:
            try:
                received = self._connection.recv(65536, flags)
            except BlockingIOError:
                return []
            except ConnectionError as error:
                raise DisconnectedError from error
            if not received:
                raise DisconnectedError
            *lines, self._unread = (self._unread + received).split(b"\n")
            if lines or not wait:
                return [_command_decoder.decode(line) for line in lines]

    def send(self, answer: Answer) -> None:
        """Send an answer. Raises DisconnectedError if the other end is closed."""
        try:
            self._connection.sendall(encode_line(answer))
        except OSError as error:
            raise DisconnectedError from error
