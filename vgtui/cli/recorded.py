"""What replay, export and report read: a recording, or event files of TensorBoard that are made one."""

import argparse

from vgtui.cli.unused_options import tell_unused, unused
from vgtui.files.inputs import InputFile
from vgtui.recordings.event_files import is_event_log
from vgtui.terminal.capabilities import tell


def add_tag_option(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add --tag."""
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="RULE",
        help="of event files: how gradients are called, as in grad/{layer}, or loss=TAG; may be repeated",
    )


def open_recorded(chosen: argparse.Namespace, tells: bool = True) -> InputFile:
    """Open the file of a command line.

    Args:
        chosen: The command line.
        tells: Whether what event files lack is said on stderr; it is in the recording too.

    Raises:
        UsageError: It cannot be read, or there are no gradients in it.
    """
    path: str = chosen.file
    if is_event_log(path):
        from vgtui.recordings.event_recording import event_recording
        from vgtui.recordings.event_tags import TagRule

        file, remarks = event_recording(path, TagRule.of(chosen.tag))
        for remark in remarks if tells else ():
            tell(remark)
        return InputFile(path, file)
    if chosen.tag:
        tell_unused([unused("--tag", f"here: {path} is not of TensorBoard")])
    return InputFile(path)
