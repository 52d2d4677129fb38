"""Opening the dashboard, and leaving it with the terminal as it was, whatever ends it."""

from vgtui.training.client import LiveRun
from vgtui.training.settings import RunSettings


def open_dashboard(settings: RunSettings, theme: str, fps: float) -> int:
    """Show a live run until the user leaves. Returns the exit code; raises UsageError when the run cannot be had."""
    from vgtui.dashboard.app import Dashboard
    from vgtui.dashboard.signals import restoring_terminal
    from vgtui.themes import load_palettes

    app = Dashboard(LiveRun(settings), settings, load_palettes(), theme, fps)
    with restoring_terminal(app):
        refused = app.run()
    if refused is not None:
        raise refused
    if app.crash is not None:
        raise app.crash
    return app.return_code or 0
