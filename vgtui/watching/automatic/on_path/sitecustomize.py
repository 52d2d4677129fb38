"""Runs at the start of every Python that a command of `vgtui exec` starts, and waits there for PyTorch.

Its folder is ahead on PYTHONPATH. The standard library alone is imported here, and less of it than Python itself does.
"""

import importlib.util
import os
import sys
from contextlib import suppress

NAME = "sitecustomize"


def _run_the_next_one(here):
    """Import the sitecustomize that this one stands in front of, and take this one's folder off the path."""
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != here]
    ours = sys.modules.pop(NAME, None)
    try:
        importlib.import_module(NAME)
    except ImportError as error:
        if error.name != NAME:
            raise
    finally:
        if ours is not None:
            sys.modules.setdefault(NAME, ours)


class _WaitForTorch:
    """A finder that finds nothing: it has vgtui begin when the module torch has been run."""

    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = getattr(getattr(spec, "loader", None), "exec_module", None)
        if run is not None:

            def run_and_begin(module):
                del spec.loader.exec_module
                run(module)
                _begin()

            with suppress(AttributeError):  # a loader that takes no attributes
                spec.loader.exec_module = run_and_begin
        return spec


def _begin():
    """Have vgtui look at the steps of optimizers. Whatever goes wrong is no fault of the script."""
    added = os.environ.get("VGTUI_EXEC_PATH", "").split(os.pathsep)
    try:
        try:
            from vgtui.watching.automatic import hooks
        except ImportError:
            # the command's own Python has no vgtui; what it has itself comes first
            sys.path += [entry for entry in added if entry and entry not in sys.path]
            from vgtui.watching.automatic import hooks
        hooks.begin()
    except Exception as error:
        sys.stderr.write(
            f"vgtui: this Python, {sys.executable}, cannot watch what it trains: {error}; pip install vgtui for it\n"
        )


if os.environ.get("VGTUI_EXEC"):
    sys.meta_path.insert(0, _WaitForTorch())
_run_the_next_one(os.path.dirname(os.path.abspath(__file__)))
