"""The user's own file is read and checked; what vgtui remembers is in another, and never in the way."""

from pathlib import Path

import pytest

from engine.errors import UsageError
from vgtui.user.settings_file import Remembered, load_settings, recall, remember, settings_path


def write(text: str) -> Path:
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_without_a_file_there_are_the_defaults() -> None:
    assert load_settings().keys == {}


def test_keys_are_read_from_the_platforms_folder_or_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[keys]\nview = "V"\n')
    assert load_settings().keys == {"view": "V"}
    other = tmp_path / "other.toml"
    other.write_text('[keys]\nview = "f2"\n')
    monkeypatch.setenv("VGTUI_CONFIG", str(other))
    assert load_settings().keys == {"view": "f2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[keys]\nview = 3\n", "keys"),
        ("[kezs]\n", "kezs: is not a field"),
        ("keys = ", "is not a TOML file"),
        ("\x00", "is not a TOML file"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(text: str, words: str) -> None:
    path = write(text)
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_the_variable_names_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGTUI_CONFIG", "/nonexistent/settings.toml")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_settings()


def test_what_is_remembered_is_recalled() -> None:
    assert recall() == Remembered()
    remember(view="heat map", hints=False)
    remember(theme="light")
    remember(lessons={"skip": 2})
    assert recall() == Remembered("heat map", False, "light", {"skip": 2})


@pytest.mark.parametrize("damage", [b"", b"{", b'{"view": 3}', b"\xff\xff", b'{"x":' + b"[" * 100_000], ids=range(5))
def test_what_cannot_be_recalled_is_forgotten(damage: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    remember(view="heat map")
    (file,) = (tmp_path / "vgtui").iterdir()
    file.write_bytes(damage)
    assert recall() == Remembered()


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nonexistent")
    remember(view="heat map")
    assert recall() == Remembered()
