"""For tests of the dashboard: skips drawing what no test reads, which halves their time."""

import pytest
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual.screen import Screen

from tests.dashboard.sitting import Sitting
from vgtui.dashboard.app import Dashboard
from vgtui.dashboard.widgets.layer_panel import LayerPanel


@pytest.fixture(autouse=True)
def _notices_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """None goes by itself before a slow machine comes to read it."""
    monkeypatch.setattr(Dashboard, "NOTIFICATION_TIMEOUT", 1000)


@pytest.fixture
def painted() -> None:
    """For tests that may find faults in painting: everything is painted, as with --slow."""


@pytest.fixture(autouse=True)
def _only_what_is_read_is_drawn(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, long_form: bool
) -> None:
    """Skip output to the missing terminal, and redraws for frames that others follow at once.

    `Sitting.text` is composed from the same widgets when a test reads it.
    """
    if long_form or "painted" in request.fixturenames:
        return
    paint, advance = Compositor.render_update, LayerPanel.advance

    def forget_what_changed(
        compositor: Compositor, full: bool = False, screen_stack: list[Screen[object]] | None = None, **form: bool
    ) -> object:
        if full:  # an exported picture
            return paint(compositor, full, screen_stack, **form)
        visible_screen_stack.set(screen_stack or [])
        compositor._dirty_regions.clear()
        return None

    def advance_at_the_last_frame(panel: LayerPanel) -> None:
        if Sitting.all_is_taken(panel.app):
            advance(panel)

    monkeypatch.setattr(Compositor, "render_update", forget_what_changed)
    monkeypatch.setattr(LayerPanel, "advance", advance_at_the_last_frame)
