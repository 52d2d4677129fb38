"""Opening the dashboard, and leaving it with the terminal as it was, whatever ends it."""

from vgtui.settings import Remembered, load_settings, recall, remember
from vgtui.terminal import has_colour, has_utf8
from vgtui.training.client import LiveRun
from vgtui.training.settings import RunSettings

DEFAULT_THEME = "dark"


def open_dashboard(settings: RunSettings, theme: str | None, fps: float) -> int:
    """Show a live run until the user leaves. Returns the exit code; raises UsageError when the run cannot be had.

    theme: None takes that of the last time.
    """
    from vgtui.dashboard.app import Dashboard
    from vgtui.dashboard.keymap import Keymap
    from vgtui.dashboard.plain import Shows
    from vgtui.dashboard.signals import restoring_terminal
    from vgtui.dashboard.state import VIEWS, Look
    from vgtui.themes import load_palettes

    keymap = Keymap(load_settings().keys)
    last = recall()
    look = Look(view=last.view if last.view in VIEWS else VIEWS[0], hints=last.hints is not False)
    palettes, warnings = load_palettes()
    app = Dashboard(
        LiveRun(settings),
        settings,
        palettes,
        theme or (last.theme if last.theme in palettes else DEFAULT_THEME),
        fps,
        look=look,
        keymap=keymap,
        shows=Shows(has_colour(), has_utf8()),
        on_look=lambda look, theme: remember(Remembered(look.view, look.hints, theme)),
        warnings=warnings,
    )
    with restoring_terminal(app):
        refused = app.run()
    if refused is not None:
        raise refused
    if app.crash is not None:
        raise app.crash
    return app.return_code or 0
