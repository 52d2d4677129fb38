"""What the tests themselves stand on: an environment of their own, and what runs when."""

import os
from pathlib import Path

import pytest

from tests.conftest import forget_developer

DEVELOPER = {
    **{"VGTUI_WIDTH": "8", "VGTUI_CONFIG": "/mine.toml", "XDG_CONFIG_HOME": "/mine", "XDG_RUNTIME_DIR": "/mine"},
    **{"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "7", "LINES": "3", "COLORTERM": "truecolor", "TMPDIR": "/mine"},
    **{"LANG": "de_DE", "LC_ALL": "de_DE", "LANGUAGE": "de", "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1"},
}


def test_what_a_developer_has_set_does_not_reach_a_test() -> None:
    environment = {"PATH": "/bin", "PYTHONPATH": "/libraries", **DEVELOPER}
    forget_developer(environment)
    assert environment == {"PATH": "/bin", "PYTHONPATH": "/libraries", "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    assert not {"VGTUI_CONFIG", "NO_COLOR", "COLUMNS", "TMPDIR", "LC_ALL"} & set(os.environ)


def test_every_folder_of_a_user_is_one_of_the_test_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        assert Path(os.environ[name]).is_relative_to(tmp_path_factory.getbasetemp())
    assert list(Path(os.environ["XDG_RUNTIME_DIR"]).iterdir()) == []


@pytest.mark.slow
def test_what_is_slow_runs_where_it_is_asked_for_alone(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("--slow")
