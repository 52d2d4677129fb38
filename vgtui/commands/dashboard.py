"""Opening the dashboard, and leaving it with the terminal as it was, whatever ends it."""

from contextlib import suppress

from vgtui.lessons.lesson import Lesson
from vgtui.recordings.writer import Recorder
from vgtui.settings import load_settings, recall, remember
from vgtui.terminal import has_colour, has_utf8, tell
from vgtui.training.client import LiveRun
from vgtui.training.settings import RunSettings
from vgtui.training.source import FrameSource

DEFAULT_THEME = "dark"


def train_live(
    settings: RunSettings, theme: str | None, fps: float, record: str | None = None, lesson: Lesson | None = None
) -> int:
    """Train in the dashboard until the user leaves; into a recording where `record` names one.

    Returns the exit code. Raises UsageError when the run or the recording cannot be had.
    """
    recorder = Recorder(record) if record else None
    return open_dashboard(LiveRun(settings), settings, theme, fps, recorder, lesson)


def open_dashboard(
    source: FrameSource,
    settings: RunSettings,
    theme: str | None,
    fps: float,
    recorder: Recorder | None = None,
    lesson: Lesson | None = None,
) -> int:
    """Show a frame source until the user leaves. Returns the exit code; raises UsageError when it cannot be had.

    theme: None takes that of the last time.
    """
    from vgtui.dashboard.app import Dashboard
    from vgtui.dashboard.keymap import Keymap
    from vgtui.dashboard.plain import Shows
    from vgtui.dashboard.signals import restoring_terminal
    from vgtui.dashboard.state import VIEWS, Look
    from vgtui.themes import load_palettes

    keymap = Keymap(load_settings().keys)
    if lesson:
        keymap.check(lesson)
    last = recall()
    look = Look(view=last.view if last.view in VIEWS else VIEWS[0], hints=last.hints is not False)
    palettes, warnings = load_palettes()
    app = Dashboard(
        source,
        settings,
        palettes,
        theme or (last.theme if last.theme in palettes else DEFAULT_THEME),
        fps,
        look=look,
        keymap=keymap,
        shows=Shows(has_colour(), has_utf8()),
        on_look=lambda look, theme: remember(view=look.view_to_remember, hints=look.hints, theme=theme),
        on_lesson=lambda done: remember(lessons=done),
        lesson=lesson,
        lessons_done=last.lessons,
        warnings=warnings,
        recorder=recorder,
    )
    try:
        with restoring_terminal(app):
            refused = app.run()
    finally:
        _end_recording(app.main.recording.recorder)
    if refused is not None:
        raise refused
    if app.crash is not None:
        raise app.crash
    return app.return_code or 0


def _end_recording(recorder: Recorder | None) -> None:
    """Write all that waits, and say where it is and how to see it again."""
    if not recorder:
        return
    words = recorder.where
    try:
        recorder.close()
    except OSError as error:
        words = f"{recorder.path} lacks its last second: {error.strerror}"
    if recorder.lines:
        with suppress(OSError):  # a terminal that has hung up
            tell(words)
