"""What is imported, and so how soon it begins: proved in a process of its own."""

import subprocess
import sys

import pytest

from tests.cli.shell import SMALL

HEAVY = {
    *("numpy", "scipy", "msgspec", "textual", "rich", "plotext", "pyte", "argcomplete", "asyncio", "multiprocessing"),
    *("matplotlib", "pyarrow", "distributed", "cupy", "torch", "pytest", "lightning", "transformers"),
}
DASHBOARD = "import sys; import vgtui.dashboard.app"
WORKER = "import sys; import vgtui.worker.main"
COMMAND = "import sys, vgtui.cli.main; sys.argv = {words}; vgtui.cli.main.main()"


def imported_by(script: str) -> set[str]:
    """The heavy modules that a process has when it has done this."""
    script += f"\nprint('heavy:', *sorted(set(sys.modules) & set({sorted(HEAVY)!r})), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("heavy:")]
    return set(line.split()[1:])


@pytest.mark.parametrize(
    ("script", "modules"),
    [
        ("import sys, vgtui.cli.main", set()),
        ("import sys, vgtui", set()),
        ("import sys, engine.trainer", {"numpy", "msgspec"}),
        (WORKER, {"numpy", "msgspec"}),
        (DASHBOARD, {"numpy", "msgspec", "asyncio", "textual", "rich", "plotext"}),
        (
            COMMAND.format(words=["vgtui", "run", *SMALL, "--steps", "1", "--format", "csv"]),
            {"numpy", "msgspec", "asyncio", "plotext"},
        ),
        (COMMAND.format(words=["vgtui", "list", "activations"]), {"numpy", "msgspec"}),
    ],
    ids=["cli", "watch", "engine", "worker", "dashboard", "run", "list"],
)
def test_nothing_is_imported_that_is_not_needed(script: str, modules: set[str]) -> None:
    assert imported_by(script) <= modules
