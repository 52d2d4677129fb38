"""A socket that says to `vgtui attach` whatever it likes, in ways that a watched model never would."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.models import make_model_frame, make_model_header
from tests.outside.corpus import HOSTILE
from vgtui.wire.frames import Event, LayerInfo, encode_line

HEADER = encode_line(make_model_header())
FRAME = encode_line(make_model_frame([1e-9, *[0.5] * 7]))
NOTE = encode_line(Event(step=3, kind="note", message=HOSTILE * 20))
Talk = Callable[[Callable[[bytes], None], threading.Event], None]
"""Says things on a connection until it has had enough, or the event tells that it is over."""


def _endless(data: bytes, first: bytes = b"") -> Talk:
    def talk(send: Callable[[bytes], None], over: threading.Event) -> None:
        send(first)
        while not over.is_set():
            send(data)

    return talk


def _once(data: bytes) -> Talk:
    """Say it, and stay there in silence."""

    def talk(send: Callable[[bytes], None], over: threading.Event) -> None:
        send(data)
        over.wait()

    return talk


def _and_gone(data: bytes) -> Talk:
    return lambda send, over: send(data)


def _slowly(data: bytes) -> Talk:
    def talk(send: Callable[[bytes], None], over: threading.Event) -> None:
        for byte in data * 1000:
            send(bytes([byte]))
            if over.wait(0.05):
                return

    return talk


def _changed(**changes: Any) -> bytes:
    """Frames, counting up, with these values in place of theirs."""
    lines = []
    for step in range(300):
        value = json.loads(FRAME) | {"step": step} | changes
        lines.append(json.dumps(value).encode() + b"\n")
    return b"".join(lines)


def _layers(**changes: Any) -> bytes:
    value = json.loads(FRAME)
    return json.dumps(value | {"layers": value["layers"] | changes}).encode() + b"\n"


_NAMED = encode_line(make_model_header([LayerInfo(HOSTILE * 30, 2, 2, HOSTILE, (2, 2), HOSTILE)] * 8, name=HOSTILE))
_OTHERS = encode_line(make_model_header([LayerInfo(f"l{n}", 2, 2) for n in range(3)]))
TALKS: dict[str, Talk] = {
    "bytes without a newline": _endless(b"x" * 65536),
    "bytes without a newline, after a header": _endless(b"x" * 65536, HEADER),
    "zeros, compressed": _endless(bytes(65536), b"\x1f\x8b\x08" + bytes(7)),
    "headers without an end": _endless(HEADER * 20),
    "headers of two models in turn": _endless(HEADER + _OTHERS),
    "newlines without an end": _endless(b"\n" * 65536, HEADER),
    "frames without an end that nobody asked for": _endless(_changed(), HEADER),
    "a frame before any header": _once(FRAME),
    "frames of NaN": _endless(_layers(grad_norm=["NaN"] * 8, weight_norm=["Infinity"] * 8), HEADER),
    "frames below zero": _endless(_layers(grad_norm=[-1.0] * 8), HEADER),
    "frames of other layers": _endless(_layers(grad_norm=[0.5] * 9), HEADER),
    "frames of null": _endless(_layers(grad_norm=[None] * 8), HEADER),
    "a step beyond all steps": _endless(_changed(step=10**18), HEADER),
    "a step of a hundred digits": _endless(_changed(step=10**100), HEADER),
    "a speed beyond all speeds": _endless(_changed(steps_per_second=1e308), HEADER),
    "100 000 notes": _once(HEADER + FRAME + NOTE * 100_000),
    "notes without an end": _endless(NOTE * 50, HEADER + FRAME),
    "faults without an end": _endless(NOTE.replace(b'"note"', b'"fault"') * 50, HEADER + FRAME),
    "hostile names": _endless(FRAME, _NAMED),
    "a byte at a time": _slowly(HEADER + FRAME),
    "nothing": lambda send, over: None,
    "silence": _once(b""),
    "half a header": _and_gone(HEADER[:-30]),
    "a header and half a frame": _and_gone(HEADER + FRAME[:-30]),
    "a header and gone": _and_gone(HEADER),
    "a frame and gone, again and again": _and_gone(HEADER + FRAME),
    "own answers of a worker": _endless(b'{"type":"pong"}\n{"type":"refused","setting":"x","problem":"y"}\n', HEADER),
}


@contextmanager
def hostile_socket(path: Path, talk: Talk) -> Iterator[None]:
    """While this lasts, everyone who connects to this path is talked to."""
    over = threading.Event()

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection.sendall, over)

    def welcome() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                connection, _ = server.accept()
                connection.settimeout(2)
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(0.1)
        welcoming = threading.Thread(target=welcome)
        welcoming.start()
        try:
            yield
        finally:
            over.set()
            welcoming.join()
            path.unlink()
