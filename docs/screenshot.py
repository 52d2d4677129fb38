"""Takes the README's pictures of a real run: `.venv/bin/python docs/screenshot.py`."""

import asyncio
from pathlib import Path

from vgtui.dashboard.app import Dashboard
from vgtui.themes import load_palettes
from vgtui.training.client import LiveRun
from vgtui.training.settings import RunSettings

FOLDER = Path(__file__).parent
SECONDS = 6.0


async def main() -> None:
    """The default network starving, then with BatchNorm switched on."""
    settings = RunSettings()
    app = Dashboard(LiveRun(settings), settings, load_palettes()[0], "dark", fps=10)
    async with app.run_test(size=(120, 36)) as pilot:
        await asyncio.sleep(SECONDS)
        app.save_screenshot("starving.svg", str(FOLDER))
        await pilot.press("b")
        await asyncio.sleep(SECONDS)
        app.save_screenshot("cured.svg", str(FOLDER))
        await pilot.press("q")


if __name__ == "__main__":
    asyncio.run(main())
