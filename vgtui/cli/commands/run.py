"""`vgtui run`: the same training process as the dashboard's, written to a file or a pipe."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from engine.changes import TRIAL_STEPS
from engine.errors import UsageError, unknown_name
from vgtui.cli.arguments import add_overwrite_option, add_run_options, check_least, settings_from_arguments, whole
from vgtui.cli.output.plan import Plan
from vgtui.cli.output.sink import STDOUT
from vgtui.cli.output.training import train
from vgtui.cli.output.until import NAMES, StopCondition
from vgtui.cli.output.what_if import try_changes
from vgtui.cli.unused_options import tell_unused, unused, unused_in_run
from vgtui.files.outputs import check_free, is_regular

DESCRIPTION = "Train without a screen and write frames."
EXAMPLES = """\
examples:
  vgtui run --steps 500                                     a table, then the report
  vgtui run --steps 1000 --every 10 --output run.jsonl      every tenth step to a file
  vgtui run --steps 200 --activation relu --format csv > relu.csv
  vgtui run --steps 100 --format jsonl | tail -1 | jq .verdict.message
  vgtui run --steps 2000 --batch-norm --until accuracy=0.95 || echo "it does not learn"
  vgtui run --what-if --init small_normal                   each change on its own for 100 steps, best first
  vgtui run --steps 100000 --output long.jsonl --checkpoint long.npz --resume
                                                            stopped and called again, it goes on

exit codes: 0; 1 a fault of the run; 2 wrong usage; 3 --until was not reached; 128 + n a signal."""
FORMATS = ("table", "jsonl", "csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to write, when to end, the checkpoint, and the options of a run."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--steps", type=whole, metavar="N", help=f"train N steps; with --what-if {TRIAL_STEPS} by default"
    )
    group.add_argument(
        "--what-if",
        action="store_true",
        help="rather than one run, try each change of one setting on its own, and print what it does, best first",
    )
    group.add_argument("--every", type=whole, metavar="K", help="a frame at the steps 0, K, 2K … N (default: N/10)")
    group.add_argument(
        "--output", "-o", default="-", metavar="FILE", help="where to; - is standard output (default: -)"
    )
    group.add_argument(
        "--format", metavar="NAME", help=f"{', '.join(FORMATS)} (default: by the ending of FILE, else table)"
    )
    add_overwrite_option(group)
    group = parser.add_argument_group("ending and going on")
    group.add_argument(
        "--until",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"end at the first frame with it, else exit with 3: {', '.join(NAMES)}; several: all of them",
    )
    group.add_argument("--checkpoint", metavar="FILE", help="keep the state of the run in this .npz")
    group.add_argument("--checkpoint-every", type=whole, metavar="K", help="each K steps (default: N/10)")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from --checkpoint where it is there, bit for bit as if never stopped",
    )
    add_run_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Check the options, train as they say, and write the frames, or the table of what if."""
    if chosen.what_if:
        return _call_what_if(chosen)
    if chosen.steps is None:
        raise UsageError("", "the following arguments are required: --steps (see vgtui run --help)")
    check_least("steps", chosen.steps, 0)
    check_least("every", chosen.every, 1)
    check_least("checkpoint_every", chosen.checkpoint_every, 1)
    for name in ("resume", "checkpoint_every"):
        if getattr(chosen, name) and chosen.checkpoint is None:
            raise UsageError(name, "needs --checkpoint FILE, which says where")
    if chosen.checkpoint is not None:
        _check_checkpoint(chosen)
    name = _format_of(chosen)
    tenth = max(1, chosen.steps // 10)
    plan = Plan(
        steps=chosen.steps,
        every=chosen.every or tenth,
        until=StopCondition.all_of(chosen.until),
        checkpoint=chosen.checkpoint,
        save_every=(chosen.checkpoint_every or tenth) if chosen.checkpoint else 0,
        resume=chosen.resume,
    )
    settings = settings_from_arguments(chosen)
    tell_unused(unused_in_run(chosen, settings))
    tell_unused(_unused(chosen))
    return train(settings, plan, chosen.output, name, chosen.overwrite)


def _call_what_if(chosen: argparse.Namespace) -> int:
    """Check the options, try each change, and write the table."""
    steps = TRIAL_STEPS if chosen.steps is None else chosen.steps
    check_least("steps", steps, 1)
    for name in ("every", "until", "checkpoint", "checkpoint_every", "resume"):
        if getattr(chosen, name):
            raise UsageError(name, "does not go with --what-if, which trains each change for the same number of steps")
    name = _format_of(chosen)
    settings = settings_from_arguments(chosen)
    tell_unused(unused_in_run(chosen, settings))
    if chosen.overwrite and chosen.output == STDOUT:
        tell_unused([unused("--overwrite", "without a file to write")])
    return try_changes(settings, steps, chosen.output, name, chosen.overwrite)


def _format_of(chosen: argparse.Namespace) -> str:
    """The format to write. Raises UsageError if there is none of that name, or the output cannot have it."""
    if chosen.output.endswith(".gz"):
        problem = f"{chosen.output} would not be compressed; take --format jsonl --output - | gzip > {chosen.output}"
        raise UsageError("output", problem)
    name: str = chosen.format or next((f for f in FORMATS if chosen.output.endswith(f".{f}")), "table")
    if name not in FORMATS:
        raise unknown_name("format", "format", name, FORMATS)
    return name


def _unused(chosen: argparse.Namespace) -> Iterator[UsageError]:
    if chosen.every is not None and chosen.every > chosen.steps:
        yield unused("--every", f"above --steps {chosen.steps}: there are frames of the first and the last step")
    if chosen.checkpoint_every is not None and chosen.checkpoint_every > chosen.steps:
        yield unused("--checkpoint-every", f"above --steps {chosen.steps}: there is a checkpoint at the end")
    if chosen.overwrite and chosen.output == STDOUT and not chosen.checkpoint:
        yield unused("--overwrite", "without a file to write")


def _check_checkpoint(chosen: argparse.Namespace) -> None:
    """Raises UsageError for a checkpoint that would take the place of something else."""
    path = chosen.checkpoint
    for name in (path, chosen.output):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            problem = f"{name!r} is not the name of a file in UTF-8, which a checkpoint can hold; rename the file"
            raise UsageError("checkpoint", problem) from error
    if not os.access(Path(path).parent, os.W_OK):
        raise UsageError("checkpoint", f"{path} cannot be written: its folder is not there, or takes no file")
    if os.path.exists(path) and not is_regular(path):
        raise UsageError("checkpoint", f"{path} is not a regular file, which is what a checkpoint takes")
    if chosen.output != STDOUT and os.path.realpath(path) == os.path.realpath(chosen.output):
        raise UsageError("checkpoint", f"{path} is the output too; it takes a file of its own")
    if not chosen.resume:
        check_free("checkpoint", path, chosen.overwrite)
