"""The socket: for its user alone, and nothing that comes through it does harm."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vgtui.watching import publisher as publishing
from vgtui.watching.places import RUNTIME_VARIABLE, folder, places
from vgtui.watching.publisher import MOST_VIEWERS, Publisher

ASK = b'{"type":"pull"}\n'
HEADER, FRAME = b'{"type":"header"}\n', b'{"type":"frame"}\n'
NOBODY = 65534
REFUSED, LET_GO, SERVED = range(3)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    open_one = Publisher("model")
    open_one.begin(HEADER)
    yield open_one
    open_one.close()


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(str(path))
    return connection


def wait_until_wanted(publisher: Publisher) -> None:
    deadline = time.monotonic() + 5
    while not publisher.wanted:
        assert time.monotonic() < deadline


def is_alive(publisher: Publisher) -> bool:
    """Whether a viewer still gets what it asks for."""
    with connect(publisher.path) as viewer:
        viewer.sendall(ASK)
        wait_until_wanted(publisher)
        publisher.publish(FRAME)
        stream = viewer.makefile("rb")
        return (stream.readline(), stream.readline()) == (HEADER, FRAME)


def test_who_asks_gets_the_header_and_one_frame_and_nothing_is_wanted_after_that(publisher: Publisher) -> None:
    assert is_alive(publisher)
    assert not publisher.wanted


def test_folder_and_socket_are_the_users_alone(publisher: Publisher) -> None:
    assert stat.S_IMODE(publisher.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(publisher.path.stat().st_mode) == 0o600


def test_a_folder_that_is_open_to_others_is_refused() -> None:
    folder().chmod(0o755)
    with pytest.raises(PermissionError, match="not a folder of yours alone"):
        Publisher("model")


def test_the_runtime_folder_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_VARIABLE)
    runtime = os.environ["XDG_RUNTIME_DIR"]
    assert folder() == Path(runtime) / "vgtui"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", runtime)
    assert folder() == Path(runtime) / f"vgtui-{os.getuid()}"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("opened", [False, True])
def test_another_user_cannot_connect(publisher: Publisher, opened: bool) -> None:
    """Not through the folder; and not past it either, if its owner opened it by mistake."""
    if opened:
        publisher.path.chmod(0o666)
        for place in (publisher.path.parent, publisher.path.parent.parent):
            place.chmod(0o755)
    child = os.fork()
    if child == 0:
        outcome = 9
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            outcome = REFUSED
            stranger = connect(publisher.path)
            outcome = LET_GO
            stranger.sendall(ASK)
            outcome = SERVED if stranger.recv(100) else LET_GO
        finally:
            os._exit(outcome)
    outcome = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert outcome == (LET_GO if opened else REFUSED)
    assert not publisher.wanted


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\xff" * 5000,
        b"[" * 100_000,
        b'{"type":"restart"}\n',
        b'{"type":"pull","at":',
    ],
)
def test_garbage_harms_nothing(publisher: Publisher, garbage: bytes) -> None:
    with connect(publisher.path) as stranger:
        try:
            stranger.sendall(garbage)
            while stranger.recv(2**16) and not garbage.endswith(b":"):
                pass
        except (ConnectionError, BrokenPipeError):
            pass
    assert is_alive(publisher)


def test_a_viewer_that_does_not_read_is_dropped_and_nobody_waits_for_it(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "PATIENCE_SECONDS", 0.2)
    large = b'{"type":"frame"' + b" " * 2_000_000 + b"}\n"
    with connect(publisher.path) as sleeper:
        for _ in range(3):
            sleeper.sendall(ASK)
            wait_until_wanted(publisher)
            began = time.monotonic()
            publisher.publish(large)
            assert time.monotonic() - began < 0.1
        deadline = time.monotonic() + 10
        while publisher._viewers:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert is_alive(publisher)


def test_more_viewers_than_there_is_room_for_are_turned_away(publisher: Publisher) -> None:
    viewers = [connect(publisher.path) for _ in range(MOST_VIEWERS)]
    for viewer in viewers:
        assert viewer.recv(100) == HEADER
    with connect(publisher.path) as further:
        assert further.recv(100) == b""
    for viewer in viewers:
        viewer.close()
    deadline = time.monotonic() + 5
    while publisher._viewers:
        assert time.monotonic() < deadline
    assert is_alive(publisher)


def test_there_is_one_thread_and_it_ends(publisher: Publisher) -> None:
    assert publisher._thread.name == "vgtui" and publisher._thread.daemon
    path = publisher.path
    publisher.close()
    assert not publisher._thread.is_alive() and not path.exists()


def test_the_socket_of_a_killed_process_is_taken_away() -> None:
    script = "import signal, sys, vgtui; e = vgtui.Emitter(['a'], name='m'); print(e.path, flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        path = Path(process.stdout.readline().strip())
        assert [(place.name, place.pid) for place in places()] == [("m", process.pid)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    assert places() == []
    assert not path.exists()


def test_a_model_is_found_that_was_begun_without_the_runtime_folder_of_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_VARIABLE)
    runtime = os.environ["XDG_RUNTIME_DIR"]
    monkeypatch.setattr("tempfile.tempdir", runtime)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    queued = Publisher("queued")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    logged_in = Publisher("login")
    assert queued.path.parent != logged_in.path.parent
    assert [place.name for place in places()] == ["login", "queued"]
    queued.path.parent.chmod(0o755)  # others may see it, so nothing in it is trusted
    assert [place.name for place in places()] == ["login"]
    for publisher in (queued, logged_in):
        publisher.close()


def test_names_become_file_names(publisher: Publisher) -> None:
    for name, start in (("../../etc/passwd", "etc_passwd-"), ("", "model-"), ("\x1b[2J", "2J-"), ("n" * 200, "n" * 32)):
        other = Publisher(name)
        assert other.path.parent == publisher.path.parent and other.path.name.startswith(start)
        other.close()
