"""The command line: `vgtui`, its commands, and one sentence for every wrong word.

Nothing heavy is imported here: the command that is asked for is imported when it is, and brings its own options.
"""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TextIO

from engine.errors import DISK_FAULTS, UsageError
from vgtui.cli.arguments import Parser, blaming_the_giver
from vgtui.cli.commands import dashboard, find_command
from vgtui.cli.exit_codes import FAULT_EXIT, USAGE_EXIT
from vgtui.model.options import words_of
from vgtui.terminal.capabilities import have_home, open_streams, replace_unencodable, tell

SCARCE = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
"""What the system says that has no more files, processes or memory for us."""
COMPLETION_VARIABLE = "_ARGCOMPLETE"
"""What a shell sets that wants words completed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 for a fault, 2 for wrong usage, 128 + n for a signal n."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        try:
            if sys.stderr:
                sys.stderr.flush()
        except OSError:  # a terminal that is gone, a full disk: nothing can be told, and the exit code stays
            _discard(sys.stderr)


def _run(words: list[str]) -> int:
    have_home()
    if COMPLETION_VARIABLE in os.environ:
        from vgtui.cli.commands.completion import complete

        complete()
    if not open_streams():
        tell("standard output is closed; > /dev/null takes what is not wanted")
        return USAGE_EXIT
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    replace_unencodable()
    try:
        try:
            if words and not words[0].startswith("-"):
                return _call(f"vgtui {words[0]}", find_command(words[0]), words[1:])
            return _call("vgtui", dashboard, words)
        finally:
            sys.stdout.flush()  # here, as at the interpreter's own exit it is too late for a sentence
    except UsageError as error:
        tell(words_of(error))
        return USAGE_EXIT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """Say in one sentence what went wrong; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        _discard(sys.stdout)  # its reader has enough
        return 0
    if isinstance(error, OSError) and error.errno in DISK_FAULTS:
        _discard(sys.stdout)
        tell(f"{error.filename or 'the output'} cannot be written: {error.strerror}")
        return FAULT_EXIT
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SCARCE):
        tell(f"the system gives no more: {getattr(error, 'strerror', None) or 'out of memory'}; see ulimit -a")
        return FAULT_EXIT
    from vgtui.terminal.crash import report_crash

    return report_crash(error)


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, rather than fail once more as the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _call(name: str, command: ModuleType, words: Sequence[str]) -> int:
    parser = Parser(prog=name, description=command.DESCRIPTION, epilog=command.EXAMPLES)
    command.add_arguments(parser)
    chosen = parser.parse_words(words)
    with blaming_the_giver(chosen):
        code: int = command.call(chosen)
    return code
