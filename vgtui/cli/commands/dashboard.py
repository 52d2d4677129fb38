"""`vgtui` without a command: the dashboard, or a report where there is no terminal for one."""

import argparse
import sys

import vgtui
from engine.errors import UsageError
from vgtui.cli.arguments import add_overwrite_option, add_run_options, settings_from_arguments
from vgtui.cli.commands import COMMANDS
from vgtui.cli.screen_options import add_screen_options, no_screen, screen_of
from vgtui.cli.unused_options import tell_unused, unused, unused_in_run, unused_run_options
from vgtui.terminal.capabilities import tell

DESCRIPTION = "Train a deep network step by step and see, live, how much gradient every layer gets."
EXAMPLES = """\
examples:
  vgtui                                       a 20-layer sigmoid network, whose first layers get nothing
  vgtui --activation relu --init he_normal    the same network, cured
  vgtui --hidden-layers 100 --batch-norm      deeper
  vgtui --lesson quarter                      why the gradient vanishes, step by step
  vgtui --preset schoenholz-2017              a configuration from a paper
  vgtui --record run.jsonl.gz                 keep every frame; vgtui replay shows them again

commands (`vgtui COMMAND --help` explains each):
""" + "\n".join(f"  {name:<11} {words}" for name, words in COMMANDS.items())
REPORT_STEPS = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `vgtui` itself."""
    parser.add_argument("--version", action="version", version=f"vgtui {vgtui.__version__}")
    add_run_options(parser)
    screen = add_screen_options(parser)
    screen.add_argument("--lesson", metavar="NAME", help="begin a guided lesson: vgtui lessons")
    screen.add_argument("--record", metavar="FILE", help="keep every frame; compressed where FILE ends with .gz")
    add_overwrite_option(screen)


def call(chosen: argparse.Namespace) -> int:
    """The dashboard, or where there can be none a report."""
    theme, fps = screen_of(chosen)
    settings = settings_from_arguments(chosen)
    lesson = None
    if chosen.lesson is not None:
        from vgtui.lessons.lesson import find_lesson

        lesson = find_lesson(chosen.lesson)
        settings = lesson.settings_before(0)
        found = [*unused_run_options(chosen, f"with --lesson {lesson.name}, which has settings of its own")]
    else:
        found = [*unused_in_run(chosen, settings)]
    if chosen.overwrite and not chosen.record:
        found.append(unused("--overwrite", "without --record FILE"))
    tell_unused(found)
    reason = no_screen(sys.stdin, sys.stdout, sys.stderr)
    if reason is None:
        from vgtui.dashboard.launch import train_live

        return train_live(settings, theme, fps, chosen.record, chosen.overwrite, lesson, found)
    if lesson:
        raise UsageError("lesson", f"{reason}, and a lesson needs one; vgtui lessons {lesson.name} prints its text")
    if chosen.record:
        raise UsageError("record", f"{reason}, and the dashboard is what records; take vgtui run --output FILE")
    from vgtui.cli.output.plan import Plan
    from vgtui.cli.output.training import train

    tell(f"{reason}, so here is a report of {REPORT_STEPS} steps (see vgtui run --help)")
    return train(settings, Plan(REPORT_STEPS, REPORT_STEPS), output="-", format_name="report")
