"""Takes the README's picture of a watched model, of a real run: `.venv/bin/python docs/screenshot_watched.py`."""

import asyncio
import subprocess
import sys
from pathlib import Path

from vgtui.dashboard.app import Dashboard, DashboardConfig
from vgtui.model.options import settings_from
from vgtui.sources.attached import Attached
from vgtui.user.themes import load_palettes
from vgtui.watching.endpoints import list_endpoints

FOLDER = Path(__file__).parent
EXAMPLE = FOLDER.parent / "examples" / "convnet.py"
SECONDS = 8.0


async def main() -> None:
    """The convolutional network whose ReLUs die."""
    with subprocess.Popen([sys.executable, str(EXAMPLE)]) as training:
        while not (found := [endpoint for endpoint in list_endpoints() if endpoint.pid == training.pid]):
            await asyncio.sleep(0.1)
        app = Dashboard(
            DashboardConfig(
                source=Attached(found[0]), settings=settings_from({}), palettes=load_palettes()[0], theme="dark", fps=10
            )
        )
        async with app.run_test(size=(120, 36)) as pilot:
            await asyncio.sleep(SECONDS)
            app.save_screenshot("watched.svg", str(FOLDER))
            await pilot.press("q")
        training.kill()


if __name__ == "__main__":
    asyncio.run(main())
