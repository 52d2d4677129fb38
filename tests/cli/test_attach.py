"""`vgtui attach` without a terminal: what is there, and a report of the next frame."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import vgtui
from engine.errors import UsageError
from tests.cli.shell import call
from tests.cli.trained import LAYERS, trained
from vgtui.sources.attached import find_endpoints
from vgtui.user.variables import RUNTIME_VARIABLE
from vgtui.watching.endpoints import list_endpoints
from vgtui.wire.frames import BackendInfo, ModelInfo


def test_the_only_model_is_the_one_that_is_meant_and_its_next_frame_is_reported() -> None:
    with trained("conv"):
        for words in ([], ["conv"]):
            done = call("attach", *words)
            assert (done.returncode, done.stderr) == (0, "")
            assert "PyTorch model of 2 layers" in done.stdout
            assert " stem " in done.stdout and " head " in done.stdout
            last = done.stdout.splitlines()[-1]
            assert last.startswith(
                "vanishing: stem (Conv2d) gets 1e-09 of the gradient that the layers next to the loss get; after "
            )
            assert "try BatchNorm after every hidden layer, He initialization of all layers or skip " in last


NAMES = ["my model: v2", "模型 α", "n" * 100, "a/b", "x\x1b[31m\nred", "-1", "4711"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_attached_by_the_name_that_it_was_given(name: str) -> None:
    with trained(name) as model, trained("other"):
        (endpoint,) = find_endpoints(name, list_endpoints())
        assert str(endpoint.path) == model.path and endpoint.name == name
        if "/" not in name and not name.startswith("-"):
            done = call("attach", name)
            assert (done.returncode, done.stderr) == (0, "")
            assert "layers" in done.stdout


def test_of_two_names_with_the_same_file_name_each_is_found() -> None:
    with trained("run 1") as one, trained("run_1") as two, trained("n" * 40) as three, trained("n" * 41) as four:
        for name, model in (("run 1", one), ("run_1", two), ("n" * 40, three), ("n" * 41, four)):
            assert [str(endpoint.path) for endpoint in find_endpoints(name, list_endpoints())] == [model.path]
        with pytest.raises(UsageError, match="no model"):
            find_endpoints("run:1", list_endpoints())


def test_a_list_shows_the_names_as_they_are_and_none_commands_the_terminal() -> None:
    with trained("my model: v2"), trained("x\x1b[31m\nred"):
        done = call("attach")
    assert done.returncode == 2
    assert "my model: v2 (" in done.stderr and "x�[31m�red (" in done.stderr
    assert "\x1b" not in done.stderr and done.stderr.count("\n") == 1


def test_a_model_that_has_made_no_step_yet_is_found_by_its_name_too() -> None:
    with vgtui.Emitter(name="my model: v2") as early, trained("my_model"):
        for word in ("my model: v2", "my_model_v2"):
            assert [str(endpoint.path) for endpoint in find_endpoints(word, list_endpoints())] == [early.path]
        with pytest.raises(UsageError, match="no model"):
            find_endpoints("模型", list_endpoints())
        early.begin(ModelInfo("my model: v2", ""), BackendInfo("", "", "", None), LAYERS)
        assert [str(endpoint.path) for endpoint in find_endpoints("my model: v2", list_endpoints())] == [early.path]
        assert [endpoint.name for endpoint in list_endpoints()] == ["my model: v2", "my_model"]


def test_what_has_as_many_viewers_as_it_takes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.watching.publisher.SILENCE_SECONDS", 1000.0)
    with trained("conv") as model, ExitStack() as opened:
        assert model.path
        for _ in range(8):
            viewer = opened.enter_context(socket.socket(socket.AF_UNIX))
            viewer.connect(model.path)
            viewer.sendall(b'{"type":"pull"}\n')
            viewer.setblocking(True)
            assert viewer.recv(10)
        done = call("attach", model.path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has as many viewers as it takes" in done.stderr


def test_a_model_that_is_watched_in_another_folder_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = os.environ["XDG_RUNTIME_DIR"]
    with trained("conv"):
        assert call("attach", env={RUNTIME_VARIABLE: f"{runtime}/other"}).stderr.startswith("vgtui: NAME: no model is")
        monkeypatch.delenv(RUNTIME_VARIABLE)
        assert call("attach", "conv").returncode == 0


def test_a_socket_by_its_path_as_it_is_forwarded_from_a_server() -> None:
    with trained("conv") as emitter:
        assert call("attach", str(emitter.path)).returncode == 0


def test_of_several_one_must_be_named() -> None:
    with trained("one") as one, trained("two"):
        done = call("attach")
        assert done.returncode == 2
        assert "several are watched, one (" in done.stderr and "two (" in done.stderr
        assert call("attach", "two").returncode == 0
        assert one.path and Path(one.path).exists()


def test_what_is_not_there_is_one_sentence() -> None:
    assert call("attach").stderr.startswith(
        "vgtui: NAME: no model is watched on this machine now; start one with vgtui exec"
    )
    assert call("attach", "/nowhere.sock").stderr == "vgtui: NAME: nothing answers on the socket /nowhere.sock\n"
    with trained("conv"):
        done = call("attach", "resnet")
    assert done.returncode == 2
    assert done.stderr.startswith('vgtui: NAME: no model "resnet" is watched now; there is conv (')


def test_a_socket_of_something_else_is_one_sentence() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as other:
        path = f"{folder}/s.sock"
        other.bind(path)
        other.listen()

        def answer() -> None:
            for _ in range(2):  # who looks whether somebody is there, and who asks
                connection, _ = other.accept()
                with connection, suppress(ConnectionError):
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\n")

        answering = threading.Thread(target=answer)
        answering.start()
        done = call("attach", path)
        answering.join()
    assert (done.returncode, done.stderr) == (2, f"vgtui: NAME: what answers on {path} is not a watched model\n")


def test_a_training_that_ends_before_its_next_frame_is_said() -> None:
    script = "import vgtui, time\nm = vgtui.Emitter(['a', 'b'], name='m')\nprint(1, flush=True)\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        threading.Timer(1, process.kill).start()
        done = call("attach", "m")
    assert done.returncode == 1
    assert done.stderr.startswith("vgtui: the training has ended")


def test_a_watching_that_ends_while_its_process_runs_is_not_called_the_end_of_the_training() -> None:
    emitter = vgtui.Emitter(LAYERS, name="m")
    threading.Timer(0.3, emitter.close).start()
    done = call("attach", "m")
    assert done.returncode == 1
    assert done.stderr.startswith("vgtui: it is watched no longer, though its process still runs")


def test_a_folder_of_sockets_that_others_see_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with trained("conv") as emitter:
        assert emitter.path
        Path(emitter.path).parent.chmod(0o777)
        done = call("attach")
    assert done.returncode == 2
    assert "not a folder of yours alone" in done.stderr
