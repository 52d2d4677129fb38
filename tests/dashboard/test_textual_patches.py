"""The private parts of Textual that the dashboard relies on are unchanged."""

import hashlib
import inspect
from collections.abc import Callable

import pytest
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.command import CommandPalette
from textual.drivers.linux_driver import LinuxDriver
from textual.widgets._toast import Toast, ToastRack

READ: dict[str, tuple[Callable[..., object], str]] = {
    "the loop that reads keys": (LinuxDriver.run_input_thread, "d796af6d69db"),
    "the parser of keys": (XTermParser.parse, "a5834ad1def8"),
    "what an exception does": (App._handle_exception, "baea2e7f88e7"),
    "how a notification is taken away": (App._unnotify, "0ca739607455"),
    "the id of a notification's widget": (ToastRack._toast_id, "67745ec6bf38"),
    "how notifications are shown": (ToastRack.show, "764c33fbdc91"),
    "how long one is shown": (Toast._expire, "3d563b0432fe"),
    "what is cached of each widget": (StylesCache.get_inner_outer, "d2509f3e7966"),
    "what closes the palette": (CommandPalette._select_or_command, "85985d213c97"),
}
"""What the patches rely on, with a digest of its source. If one differs, check whether its patch still works."""


def digest(function: Callable[..., object]) -> str:
    return hashlib.sha256(inspect.getsource(inspect.unwrap(function)).encode()).hexdigest()[:12]


@pytest.mark.parametrize("what", READ)
def test_what_is_patched_is_what_was_read(what: str) -> None:
    function, read = READ[what]
    assert digest(function) == read
