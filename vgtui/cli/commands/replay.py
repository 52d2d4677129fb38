"""`vgtui replay`: a recording or a run of TensorBoard in the dashboard; without a terminal, a report of its end."""

import argparse
import os
import sys

from engine.errors import UsageError
from vgtui.cli.output.text_report import ReportWriter
from vgtui.cli.recorded import add_tag_option, open_recorded
from vgtui.cli.screen_options import add_screen_options, no_screen, screen_of
from vgtui.files.inputs import InputFile
from vgtui.model.differences import settings_from_header
from vgtui.model.options import settings_from
from vgtui.recordings.reader import STREAM, RecordingReader, read_recording
from vgtui.sources.replay import Replay
from vgtui.terminal.capabilities import tell
from vgtui.wire.frames import Frame, Header, carried

DESCRIPTION = "Show a recording in the dashboard, or frames that come through a pipe."
EXAMPLES = """\
examples:
  vgtui --record run.jsonl                                       record
  vgtui replay run.jsonl                                         see it again
  vgtui run --steps 5000 --every 10 --format jsonl | vgtui replay -
  vgtui replay runs/exp1                                         event files: pip install 'vgtui[tensorboard]'
  vgtui replay runs/exp1 --tag 'grad/{layer}'                    whose gradients have other names
  ssh gpu vgtui run --steps 5000 --every 10 --format jsonl | vgtui replay -

keys: space pauses, < > change the speed, while paused ← → home end move in time."""
KEYBOARD = "/dev/tty"
NEXT_LANE = "\n\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file of the recording and the options of the screen."""
    parser.add_argument(
        "file", metavar="FILE", help="a recording, .gz too, or a run of TensorBoard; - follows standard input"
    )
    add_tag_option(parser)
    add_screen_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Show the recording in the dashboard, or print its last frame as a report where there can be no dashboard."""
    theme, fps = screen_of(chosen)
    # keys come from the terminal itself where standard input is the stream; Textual draws on stderr
    streams = (sys.stdout, sys.stderr) if chosen.file == STREAM else (sys.stdin, sys.stdout, sys.stderr)
    has_screen = no_screen(*streams) is None
    with open_recorded(chosen, tells=not has_screen) as file:
        return replay(file, theme, fps) if has_screen else report(file)


def replay(file: InputFile, theme: str | None, fps: float) -> int:
    """Show a recording, or a stream ("-") as it comes.

    Returns:
        The exit code.

    Raises:
        UsageError: It is not a recording.
    """
    source = Replay(file.path, file.fileno())
    if file.path == STREAM:
        _take_keys_from_the_terminal()
    from vgtui.dashboard.launch import open_dashboard

    settings = settings_from_header(source.header) if source.header.own else settings_from({})
    return open_dashboard(source, settings, theme, fps)


def report(source: InputFile | str) -> int:
    """Print what the last frame says, of each lane where two are compared; what is damaged is said on stderr."""
    reader = RecordingReader(source if isinstance(source, str) else source.path)
    last: dict[str, tuple[Header, Frame]] = {}
    for message in read_recording(source, reader):
        if isinstance(message, Header):
            last = carried(last, message)
        elif isinstance(message, Frame):
            last[message.lane or ""] = reader.header_of(message), message
    tell(f"end of the recording: {reader.summary()}")
    for place, (lane, (header, frame)) in enumerate(sorted(last.items())):
        if lane:
            print(f"{NEXT_LANE if place else ''}lane {lane}")
        writer = ReportWriter(sys.stdout)
        writer.header(header)
        writer.frame(frame)
        writer.close()
    return 0


def _take_keys_from_the_terminal() -> None:
    """Let standard input, which was the stream, be the keyboard."""
    try:
        keyboard = os.open(KEYBOARD, os.O_RDONLY)
    except OSError as error:
        raise UsageError("FILE", f"- needs a terminal beside the stream, for the keys: {error.strerror}") from error
    os.dup2(keyboard, sys.stdin.fileno())
    os.close(keyboard)
