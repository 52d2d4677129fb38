"""A lesson in a real terminal: what it leaves on the disk."""

from pathlib import Path

import msgspec

from tests.terminal.forked import ForkedTerminal
from vgtui.user.settings_file import Remembered


def remembered_in(folder: Path) -> Remembered | None:
    for path in folder.rglob("look.json"):
        return msgspec.json.decode(path.read_bytes(), type=Remembered)
    return None


def test_the_view_that_a_lesson_asks_for_is_not_remembered(tmp_path: Path) -> None:
    with ForkedTerminal(["--lesson", "quarter"], XDG_STATE_HOME=str(tmp_path)) as terminal:
        terminal.wait_for(lambda: "Lesson: " in terminal.text and terminal.step is not None)
        terminal.press("v")
        terminal.wait_for(lambda: (kept := remembered_in(tmp_path)) and kept.view)  # steps of the lesson are kept too
        remembered = remembered_in(tmp_path)
        assert remembered and remembered.view == "sparklines"
        terminal.wait_for(lambda: "layer  since the start" in terminal.text)
