"""`vgtui replay`: a recording in the dashboard, or without a terminal its last frame as a report."""

import argparse
import asyncio
import os
import sys

from engine.errors import UsageError
from vgtui.commands.text_report import ReportWriter
from vgtui.recordings.frames import Event, Frame, Header
from vgtui.recordings.replay import STREAM, Replay
from vgtui.screen_options import add_screen_options, no_screen, screen_of
from vgtui.training.differences import settings_of

DESCRIPTION = "Show a recording in the dashboard, or frames that come through a pipe."
EXAMPLES = """\
examples:
  vgtui --record run.jsonl                                       record
  vgtui replay run.jsonl                                         see it again
  vgtui run --steps 5000 --every 10 --format jsonl | vgtui replay -
  ssh gpu vgtui run --steps 5000 --every 10 --format jsonl | vgtui replay -

keys: space pauses, < > change the speed, while paused ← → home end move in time."""
KEYBOARD = "/dev/tty"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording, .gz too; - follows standard input")
    add_screen_options(parser)


def call(chosen: argparse.Namespace) -> int:
    theme, fps = screen_of(chosen)
    # keys come from the terminal itself where standard input is the stream; Textual draws on stderr
    streams = (sys.stdout, sys.stderr) if chosen.file == STREAM else (sys.stdin, sys.stdout, sys.stderr)
    return replay(chosen.file, theme, fps) if no_screen(*streams) is None else report(chosen.file)


def replay(path: str, theme: str | None, fps: float) -> int:
    """Show a recording, or a stream, "-", as it comes. Returns the exit code; raises UsageError for what is none."""
    source = Replay(path)
    if path == STREAM:
        _take_keys_from_the_terminal()
    from vgtui.commands.dashboard import open_dashboard

    return open_dashboard(source, settings_of(source.header), theme, fps)


def report(path: str) -> int:
    """Print what the last frame says; what is damaged is said on stderr."""
    return asyncio.run(_report(Replay(path)))


async def _report(source: Replay) -> int:
    source.skip(1.0)
    writer = ReportWriter(sys.stdout)
    header: Header | None = None
    frames = 0
    while not isinstance(answer := await source.next_answer(), Event) or answer.kind != "note" or not source.ended:
        if isinstance(answer, Header):
            header = answer
        elif isinstance(answer, Frame):
            frames += 1
            writer.frame(answer)
    sys.stderr.write(f"vgtui: {answer.message}\n")
    if header and frames:
        writer.header(header)
        writer.close()
    await source.close()
    return 0


def _take_keys_from_the_terminal() -> None:
    """Let standard input, which was the stream, be the keyboard."""
    try:
        keyboard = os.open(KEYBOARD, os.O_RDONLY)
    except OSError as error:
        raise UsageError("FILE", f"- needs a terminal beside the stream, for the keys: {error.strerror}") from error
    os.dup2(keyboard, sys.stdin.fileno())
    os.close(keyboard)
