"""Words from outside: on the command line, in the environment, as names of files, models and sockets."""

import os
import socket
import string
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.outside.corpus import HOSTILE, MODEL
from tests.outside.harmless import look_at
from vgtui.cli.commands import COMMANDS
from vgtui.model.options import OPTIONS
from vgtui.watching.endpoints import MAX_PATH_BYTES, new_socket_path, socket_folder

ENDLESS = ("sweep", "bench", "doctor", "completion")
"""Commands that do not begin by reading what their first word names."""
words = st.one_of(
    st.text(max_size=40),
    st.text(string.printable + "\x1b\x9b\u202e", max_size=12),
    st.sampled_from(
        ["-1", "0", "1e999", "nan", "inf", "9" * 400, "", " ", "=", "--", "relu,", "🧠", HOSTILE, "\udcff"]
    ),
)
variables = words.filter(lambda word: "\0" not in word and not any(0xD800 <= ord(c) < 0xDC80 for c in word))
"""What a variable of the environment can be."""


@given(option=st.sampled_from(OPTIONS), word=words)
def test_an_option_takes_any_word_or_says_what_it_takes(option: object, word: str) -> None:
    look_at("config", f"{option.flag}={word}")  # type: ignore[attr-defined]


@given(option=st.sampled_from(OPTIONS), word=variables)
def test_a_variable_takes_any_word_or_says_what_it_takes(option: object, word: str) -> None:
    look_at("config", env={option.variable: word})  # type: ignore[attr-defined]


@given(name=words.filter(lambda name: not name.startswith("-") and name not in COMMANDS))
def test_a_command_that_there_is_not_is_named(name: str) -> None:
    assert look_at(name).returncode == 2


@pytest.mark.parametrize("command", ["replay", "attach", "plot", "lessons", "list"])
@given(name=variables.filter(lambda name: not name.startswith("-") and name not in ("", " ", "0", "1")))
def test_a_name_that_there_is_not_is_told(command: str, name: str) -> None:
    assert look_at(command, name).returncode == 2


@given(word=variables)
@example("C.ISO-8859-1")
def test_any_terminal_and_any_locale_will_do(word: str) -> None:
    assert look_at("list", "activations", env={"TERM": word, "LC_ALL": word, "LANG": word, "COLUMNS": word}).stdout


@given(name=st.one_of(words, st.just("../../etc/passwd"), st.just("a" * 5000), st.just("/")))
def test_a_models_name_is_a_file_in_our_folder_whatever_it_is(name: str) -> None:
    path = new_socket_path(name)
    assert path.parent == socket_folder()
    assert len(os.fsencode(path)) <= MAX_PATH_BYTES
    assert path.name.isascii()


@given(said=st.one_of(st.binary(max_size=200), st.integers(0, len(MODEL.right)).map(lambda end: MODEL.right[:end])))
@example(MODEL.right + b"\xff\n")
def test_whatever_answers_on_a_socket_does_no_harm(tmp_path_factory: pytest.TempPathFactory, said: bytes) -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "other.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            for _ in range(2):  # attach first asks whether anybody answers
                connection, _ = server.accept()
                with connection:
                    try:
                        connection.sendall(said)
                    except OSError:
                        continue

        thread = threading.Thread(target=answer)
        thread.start()
        assert look_at("attach", str(path)).returncode in (0, 1, 2)
        thread.join()
