"""torch.compile: a hook or a mode that is there while it compiles is a guard of what it makes, which fails later."""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from vgtui.watching.guarded import Guarded

log = logging.getLogger("vgtui")


class BeforeCompiling:
    """Calls a function before anything is compiled in this process, until it is removed.

    torch.compile's part of PyTorch takes seconds to import, and is there before it compiles: it is not imported here.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        """Prepare to call a function."""
        self._function = function
        self._is_registered = False

    def register(self) -> None:
        """Register the function, if that is possible by now and was not done."""
        handler = _handler()
        if handler is not None and not self._is_registered:
            handler.register_start_callback(self)
            self._is_registered = True
            _leave_alone(Guarded.__call__.__code__)

    def remove(self) -> None:
        """Call the function no more."""
        if self._is_registered and (handler := _handler()) is not None and self in handler.start_callbacks:
            handler.remove_start_callback(self)
        self._is_registered = False

    def __call__(self, *_: Any) -> None:
        """Call the function; a fault of it is not torch.compile's."""
        try:
            self._function()
        except Exception:
            log.debug("before compiling", exc_info=True)


def has_compiled() -> bool:
    """Return whether torch.compile has compiled anything in this process."""
    utils = sys.modules.get("torch._dynamo.utils")
    return utils is not None and utils.counters["frames"]["total"] > 0


def _leave_alone(code: Any) -> None:
    """Have code, and what it calls, run as it is where a module's hooks are called by what is compiled."""
    with suppress(ImportError, AttributeError):  # not there in every version; then it is compiled, once
        from torch._C._dynamo.eval_frame import _FrameAction, _FrameExecStrategy, set_code_exec_strategy

        set_code_exec_strategy(code, _FrameExecStrategy(_FrameAction.SKIP, _FrameAction.SKIP))


def _handler() -> Any:
    return getattr(sys.modules.get("torch._dynamo.callback"), "callback_handler", None)
