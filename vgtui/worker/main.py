"""The process that trains: `python -m vgtui.worker.main FD`, where FD is its end of a socket.

It reads commands between two steps, and ends when the socket closes. It imports neither Textual nor plotext.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

from engine.backend import device_fault
from engine.changes import single_changes
from engine.errors import UsageError
from engine.probe import try_changes
from vgtui.wire.protocol import (
    Command,
    CommandChannel,
    DisconnectedError,
    HoldTrials,
    Inspect,
    Inspected,
    Ping,
    Pong,
    Pull,
    Refused,
    Restart,
    Resumed,
    Save,
    Saved,
    ShareCores,
    StepOnce,
    Train,
    Tried,
    TryChanges,
)
from vgtui.worker.run import Run

PROGRESS_SECONDS = 0.1
"""How often, at most, it is told how far a trial is."""
SLICE_SECONDS = 0.005
"""How long, at most, trials go on between two steps of the run, where a single step of theirs is not longer."""
_DONE = object()


def main() -> None:
    """Serve the socket until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    try:
        Worker(CommandChannel(connection)).serve()
    except DisconnectedError:
        return
    except Exception as error:
        if (words := device_fault(error)) is None:
            raise
        # without CuPy's cleanup, which may wait for a device that does not answer any more
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()
        os._exit(1)


class Worker:
    """Trains one run after another, as commands say."""

    def __init__(self, channel: CommandChannel) -> None:
        """Wait for the first run on a channel."""
        self._channel = channel
        self._run: Run | None = None
        self._until: int | None = 0
        self._pull: Pull | None = None
        self._save: Save | None = None
        self._among = 1
        self._trials: Iterator[Tried | None] = iter(())
        self._trying = False
        self._lent = 0.0
        """The seconds that trials have had beyond those of the run; if negative, those that they may still have."""

    def serve(self) -> None:
        """Obey commands and train. Raises DisconnectedError when the socket closes."""
        while True:
            for command in _with_last_restart_alone(self._receive()):
                self._obey(command)
            if self._run is not None:
                self._settle(self._run)
                self._try_on(self._run)
                if self._may_step(self._run):
                    began = time.perf_counter()
                    self._run.trainer.step()
                    self._settle(self._run)
                    self._lent = max(-SLICE_SECONDS, self._lent - (time.perf_counter() - began))

    def _receive(self) -> list[Command]:
        """Return the commands that have come; if nothing can be trained, wait, excluding idle time from steps/s."""
        run = self._run
        if run is not None and (self._may_step(run) or self._trying):
            return self._channel.receive(wait=False)
        began = time.perf_counter()
        commands = self._channel.receive(wait=True)
        if run is not None:
            run.idle_seconds += time.perf_counter() - began
        return commands

    def _may_step(self, run: Run) -> bool:
        if run.shown_step is None and self._pull is None:
            return False  # its first frame is its initialization, so it waits for a question
        return self._until is None or run.trainer.step_count < self._until

    def _obey(self, command: Command) -> None:
        match command:
            case Inspect(layer):
                self._inspect(layer)
            case TryChanges() | HoldTrials():
                self._try_changes(command)
            case Restart():
                self._restart(command)
            case Ping():
                self._channel.send(Pong())
            case Save():
                self._save = command
            case Train(until):
                self._until = until
            case StepOnce():
                self._until = (self._run.trainer.step_count if self._run else 0) + 1
            case Pull():
                self._pull = command
            case ShareCores(among):
                self._share_cores(among)

    def _restart(self, command: Restart) -> None:
        settings = command.settings
        self._trials = iter(())  # it holds the old run
        try:
            run = Run(settings, self._run, keep=command.keep, among=self._among, run_id=command.run)
            if command.checkpoint is not None:
                begun = run.resume(command.checkpoint)
                self._channel.send(Resumed(begun.step, begun.output, begun.output_bytes))
            self._run = run
            self._trying = False
        except UsageError as error:
            self._channel.send(Refused(error.setting, error.problem, command.run))
        except MemoryError as error:
            problem = f"{settings.network.hidden_layers} layers of width {settings.network.width} do not fit: {error}"
            if self._run and self._run.released:  # there is no run left to go on with
                sys.exit(problem)
            self._channel.send(Refused("hidden_layers", problem, command.run))
        else:
            # a bound belongs to the old run; of the new one it says only that it waits
            self._until = None if self._until is None else 0
            self._channel.send(run.header())

    def _share_cores(self, among: int) -> None:
        self._among = among
        if self._run:
            self._run.limit_threads(among)

    def _try_changes(self, command: TryChanges | HoldTrials) -> None:
        if self._run is None:
            return
        if isinstance(command, TryChanges):
            self._trials = _trials(self._run, command.steps)
        self._trying = isinstance(command, TryChanges) or not command.hold

    def _inspect(self, layer: int) -> None:
        if self._run is not None and layer < len(self._run.trainer.network.shapes):
            trainer = self._run.trainer
            self._channel.send(Inspected(trainer.step_count, trainer.inspect(layer), self._run.run_id))

    def _try_on(self, run: Run) -> None:
        """Go on with the trials by a slice, so that commands and frames go on in between.

        While the run trains, they have as much time as it; while it waits, they have all.
        """
        if not self._may_step(run):
            self._lent = 0.0
        while self._trying and self._lent <= 0:
            began = time.perf_counter()
            tried = next(self._trials, _DONE)
            if tried is _DONE:
                self._trying = False
            elif isinstance(tried, Tried):
                self._channel.send(tried)
            self._lent += time.perf_counter() - began

    def _settle(self, run: Run) -> None:
        """Do what is due between two steps; a checkpoint first, so that a resumed run measures this step too."""
        if self._save is not None and run.trainer.step_count >= self._save.at:
            save, self._save = self._save, None
            self._channel.send(Saved(run.trainer.step_count, run.save(save.path, save.output, save.output_bytes)))
        self._answer(run)

    def _answer(self, run: Run) -> None:
        """Send the frame that was asked for if it is due. A step is shown once, however long a run waits at it."""
        if self._pull is None or run.trainer.step_count < self._pull.at or run.shown_step == run.trainer.step_count:
            return
        validate = self._pull.validate or not self._may_step(run)
        self._pull = None
        self._channel.send(run.frame(validate))


def _with_last_restart_alone(commands: list[Command]) -> list[Command]:
    """Drop all restarts that came during one step but the last."""
    last = max((at for at, command in enumerate(commands) if isinstance(command, Restart)), default=0)
    return [command for at, command in enumerate(commands) if at >= last or not isinstance(command, Restart)]


def _trials(run: Run, steps: int) -> Iterator[Tried | None]:
    """Try each change of a run, a slice of work at a time; None where there is nothing to tell yet."""
    network, training = run.settings.network, run.settings.training
    total = 1 + len(list(single_changes(network, training)))
    told = time.perf_counter()
    for trial in try_changes(network, training, run.dataset, run.backend, steps):
        now = time.perf_counter()
        if trial.steps in (0, steps) or now - told >= PROGRESS_SECONDS:
            told = now
            yield Tried(trial.number + 1, total, trial.probe, run.run_id, trial.steps, steps)
        else:
            yield None


if __name__ == "__main__":
    main()
