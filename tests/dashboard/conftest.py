"""For tests of the dashboard: what no test reads is not drawn, which is half of their time."""

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
    """For a test that may find a fault in painting itself: all is painted, as with --slow."""


@pytest.fixture(autouse=True)
def _only_what_is_read_is_drawn(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, long_form: bool
) -> None:
    """Leave out the bytes for a terminal that is not there, and pictures of frames that others follow at once.

    What a test reads, Sitting.text, is composed of the same widgets when it reads it.
    """
    if long_form or "painted" in request.fixturenames:
        return
    paint, advance = Compositor.render_update, LayerPanel.advance

    def forget_what_changed(
        compositor: Compositor, full: bool = False, screen_stack: list[Screen[object]] | None = None, **form: bool
    ) -> object:
        if full:  # a picture that is exported
            return paint(compositor, full, screen_stack, **form)
        visible_screen_stack.set(screen_stack or [])
        compositor._dirty_regions.clear()
        return None

    def advance_at_the_last_frame(panel: LayerPanel) -> None:
        if Sitting.all_is_taken(panel.app):
            advance(panel)

    monkeypatch.setattr(Compositor, "render_update", forget_what_changed)
    monkeypatch.setattr(LayerPanel, "advance", advance_at_the_last_frame)
