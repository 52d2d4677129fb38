"""What the frame source and the worker say to each other, one line of JSON a message, over one socket.

The worker answers with the lines of the frame format; the rest stands here.
"""

import socket
from typing import TypeAlias

import msgspec

from engine.changes import Probe
from engine.inspection import Inspection
from vgtui.wire.frames import Line, RunId, decode_other, encode_line
from vgtui.wire.run_settings import RunSettings


class Restart(msgspec.Struct, frozen=True, tag_field="type", tag="restart"):
    """Begin a run with these settings; it is answered with a Header, or Refused and the old run goes on.

    At step 0, or where a checkpoint of the same settings was saved, which Resumed tells ahead of the Header. keep: at
    the step of the run that there is, with its weights wherever they fit. run: the id that every answer of it has.
    """

    settings: RunSettings
    run: RunId
    checkpoint: str | None = None
    keep: bool = False


class Train(msgspec.Struct, frozen=True, tag_field="type", tag="train"):
    """Train up to this step and wait there; without one, train on and on. A step in the past means: wait now."""

    until: int | None = None


class StepOnce(msgspec.Struct, frozen=True, tag_field="type", tag="step"):
    """One update, then wait."""


class Pull(msgspec.Struct, frozen=True, tag_field="type", tag="pull"):
    """Ask for one Frame, at the first step boundary from `at` on that has not been shown yet.

    It takes the place of one that is not answered yet. validate: with the whole validation part, whatever it costs.
    """

    at: int = 0
    validate: bool = False


class Save(msgspec.Struct, frozen=True, tag_field="type", tag="save"):
    """Write a checkpoint at the first step boundary from `at` on, before its frame; it is answered with Saved.

    output, output_bytes: where the frames go, and how much of it there is by then; the checkpoint keeps them.
    """

    path: str
    at: int
    output: str
    output_bytes: int


class ShareCores(msgspec.Struct, frozen=True, tag_field="type", tag="share"):
    """So many runs train side by side from now on: take that part of the cores where a rule chooses the threads."""

    among: int


class Inspect(msgspec.Struct, frozen=True, tag_field="type", tag="inspect"):
    """Look inside a layer at the next step boundary; it is answered with Inspected."""

    layer: int


class TryChanges(msgspec.Struct, frozen=True, tag_field="type", tag="try"):
    """Measure every single change of the present network, one between two steps; each is answered with Tried.

    A Restart, or another TryChanges, ends it.
    """


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Ask whether the worker is there; it is answered with Pong between two steps."""


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """The worker is there, however long the next frame takes. Beyond the frame source it ends a Silent alone."""


class Silent(msgspec.Struct, frozen=True, tag_field="type", tag="silent"):
    """The worker has not answered for so many seconds, Ping neither; whoever waits for it says so."""

    seconds: float


class Inspected(msgspec.Struct, frozen=True, tag_field="type", tag="inspected"):
    """The inside of a layer at a step."""

    step: int
    inspection: Inspection
    run: RunId = msgspec.UNSET


class Saved(msgspec.Struct, frozen=True, tag_field="type", tag="saved"):
    """A checkpoint at a step; with a problem, why it could not be written, and an older one stays as it is."""

    step: int
    problem: str | None


class Resumed(msgspec.Struct, frozen=True, tag_field="type", tag="resumed"):
    """The run goes on at a step, where a checkpoint was saved; the rest is what the Save of it said."""

    step: int
    output: str
    output_bytes: int


class Tried(msgspec.Struct, frozen=True, tag_field="type", tag="tried"):
    """One single change, the `number`th of `total`."""

    number: int
    total: int
    probe: Probe
    run: RunId = msgspec.UNSET


class Refused(msgspec.Struct, frozen=True, tag_field="type", tag="refused"):
    """A Restart that a user's wrong value made impossible: the setting, and what is wrong with it."""

    setting: str
    problem: str
    run: RunId = msgspec.UNSET


Command: TypeAlias = Restart | Train | StepOnce | Pull | Save | Inspect | TryChanges | ShareCores | Ping
Answer: TypeAlias = Line | Refused | Inspected | Tried | Saved | Resumed | Pong | Silent

answer_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer, dec_hook=decode_other)
_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


class DisconnectedError(Exception):
    """The other end of the socket is closed."""


class CommandChannel:
    """The worker's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unread = b""

    def receive(self, wait: bool) -> list[Command]:
        """The commands that have come; with `wait`, at least one. Raises DisconnectedError."""
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
        """Raises DisconnectedError."""
        try:
            self._connection.sendall(encode_line(answer))
        except OSError as error:
            raise DisconnectedError from error
