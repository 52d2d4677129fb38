"""The socket: for its user alone, and nothing that comes through it does harm."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from vgtui.user.variables import RUNTIME_VARIABLE
from vgtui.watching import publisher as publishing
from vgtui.watching.endpoints import ASK_SECONDS, is_listening, list_endpoints, new_socket_path, socket_folder
from vgtui.watching.publisher import MAX_BEHIND, MAX_NOTES, MAX_VIEWERS, Publisher

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


LOOK_SECONDS = 0.0005
"""Between two looks, as the thread that is waited for would have to wait five milliseconds for one that never rests."""


def wait_until_wanted(publisher: Publisher) -> None:
    deadline = time.monotonic() + 5
    while not publisher.wanted:
        assert time.monotonic() < deadline
        time.sleep(LOOK_SECONDS)


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
    socket_folder().chmod(0o755)
    with pytest.raises(PermissionError, match="not a folder of yours alone"):
        Publisher("model")


def test_the_runtime_folder_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_VARIABLE)
    runtime = os.environ["XDG_RUNTIME_DIR"]
    assert socket_folder() == Path(runtime) / "vgtui"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", runtime)
    assert socket_folder() == Path(runtime) / f"vgtui-{os.getuid()}"


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


@pytest.mark.timing
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
    viewers = [connect(publisher.path) for _ in range(MAX_VIEWERS)]
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
        assert [(endpoint.name, endpoint.pid) for endpoint in list_endpoints()] == [("m", process.pid)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    assert list_endpoints() == []
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

    def found() -> list[str]:  # the folder of the machine may have other trainings
        return [endpoint.name for endpoint in list_endpoints() if endpoint.pid == os.getpid()]

    assert found() == ["login", "queued"]
    queued.path.parent.chmod(0o755)  # others may see it, so nothing in it is trusted
    assert found() == ["login"]
    for publisher in (queued, logged_in):
        publisher.close()


def test_names_become_file_names(publisher: Publisher) -> None:
    for name, start in (("../../etc/passwd", "etc_passwd-"), ("", "model-"), ("\x1b[2J", "2J-"), ("n" * 200, "n" * 32)):
        other = Publisher(name)
        assert other.path.parent == publisher.path.parent and other.path.name.startswith(start)
        other.close()


def test_no_viewer_ever_takes_a_socket_that_is_being_made_for_one_that_was_left() -> None:
    """Many are made, at once, while others look for what there is without a pause."""
    ended = threading.Event()
    faults: list[BaseException] = []

    def look() -> None:
        try:
            while not ended.is_set():
                list_endpoints()
        except BaseException as error:
            faults.append(error)

    def make(count: int) -> None:
        try:
            for _ in range(count):
                made = Publisher("model")
                assert made.path.exists()
                with connect(made.path):
                    pass
                made.close()
                assert not made.path.exists()
        except BaseException as error:
            faults.append(error)

    looking = [threading.Thread(target=look) for _ in range(2)]
    making = [threading.Thread(target=make, args=(60,)) for _ in range(3)]
    for thread in (*looking, *making):
        thread.start()
    for thread in making:
        thread.join()
    ended.set()
    for thread in looking:
        thread.join()
    assert not faults
    assert list(socket_folder().iterdir()) == []


def test_a_look_between_any_two_steps_of_making_a_socket_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []

    class Stopping(socket.socket):
        """A socket at whose every step somebody looks for models."""

        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            assert list_endpoints() == []
            stopped.append("bound")

        def listen(self, backlog: int = 0, /) -> None:
            super().listen(backlog)
            assert list_endpoints() == []
            stopped.append("listening")

    monkeypatch.setattr(socket, "socket", Stopping)
    with_looks = Publisher("model")
    monkeypatch.undo()
    try:
        assert stopped == ["bound", "listening"]
        with_looks.begin(HEADER)
        assert with_looks.path.exists() and is_alive(with_looks)
    finally:
        with_looks.close()


def test_a_socket_on_which_too_many_wait_is_not_taken_for_one_that_was_left() -> None:
    path = new_socket_path("busy")
    with ExitStack() as opened:
        busy = opened.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(1)
        with suppress(BlockingIOError):
            for _ in range(10):
                waiting = opened.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(path))
        assert [(endpoint.name, endpoint.is_named) for endpoint in list_endpoints()] == [("busy", False)]
        assert path.exists() and is_listening(path)
    assert list_endpoints() == [] and not path.exists()


def test_models_that_say_nothing_cost_a_look_half_a_second_together() -> None:
    silent = [new_socket_path("silent") for _ in range(20)]
    with ExitStack() as opened:
        for path in silent:
            listening = opened.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(path))
            listening.listen()
        began = time.monotonic()
        assert [endpoint.path for endpoint in list_endpoints()] == sorted(silent)
        assert ASK_SECONDS <= time.monotonic() - began < 10 * ASK_SECONDS  # twenty by turns would take twenty times it


def test_a_socket_that_says_one_character_after_another_is_not_waited_for() -> None:
    path = new_socket_path("slow")
    with socket.socket(socket.AF_UNIX) as slow:
        slow.bind(str(path))
        slow.listen()

        def drip() -> None:
            connection, _ = slow.accept()
            with connection, suppress(OSError):
                while True:
                    connection.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert [endpoint.is_named for endpoint in list_endpoints()] == [False]
        dripping.join()


def hostile(path: Path, kind: str, opened: ExitStack) -> None:
    """A viewer that takes a place and never gives it back by itself."""
    viewer = opened.enter_context(connect(path))
    with suppress(OSError):  # it may be turned away at once
        if kind == "half a line":
            viewer.sendall(b'{"type":"pu')
        elif kind == "never reads":
            viewer.sendall(ASK * 50)
        elif kind == "asked once":
            viewer.sendall(ASK)
        elif kind == "shut its reading side":
            viewer.shutdown(socket.SHUT_RD)
        elif kind == "shut its writing side":
            viewer.shutdown(socket.SHUT_WR)


HOSTILE = ["silent", "half a line", "never reads", "asked once", "shut its reading side", "shut its writing side"]


def test_none_of_five_hundred_crowds_of_odd_viewers_keeps_another_out(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(publishing, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(publishing, "REST_SECONDS", 0.0)
    large = b'{"type":"frame"' + b" " * 300_000 + b"}\n"
    assert is_alive(publisher)
    before = len(os.listdir("/proc/self/fd"))
    for crowd in range(500):
        with ExitStack() as opened:
            for number in range(MAX_VIEWERS + 2):
                hostile(publisher.path, HOSTILE[(crowd + number) % len(HOSTILE)], opened)
            publisher.publish(large)
            with connect(publisher.path) as viewer:
                assert viewer.recv(len(HEADER)) == HEADER
    deadline = time.monotonic() + 20
    while publisher._viewers:
        assert time.monotonic() < deadline
    assert is_alive(publisher)
    deadline = time.monotonic() + 20
    while len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline
    assert len(publisher._selector.get_map()) == 2


def test_after_two_seconds_of_silence_a_place_goes_to_a_new_viewer_and_not_before() -> None:
    with ExitStack() as opened:
        publisher = Publisher("model")
        opened.callback(publisher.close)
        publisher.begin(HEADER)
        for kind in (HOSTILE * 2)[: MAX_VIEWERS - 1]:
            hostile(publisher.path, "silent" if kind.startswith(("shut", "asked")) else kind, opened)
        waits = opened.enter_context(connect(publisher.path))
        waits.sendall(ASK)
        stream = waits.makefile("rb")
        opened.enter_context(stream)
        assert stream.readline() == HEADER
        began = time.monotonic()
        while True:
            with connect(publisher.path) as new:
                if new.recv(len(HEADER)) == HEADER:
                    break
        assert 0.5 < time.monotonic() - began < 20
        wait_until_wanted(publisher)
        publisher.publish(FRAME)
        assert stream.readline() == FRAME  # who waits for a frame is never idle


def test_a_viewer_that_asks_without_end_and_never_reads_holds_one_frame_in_memory(publisher: Publisher) -> None:
    large = b'{"type":"frame"' + b" " * 1_000_000 + b"}\n"
    with connect(publisher.path) as sleeper:
        for _ in range(10):
            sleeper.sendall(ASK)
            wait_until_wanted(publisher)
            publisher.publish(large)
        (viewer,) = publisher._viewers.values()
        assert len(viewer.sending) <= len(large)
        stream = sleeper.makefile("rb")
        assert (stream.readline(), stream.readline()) == (HEADER, large)
        wait_until_wanted(publisher)  # what it asked for in between is still wanted
        publisher.publish(FRAME)
        assert stream.readline() == FRAME


def test_notes_without_end_are_bounded_and_a_viewer_that_reads_is_told_the_newest(publisher: Publisher) -> None:
    note = b'{"type":"event"' + b" " * 10_000 + b"}\n"
    with connect(publisher.path) as sleeper:
        sleeper.sendall(ASK)
        wait_until_wanted(publisher)
        for _ in range(5000):
            publisher.tell(note)
            assert len(publisher._notes) <= MAX_NOTES
        (viewer,) = publisher._viewers.values()
        assert len(viewer.sending) <= MAX_BEHIND + MAX_NOTES * len(note)
        stream = sleeper.makefile("rb")
        assert stream.readline() == HEADER
        while viewer.sending:
            assert stream.readline() == note
        wait_until_wanted(publisher)
        publisher.publish(FRAME)
        while (line := stream.readline()) == note:
            pass
        assert line == FRAME


def test_where_no_connection_can_be_accepted_the_thread_does_not_spin(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    class Full:
        """A listener of a process with as many open files as it may have."""

        def accept(self) -> None:
            nonlocal tries
            tries += 1
            raise OSError(24, "Too many open files")

    assert is_alive(publisher)
    listener = publisher._listener
    monkeypatch.setattr(publishing, "REST_SECONDS", 0.2)
    monkeypatch.setattr(publisher, "_accept", lambda: Publisher._accept(publisher))
    real_accept = socket.socket.accept
    monkeypatch.setattr(
        socket.socket, "accept", lambda self: Full().accept() if self is listener else real_accept(self)
    )
    with connect(publisher.path) as waiting:
        began = time.monotonic()
        while tries < 3:
            assert time.monotonic() - began < 20
            time.sleep(LOOK_SECONDS)
        assert time.monotonic() - began > 0.3
        monkeypatch.setattr(socket.socket, "accept", real_accept)
        assert waiting.recv(len(HEADER)) == HEADER


def test_a_variable_names_the_only_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = os.environ["XDG_RUNTIME_DIR"]
    monkeypatch.setenv(RUNTIME_VARIABLE, f"{runtime}/a")
    made = Publisher("model")
    try:
        assert made.path.parent == Path(runtime) / "a"
        monkeypatch.setenv(RUNTIME_VARIABLE, f"{runtime}/b")
        assert list_endpoints() == []
        monkeypatch.delenv(RUNTIME_VARIABLE)
        assert made.path not in [endpoint.path for endpoint in list_endpoints()]
        monkeypatch.setattr("tempfile.tempdir", runtime)
        login = Publisher("login")
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{runtime}/a")
        assert login.path not in [endpoint.path for endpoint in list_endpoints()]
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        assert login.path in [endpoint.path for endpoint in list_endpoints()]
        monkeypatch.setenv(RUNTIME_VARIABLE, f"{runtime}/a")
        assert [endpoint.path for endpoint in list_endpoints()] == [made.path]
        login.close()
    finally:
        made.close()
    monkeypatch.setenv(RUNTIME_VARIABLE, f"{runtime}/{'a' * 200}")
    with pytest.raises(OSError, match="takes a path of at most"):
        socket_folder()
