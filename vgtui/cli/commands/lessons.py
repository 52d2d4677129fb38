"""`vgtui lessons`: the lessons there are, how far one is, and the text of one."""

import argparse
import sys

from vgtui.cli.arguments import offer
from vgtui.cli.output.columns import Columns
from vgtui.lessons.lesson import Lesson, find_lesson, load_lessons
from vgtui.terminal.capabilities import tell
from vgtui.terminal.text import plain
from vgtui.user.settings_file import recall

DESCRIPTION = "The guided lessons and how far you are; or the text of one."
EXAMPLES = "examples:\n  vgtui lessons\n  vgtui lessons quarter\n  vgtui --lesson quarter"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of a lesson, which the shell can complete."""
    name = parser.add_argument("name", nargs="?", metavar="NAME", help="print the text of this lesson")
    offer(name, lambda: load_lessons()[0])


def call(chosen: argparse.Namespace) -> int:
    """Print the text of one lesson, or a line for each of them."""
    return print_lesson(chosen.name) if chosen.name is not None else print_lessons()


def print_lessons() -> int:
    """A line a lesson: its name, its title, and how many of its steps were done."""
    lessons, warnings = load_lessons()
    done = recall().lessons
    for warning in warnings:
        tell(str(warning))
    table = Columns(f"<{max(map(len, lessons))}", f"<{max(len(lesson.title) for lesson in lessons.values())}", "")
    for name, lesson in lessons.items():
        print(plain(table.row(name, lesson.title, _progress(lesson, done.get(name, 0)))))
    sys.stderr.write("vgtui --lesson NAME begins one\n")
    return 0


def print_lesson(name: str) -> int:
    """What a lesson says.

    Raises:
        UsageError: There is no lesson of this name.
    """
    lesson = find_lesson(name)
    print(plain(lesson.title))
    for number, step in enumerate(lesson.steps, start=1):
        print(f"\n{number}. {plain(step.say)}")
    return 0


def _progress(lesson: Lesson, done: int) -> str:
    count = len(lesson.steps)
    return "done" if done >= count else f"{done} of {count} steps" if done else f"{count} steps"
