"""`vgtui attach`: your own model in the dashboard, or without a terminal its next frame as a report."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from select import select

from engine.errors import UsageError
from vgtui.cli.arguments import whole
from vgtui.cli.output.columns import Columns
from vgtui.cli.output.text_report import ReportWriter
from vgtui.cli.screen_options import add_screen_options, no_screen, screen_of
from vgtui.model.options import settings_from
from vgtui.sources.attached import Attached, find_endpoints
from vgtui.terminal.capabilities import tell
from vgtui.terminal.text import plain
from vgtui.watching.endpoints import Endpoint, is_listening, list_endpoints
from vgtui.wire.frames import Event, Frame, Header

DESCRIPTION = "Show a model that its own script trains: under vgtui exec, or with vgtui.watch or vgtui.Emitter in it."
EXAMPLES = """\
examples:
  vgtui attach                        what is watched on this machine; asks where there are several
  vgtui attach resnet                 by its name
  vgtui attach 4711                   by its process
  vgtui attach --inject 4711          a training that was started without vgtui
  ssh -t gpu vgtui attach             the same on a server
  vgtui attach resnet | tail -1       the verdict on its next frame
  vgtui top                           all that are watched, on one screen

start the training with vgtui exec python train.py, or have in the script:
  watcher = vgtui.watch(model, optimizer)
  ...                                 in the loop, once a step:
  watcher.step(loss=loss)

keys: space pauses what you see and not the training, / finds a layer, enter folds a group of layers."""
LOOK_SECONDS = 0.1
"""How long a ctrl+c at the question may take to be seen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of the model and the options of the screen."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="of the model, or its process; or the path of a socket")
    parser.add_argument(
        "--inject",
        metavar="PID",
        type=whole,
        help="watch what this process trains, though nothing in it says so, for as long as this command runs",
    )
    add_screen_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Show the model in the dashboard, or print its next frame as a report where there can be no dashboard."""
    theme, fps = screen_of(chosen)
    has_screen = no_screen(sys.stdin, sys.stdout, sys.stderr) is None
    with _endpoint_of(chosen, may_ask=has_screen) as endpoint:
        source = Attached(endpoint, goes_on=chosen.inject is None)  # a later process has no hooks
        if not has_screen:
            return asyncio.run(report(source))
        from vgtui.dashboard.launch import open_dashboard

        return open_dashboard(source, settings_from({}), theme, fps)


def _endpoint_of(chosen: argparse.Namespace, may_ask: bool) -> AbstractContextManager[Endpoint]:
    """What is meant, for as long as it is looked at. Raises UsageError."""
    if chosen.inject is None:
        return nullcontext(_endpoint(chosen.name, may_ask))
    if chosen.name is not None:
        raise UsageError("NAME", "does nothing with --inject, which takes the process")
    from vgtui.watching.automatic.injection import injected

    return injected(chosen.inject)


async def report(source: Attached) -> int:
    """Print what the model's next frame says.

    Returns:
        The exit code.
    """
    writer = ReportWriter(sys.stdout)
    try:
        while True:
            match await source.next_answer():
                case Header() as header:
                    writer.header(header)
                case Frame() as frame:
                    writer.frame(frame)
                    writer.close()
                    return 0
                case Event(message=message):
                    tell(message)
                    if source.ended:
                        return 1
    finally:
        await source.close()


def _endpoint(wanted: str | None, may_ask: bool) -> Endpoint:
    """What is meant; where that is several, the user is asked. Raises UsageError."""
    if wanted is not None and "/" in wanted:
        if not is_listening(Path(wanted)):
            raise UsageError("NAME", f"nothing answers on the socket {wanted}")
        return Endpoint(Path(wanted), Path(wanted).stem, 0)
    try:
        found = find_endpoints(wanted, list_endpoints())
    except OSError as error:
        raise UsageError("NAME", f"no sockets can be looked for: {error.strerror or error}") from error
    if len(found) == 1:
        return found[0]
    if not may_ask:
        there = ", ".join(f"{endpoint.name} ({endpoint.pid})" for endpoint in found)
        raise UsageError(
            "NAME", f"several are watched, {there}; say which, by its name or its process; vgtui top shows all"
        )
    return _ask(found)


def _ask(found: Sequence[Endpoint]) -> Endpoint:
    """Let the user choose one of several models. Raises UsageError when the input ends."""
    table = Columns(">3", "", "")
    for number, endpoint in enumerate(found, start=1):
        sys.stdout.write(table.row(number, plain(endpoint.name), f"process {endpoint.pid}") + "\n")
    while True:
        sys.stdout.write(f"which one, 1 to {len(found)}? ")
        sys.stdout.flush()
        while not select([sys.stdin], [], [], LOOK_SECONDS)[0]:
            pass  # input() would not see a ctrl+c that comes just ahead of its read
        try:
            answer = input()
        except EOFError as error:
            raise UsageError("NAME", "several are watched, and none was chosen") from error
        if answer.strip().isdecimal() and 1 <= int(answer) <= len(found):
            return found[int(answer) - 1]
