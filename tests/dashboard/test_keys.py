"""The keymap: every key is harmless everywhere, every action is in the palette, and keys can be changed."""

import random
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.verdict import Change, Cure
from tests.dashboard.sitting import MOMENT, Sitting, open_dashboard
from tests.scripted_run import ScriptedRun
from vgtui.dashboard.keymap import KEYS, Keymap
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.model.presets import PRESETS
from vgtui.wire.run_settings import RunSettings

RUN = 40
"""Presses in one view and screen before the next one; 5 without --slow."""
PRESSES = 2000
OVERLAY_KEYS = ("", "w", "enter", "comma", "question_mark", "ctrl+p")
LEAVING = ("quit",)
EVERY_KEY = [one for key in KEYS if key.name not in LEAVING for one in key.key.split(",")]
EVERYWHERE = ["escape", "tab", "left", "right", "home", "end", "x", "backspace", "f9"]


async def open_overlay(sitting: Sitting, key: str) -> None:
    """Close any overlay, and open this one."""
    for _ in range(3):
        sitting.type_key("escape")
        await sitting.settle_keys()
    if key:
        sitting.type_key(key)


@pytest.mark.usefixtures("painted")
async def test_any_keys_in_any_order_do_no_harm_in_any_view_and_screen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, long_form: bool
) -> None:
    monkeypatch.chdir(tmp_path)  # one of the keys records
    chance = random.Random(5)
    places = [(view, key) for view in VIEWS for key in OVERLAY_KEYS]
    presses, run = (PRESSES, RUN) if long_form else (5 * len(places), 5)
    pressed: list[str] = []
    deck: list[str] = []
    while len(pressed) < presses:
        view, _ = places[len(pressed) // run % len(places)]
        async with open_dashboard(ScriptedRun(RunSettings(), frames=1), (80, 24), look=Look(view=view)) as sitting:
            while len(pressed) < presses and sitting.app.is_running:
                if len(pressed) % run == 0:
                    await open_overlay(sitting, places[len(pressed) // run % len(places)][1])
                deck = deck or chance.sample(EVERY_KEY + EVERYWHERE, len(EVERY_KEY + EVERYWHERE))
                pressed.append(deck.pop())
                sitting.type_key(pressed[-1])
                if len(pressed) % 8 == 0:
                    await sitting.settle_keys()
            if sitting.app.crash:
                raise sitting.app.crash
    assert set(EVERY_KEY) <= set(pressed)


async def test_every_action_is_in_the_palette_with_its_key_and_can_be_run_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # one of them records
    async with open_dashboard() as sitting:
        commands = {command.title: command for command in sitting.app.get_system_commands(sitting.app.screen)}
        titles = [f"{key.label} ({key.shown})" for key in KEYS if key.fits("experiment")]
        assert list(commands) == [*titles, *(f"preset {name}" for name in PRESETS)]
        for key in KEYS:
            if key.name in LEAVING or not key.fits("experiment"):
                continue
            await commands[f"{key.label} ({key.shown})"].callback()
            await sitting.pilot.pause(MOMENT)
            assert sitting.app.crash is None
        await commands["quit (q)"].callback()
        await sitting.until(lambda: not sitting.app.is_running)


async def test_the_palette_takes_keys_that_were_typed_ahead() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("ctrl+p", *"batchnorm", "pagedown")
        await sitting.until(lambda: "BatchNorm (b)" in sitting.text)
        sitting.type_key("down")
        for _ in range(4):
            sitting.type_key("enter")
        await sitting.until(lambda: "BatchNorm on" in sitting.line)
        assert sitting.app.crash is None
        assert sitting.app.screen is sitting.app.main


async def test_a_key_can_be_given_another_action_and_every_text_says_so() -> None:
    keymap = Keymap({"batch_norm": "B", "pause": "f5", "skip": "b"})
    async with open_dashboard(keymap=keymap) as sitting:
        assert "press B (BatchNorm on), b" in " ".join(sitting.text.split())
        assert "B BatchNorm b skip" in sitting.text
        await sitting.press("b")
        assert "skip on" in sitting.line
        assert "BatchNorm off" in sitting.line
        await sitting.press("B", "f5")
        assert "BatchNorm on" in sitting.line
        assert "paused" in sitting.line
        await sitting.press("question_mark")
        assert "B   BatchNorm on or off." in " ".join(sitting.text.split()) or "BatchNorm on or off." in sitting.text


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"batch_norm": "a"}, 'keys.batch_norm: "a" is the key of next_activation too'),
        ({"next_activation": "b"}, 'keys.next_activation: "b" is the key of batch_norm too'),
        ({"batchnorm": "x"}, 'keys.batchnorm: no action "batchnorm"; did you mean "batch_norm"?'),
        ({"view": "foo"}, "keys.view: 'foo' is not a key; it takes one character"),
        ({"view": ""}, "keys.view: '' is not a key"),
        ({"view": "ctrl+"}, "keys.view: 'ctrl+' is not a key"),
        ({"view": "hyper+x"}, "keys.view: 'hyper+x' is not a key"),
    ],
)
def test_a_wrong_key_is_one_sentence(chosen: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Keymap(chosen)
    assert words in str(caught.value)


def test_two_keys_can_be_exchanged() -> None:
    keymap = Keymap({"batch_norm": "a", "next_activation": "b"})
    assert (keymap.shown("batch_norm"), keymap.shown("next_activation")) == ("a", "b")


def test_no_two_actions_share_a_key_or_a_name() -> None:
    assert len(EVERY_KEY) == len(set(EVERY_KEY))
    assert len({key.name for key in KEYS}) == len(KEYS)


def test_the_readme_names_every_action() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert [key.name for key in KEYS if f"`{key.name}`" not in readme] == []


@pytest.mark.parametrize(
    ("cure", "words"),
    [
        (Cure("batch_norm", True, ""), "b"),
        (Cure("skip_connections", True, ""), "s"),
        (Cure("activation", "tanh", ""), "a"),
        (Cure("activation", "relu", ""), "a twice"),
        (Cure("activation", "linear", ""), "A"),
        (Cure("activation", "softplus", ""), "A twice"),
        (Cure("initialization", "he_normal", ""), "i twice"),
        (Cure("learning_rate", 0.01, ""), "L 3 times"),
        (Cure("learning_rate", 1.0, ""), "l 3 times"),
        (Cure("batch_norm", True, "", (Change("skip_connections", True),)), "b and s"),
        (Cure("weight_decay", 0.01, ""), ""),
    ],
)
def test_a_cure_names_what_to_press(cure: Cure, words: str) -> None:
    assert Keymap().cure_keys(cure, RunSettings()) == words
