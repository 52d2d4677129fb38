"""Run by every Python that `vgtui exec` starts: it waits for PyTorch, and leaves the rest as it would be without it.

Its folder holds nothing else, and is ahead on PYTHONPATH. Any Python may run it, an old one too.
"""

import sys

FOLDER = __file__.rpartition("/")[0]
sys.path[:] = [place for place in sys.path if place != FOLDER]
if sys.version_info >= (3, 8):  # noqa: UP036
    try:
        from importlib.machinery import SourceFileLoader

        path = FOLDER.rpartition("/")[0] + "/loading.py"
        loading = type(sys)("vgtui_loading")
        loading.__file__ = path
        sys.modules[loading.__name__] = loading  # where torch.compile looks for it
        SourceFileLoader(loading.__name__, path).exec_module(loading)
        loading.wait_for_torch()
    except Exception:  # the script is not to be held up
        sys.stderr.write("vgtui: nothing is watched: its own files cannot be loaded\n")
# the one that would have been found
own = sys.modules.pop(__name__)
try:
    import sitecustomize  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
except ImportError as error:
    if getattr(error, "name", __name__) != __name__:
        raise
finally:
    sys.modules.setdefault(__name__, own)
