"""Opens the dashboard, and restores the terminal however it ends."""

import os
import shlex
import subprocess
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageError
from vgtui.lessons.lesson import Lesson
from vgtui.model.options import settings_from
from vgtui.recordings.writer import Recorder
from vgtui.sources.attached import Attached
from vgtui.sources.base import FrameSource
from vgtui.sources.live import LiveRun
from vgtui.sources.overview import Overview
from vgtui.sources.pair import Pair
from vgtui.sources.trainings import Training
from vgtui.terminal.capabilities import has_colour, has_utf8, tell
from vgtui.user.settings_file import load_settings, recall, remember, settings_name, settings_path
from vgtui.watching.endpoints import Endpoint
from vgtui.wire.run_settings import RunSettings

if TYPE_CHECKING:
    from vgtui.dashboard.session.command import Command

DEFAULT_THEME = "dark"
SIGNALLED = 128
"""Exit codes above this are of a signal that ends the program."""


def train_live(
    settings: RunSettings,
    theme: str | None,
    fps: float,
    record: str | None = None,
    overwrite: bool = False,
    lesson: Lesson | None = None,
    remarks: Sequence[UsageError] = (),
) -> int:
    """Train in the dashboard until the user leaves.

    Args:
        settings: The run.
        theme: The name of the theme; None for the last one used.
        fps: The maximum number of redraws per second.
        record: The file to record into, if any.
        overwrite: Whether to replace that file if it exists.
        lesson: The lesson to start with, if any.
        remarks: Shown as notifications at startup.

    Returns:
        The exit code.

    Raises:
        UsageError: If the run or the recording is not available.
    """
    recorder = Recorder(record, overwrite) if record else None
    try:
        return open_dashboard(LiveRun(settings), settings, theme, fps, recorder, lesson, remarks)
    finally:
        _end_recording(recorder)  # also where the dashboard could not be opened


def open_beside(words: Sequence[str], environment: Mapping[str, str], theme: str | None, fps: float) -> int:
    """Start a command, and show its output and the models that it trains until the user leaves.

    The command goes on when the user leaves; its output then goes to a log.

    Args:
        words: The command and its arguments.
        environment: Its environment.
        theme: The name of the theme; None for the last one used.
        fps: The maximum number of redraws per second.

    Returns:
        The exit code: the command's if it has ended, 128 + n for a signal n; 0 if it goes on.

    Raises:
        UsageError: If there is no such program, or the user's keys are wrong.
    """
    from vgtui.dashboard.session.command import Command
    from vgtui.sources.started import Started

    command = Command(words, environment, *os.get_terminal_size())
    source = Started(lambda: command.pid)
    try:
        left_with = open_dashboard(source, settings_from({}), theme, fps, command=command)
    finally:
        command.wait_if_ending()
        goes_on = command.exit_code is None
        command.leave()
        if goes_on:
            name = f" {shlex.quote(source.name)}" if source.name else ""
            tell(f"{command.shown} goes on: vgtui attach{name} shows its model again, kill {command.pid} ends it")
            tell(f"what it writes from now on is in {command.log}")
    if goes_on or left_with:
        return left_with
    assert command.exit_code is not None
    tell(f"{command.shown} has ended with exit code {command.exit_code}")
    return command.exit_code


