"""Takes the README's pictures of real runs: `.venv/bin/python docs/screenshot.py`."""

import asyncio
from pathlib import Path

from vgtui.dashboard.app import Dashboard, DashboardConfig
from vgtui.sources.live import LiveRun
from vgtui.user.themes import load_palettes
from vgtui.wire.run_settings import RunSettings

FOLDER = Path(__file__).parent
SECONDS = 6.0
MOMENT = 1.5
"""What a screen that was opened takes to fill."""
PICTURES = (
    ("starving", SECONDS, ()),
    ("chain_rule", MOMENT, ("v", "v")),
    ("what_if", 3 * SECONDS, ("space", "w")),  # it trains 23 networks, and has all the time while the run waits
    ("cured", SECONDS, ("escape", "space", "v", "b")),
    ("heat_map", MOMENT, ("v",)),
    ("look_inside", MOMENT, ("enter",)),
    ("lanes", 3 * SECONDS, ("escape", "v", "b", "c", "b")),
)
"""A picture, the seconds to wait for it, and the keys before."""


async def main() -> None:
    """The default network starving, what would help, then with BatchNorm switched on."""
    settings = RunSettings()
    app = Dashboard(
        DashboardConfig(source=LiveRun(settings), settings=settings, palettes=load_palettes()[0], theme="dark", fps=10)
    )
    async with app.run_test(size=(120, 36)) as pilot:
        for name, seconds, keys in PICTURES:
            await pilot.press(*keys)
            await asyncio.sleep(seconds)
            app.save_screenshot(f"{name}.svg", str(FOLDER))
        await pilot.press("escape", "q")


if __name__ == "__main__":
    asyncio.run(main())