def open_dashboard(
    source: FrameSource,
    settings: RunSettings,
    theme: str | None,
    fps: float,
    recorder: Recorder | None = None,
    lesson: Lesson | None = None,
    remarks: Sequence[UsageError] = (),
    command: "Command | None" = None,
) -> int:
    """Show a frame source until the user leaves.

    Args:
        source: Where the frames come from.
        settings: The requested run.
        theme: The name of the theme; None for the last one used.
        fps: The maximum number of redraws per second.
        recorder: Records every frame, if given.
        lesson: The lesson to start with, if any.
        remarks: Shown as notifications at startup.
        command: Trains the models of the source, if it was started here; its output has a panel.

    Returns:
        The exit code.

    Raises:
        UsageError: If the source refuses to start, or the user's keys are wrong.
    """
    from vgtui.dashboard.app import Dashboard, DashboardConfig
    from vgtui.dashboard.keymap import Keymap
    from vgtui.dashboard.line_filters import Shows
    from vgtui.dashboard.signals import restoring_terminal
    from vgtui.dashboard.view.look import VIEWS, Look
    from vgtui.user.themes import load_palettes

    try:
        keymap = Keymap(load_settings().keys)
    except UsageError as error:
        raise UsageError(settings_name(), f"{settings_path()}: {error.setting}: {error.problem}") from error
    if lesson:
        keymap.check(lesson)
    last = recall()
    look = Look(view=last.view if last.view in VIEWS else VIEWS[0], hints=last.hints is not False)
    palettes, warnings = load_palettes()
    config = DashboardConfig(
        source=source,
        settings=settings,
        palettes=palettes,
        theme=_theme_of(theme, palettes),
        fps=fps,
        look=look,
        keymap=keymap,
        shows=Shows(has_colour(), has_utf8()),
        on_look=lambda look, theme: remember(view=look.view_to_remember, hints=look.hints, theme=theme),
        on_lesson=lambda done: remember(lessons=done),
        lesson=lesson,
        lessons_done=last.lessons,
        warnings=[*warnings, *remarks],
        recorder=recorder,
        command=command,
    )
    app = Dashboard(config)
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


def open_overview(overview: Overview, theme: str | None, fps: float, remote: Sequence[str]) -> int:
    """Show all trainings, and those that the user opens, until the user leaves.

    Args:
        overview: The trainings.
        theme: The name of the theme; None for the last one used.
        fps: The maximum number of redraws per second of a training that is opened.
        remote: The words that begin with SSH and end with how vgtui is called on a host.

    Returns:
        The exit code.
    """
    from vgtui.dashboard.line_filters import Shows
    from vgtui.dashboard.overview import OverviewApp, OverviewConfig
    from vgtui.dashboard.signals import restoring_terminal
    from vgtui.user.themes import load_palettes

    palettes, _ = load_palettes()
    shows, problem = Shows(has_colour(), has_utf8()), ""
    while True:
        config = OverviewConfig(
            overview=overview,
            palettes=palettes,
            theme=_theme_of(theme, palettes),
            shows=shows,
            problem=problem,
        )
        app = OverviewApp(config)
        with restoring_terminal(app):
            chosen = app.run()
        if app.crash is not None:
            raise app.crash
        if not chosen:
            return app.return_code or 0
        try:
            code, problem = _open_trainings(chosen, theme, fps, remote), ""
        except UsageError as error:
            code, problem = 0, error.problem
        if code > SIGNALLED:
            return code


def _theme_of(theme: str | None, palettes: Container[str]) -> str:
    """The theme to begin with: the one that is wanted, or the last one used."""
    last = recall().theme
    return theme or (last if last and last in palettes else DEFAULT_THEME)


def _open_trainings(chosen: Sequence[Training], theme: str | None, fps: float, remote: Sequence[str]) -> int:
    """Show a training, or two side by side; returns the exit code. Raises UsageError."""
    if chosen[0].host:
        *ssh, vgtui = remote
        return subprocess.call([*ssh, "-t", chosen[0].host, vgtui, "attach", shlex.quote(chosen[0].socket)])
    sources = [Attached(Endpoint(Path(row.socket), row.name, row.pid)) for row in chosen]
    return open_dashboard(Pair(*sources) if len(sources) == 2 else sources[0], settings_from({}), theme, fps)


def _end_recording(recorder: Recorder | None) -> None:
    """Close the recording, and say where it is and how to replay it."""
    if not recorder:
        return
    words = recorder.where
    try:
        recorder.close()
    except OSError as error:
        words = f"{recorder.path} lacks its last second: {error.strerror}"
    if recorder.lines:
        with suppress(OSError):  # the terminal may have hung up
            tell(words)
