"""What the screen shows for frames and keys."""

import math
import re

import pytest

from engine.config import NetworkConfig, TrainingConfig
from tests.dashboard.sitting import open_dashboard
from tests.forms import slow_but
from tests.scripted_run import ScriptedRun, ScriptedSource, vanishing
from vgtui.wire.protocol import Pong, Refused, Silent
from vgtui.wire.run_settings import RunSettings


def row_of(text: str, label: str) -> str:
    """The row of a layer in the panel."""
    (row,) = (line for line in text.split("\n") if re.match(rf"│[▸\s]*{label} ", line))
    return row[:68]


async def test_the_screen_says_what_is_trained_how_far_and_what_is_wrong() -> None:
    async with open_dashboard() as sitting:
        assert "sigmoid · 20×64 · xavier_normal · BatchNorm off · skip off · sgd 0.1" in sitting.line
        assert "numpy float32   step 50   800/s" in sitting.line
        assert "vanishing: layer 1 gets 1e-20 of what the" in sitting.text
        assert "20 sigmoid layers learn handwritten digits." in sitting.text
        assert re.search(r"press b\W+\(BatchNorm on\), s", sitting.text)
        assert re.search(r"a twice \(activation\W+relu\)", sitting.text)


async def test_the_output_is_on_top_and_every_layer_has_number_value_and_word() -> None:
    async with open_dashboard() as sitting:
        labels = re.findall(r"^│[▸ ] *(out|\d+) \d", sitting.text, re.MULTILINE)
        assert labels == ["out", *map(str, range(20, 0, -1))]
        assert row_of(sitting.text, "out").split()[2] == "2.0e+00"
        assert row_of(sitting.text, "out").endswith("reached   ")
        assert "2.0e-20" in row_of(sitting.text, "1")
        assert row_of(sitting.text, "1").endswith("vanished  ")
        assert "weak" in row_of(sitting.text, "16")


async def test_bars_share_one_axis_that_reaches_the_smallest_norm() -> None:
    async with open_dashboard() as sitting:
        bars = [row_of(sitting.text, label).count("━") for label in ("out", "15", "10", "5", "1")]
        assert bars == sorted(bars, reverse=True)
        assert len(set(bars)) == len(bars)
        assert "1e-20" in sitting.text.split("\n")[2]


CHANGES = {
    "a": "tanh",
    "A": "linear",
    "b": "BatchNorm on",
    "s": "skip on",
    "i": "xavier_uniform",
    "I": "standard_normal",
    "plus": "25×64",
    "equals_sign": "25×64",
    "minus": "15×64",
    "l": "sgd 0.2",
    "o": "momentum 0.1",
    "d": "spirals",
    "k": "clip 10",
    "L": "sgd 0.05",
}
"""What each key changes, as the state line shows it."""
INDEPENDENT = ("a", "b", "s", "i", "plus", "o", "d", "k")
"""Keys of different settings: each can be pressed after the others."""


async def test_a_key_changes_the_run_whatever_was_changed_before() -> None:
    async with open_dashboard(size=(200, 40)) as sitting:
        for number, key in enumerate(INDEPENDENT, start=1):
            await sitting.press(key)
            assert f"{CHANGES[key]} " in sitting.line, key
            assert sitting.source.told == ["restart"] * number, key
            assert sitting.source.settings.training.seed == 0


@pytest.mark.parametrize(("key", "words"), slow_but(map(list, CHANGES.items()), ["l", CHANGES["l"]]))
async def test_a_key_changes_the_run_and_restarts_it_from_the_same_seed(key: str, words: str) -> None:
    async with open_dashboard() as sitting:
        await sitting.press(key)
        assert f"{words} " in sitting.line
        assert sitting.source.told == ["restart"]
        assert sitting.source.settings.training.seed == 0
        assert "step 50" in sitting.line


async def test_a_change_is_pending_until_the_first_frame_of_the_new_run() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), frames=0)) as sitting:
        assert "sigmoid…" in sitting.line
    source = ScriptedRun(RunSettings())
    async with open_dashboard(source) as sitting:
        assert "…" not in sitting.line
        source.frames = 0
        await sitting.press("b")
        assert "BatchNorm on…" in sitting.line
        assert "sigmoid ·" in sitting.line


async def test_a_change_leaves_a_ghost_and_marks_the_sparklines() -> None:
    async with open_dashboard() as sitting:
        assert "last run" not in sitting.text
        assert "╎" not in row_of(sitting.text, "1")
        await sitting.press("b")
        assert "· last run (BatchNorm off)" in sitting.text
        assert "╎" in row_of(sitting.text, "1")
        await sitting.press("r")
        assert "· last run (same settings)" in sitting.text


async def test_sparklines_run_on_across_a_change_of_depth() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("plus")
        old, new = (re.sub(r"[^⠀-⣿]", "", row_of(sitting.text, label)) for label in ("7", "23"))
        assert len(old.replace("⠀", "")) > len(new.replace("⠀", "")) > 0


async def test_restart_and_new_seed() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("r")
        assert sitting.source.settings == RunSettings()
        await sitting.press("R")
        assert sitting.source.settings.training.seed == 1
        assert "seed 0" in sitting.text


async def test_space_pauses_and_goes_on_and_a_dot_steps_once() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("space")
        assert "paused" in sitting.line
        await sitting.press("full_stop")
        assert "paused" in sitting.line
        await sitting.press("space")
        assert "paused" not in sitting.line
        assert sitting.source.told == ["pause", "step", "train"]


async def test_nan_is_named_pauses_the_training_and_a_change_goes_on() -> None:
    def explode(settings: RunSettings, step: int) -> list[float]:
        norms = vanishing(settings, step)
        if not settings.network.batch_norm:
            norms[3] = math.nan
        return norms

    async with open_dashboard(ScriptedRun(RunSettings(), frames=1, norms=explode)) as sitting:
        assert "non-finite: the gradient of layer 4 is NaN" in sitting.text
        assert "training is paused" in sitting.text
        assert "paused" in sitting.line
        assert "NaN" in row_of(sitting.text, "4")
        await sitting.press("b")
        assert sitting.source.told == ["pause", "train", "restart"]
        assert "paused" not in sitting.line


async def test_zero_is_shown_as_zero() -> None:
    def lose(settings: RunSettings, step: int) -> list[float]:
        return [0.0, 0.0, *vanishing(settings, step)[2:]]

    async with open_dashboard(ScriptedRun(RunSettings(), norms=lose)) as sitting:
        assert row_of(sitting.text, "1").split()[2] == "0"
        assert row_of(sitting.text, "1").split()[-1] == "zero"
        assert "vanished: 2 layers, layer 1 the first, get a" in sitting.text


async def test_a_fault_is_explained_and_r_starts_again() -> None:
    async with open_dashboard() as sitting:
        sitting.source.fail("the training process was killed by SIGKILL")
        await sitting.settle()
        assert "fault: the training process was killed by" in sitting.text
        assert "stopped" in sitting.line
        assert "vanished" in row_of(sitting.text, "1")
        await sitting.press("r")
        assert "fault" not in sitting.text
        assert "stopped" not in sitting.line


async def test_words_from_outside_do_no_harm() -> None:
    hostile = ["[/]", "[bold]x", "\x1b[2J", "\x9b31m", "\u202egnp.exe", "\x1b]52;c;aGk=\x07"]
    async with open_dashboard() as sitting:
        for number, words in enumerate(hostile):
            sitting.source.fail(f"worker {number} said {words} at the end")
            await sitting.settle()
            assert f"worker {number} said" in sitting.text
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", sitting.text)


async def test_a_refused_change_is_explained_and_taken_back() -> None:
    source = ScriptedRun(RunSettings())
    async with open_dashboard(source) as sitting:
        source.refusal = Refused("hidden_layers", "25 layers need about 99.9 GiB [/]")
        await sitting.press("plus")
        await sitting.until(lambda: "hidden_layers: 25 layers need about" in sitting.text)
        assert "20×64 ·" in sitting.line


async def test_an_invalid_change_by_a_key_changes_nothing() -> None:
    settings = RunSettings(NetworkConfig(), TrainingConfig(batch_size=1))
    async with open_dashboard(ScriptedRun(settings)) as sitting:
        await sitting.press("b")
        assert sitting.source.told == []
        await sitting.until(lambda: "1 with BatchNorm" in sitting.text)
        assert "BatchNorm off" in sitting.line


async def test_a_source_that_cannot_be_changed_is_left_alone() -> None:
    source = ScriptedSource(RunSettings())
    async with open_dashboard(source) as sitting:
        await sitting.press("a", "r", "c", "w", "enter", "comma")
        assert source.told == []
        await sitting.until(lambda: "this source cannot be changed" in sitting.text)


async def test_the_chosen_layer_is_described_and_kept_in_sight() -> None:
    deep = RunSettings(NetworkConfig(hidden_layers=100))
    async with open_dashboard(ScriptedRun(deep)) as sitting:
        assert "layer 1: gradient 2e-100" in sitting.text
        assert "69 more: ↑ ↓" in sitting.text
        await sitting.press(*["pageup"] * 4)
        assert "layer 41: gradient" in sitting.text
        assert row_of(sitting.text, "41")
        await sitting.press(*["pageup"] * 6, "up")
        assert "output layer: gradient" in sitting.text
        await sitting.press(*["pagedown"] * 11)
        assert "layer 1: gradient" in sitting.text


async def test_a_click_chooses_a_layer() -> None:
    async with open_dashboard() as sitting:
        await sitting.pilot.click(offset=(20, 5))
        await sitting.settle()
        assert "layer 19: gradient" in sitting.text


async def test_help_lists_every_key_and_closes() -> None:
    async with open_dashboard(size=(120, 110)) as sitting:
        await sitting.press("question_mark")
        await sitting.until(lambda: "The next activation." in sitting.text)
        for words in ("BatchNorm on or off.", "Train one step, then wait.", "seed 0", "Quit."):
            assert words in sitting.text
        await sitting.press("q")
        await sitting.until(lambda: "The next activation." not in sitting.text)
        assert sitting.app.is_running


@pytest.mark.parametrize(
    "size",
    slow_but(
        [(200, 60), (120, 40), (100, 30), (80, 24), (60, 16), (40, 12), (20, 5), (1, 1), (1, 40), (2, 40), (3, 30)],
        *((40, 12), (1, 1), (2, 40)),
    ),
)
async def test_every_size_can_be_drawn(size: tuple[int, int]) -> None:
    async with open_dashboard(size=size) as sitting:
        await sitting.press("plus", "up", "T")
        if size >= (40, 12):
            assert "vanishing: layer 1 gets" in sitting.text


async def test_resizing_keeps_the_essential() -> None:
    async with open_dashboard() as sitting:
        for size in ((200, 60), (40, 12), (80, 24), (3, 3), (120, 40)):
            await sitting.pilot.resize_terminal(*size)
            await sitting.settle()
        assert "vanishing: layer 1 gets" in sitting.text
        assert "vanished" in row_of(sitting.text, "1")


async def test_quit_closes_the_source_and_leaves_with_0() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("q")
        await sitting.until(lambda: not sitting.app.is_running)
        assert sitting.source.told == ["close"]
        assert sitting.app.return_code == 0


async def test_a_refused_run_exits_with_its_reason() -> None:
    source = ScriptedRun(RunSettings(), frames=0)
    source._answers.get_nowait()
    source.say(Refused("backend", "cupy cannot be used"))
    async with open_dashboard(source) as sitting:
        await sitting.until(lambda: not sitting.app.is_running)
    assert sitting.app.return_code == 2
    assert str(sitting.app.return_value) == "backend: cupy cannot be used"


async def test_every_action_is_in_the_palette_and_can_be_run_from_there() -> None:
    async with open_dashboard() as sitting:
        commands = list(sitting.app.get_system_commands(sitting.app.screen))
        (batch_norm,) = (command for command in commands if command.title == "BatchNorm (b)")
        await batch_norm.callback()
        await sitting.settle()
        assert "BatchNorm on" in sitting.line


async def test_silence_is_said_and_ends_with_the_next_frame() -> None:
    async with open_dashboard() as sitting:
        sitting.source.say(Silent(10.0))
        await sitting.settle()
        assert "no answer from the training process for" in sitting.text
        assert "no answer" in sitting.line
        assert "--backend" not in sitting.text
        await sitting.press("u")
        await sitting.until(lambda: "already using NumPy" in sitting.text)
        sitting.source.say(Pong())
        await sitting.settle()
        assert "no answer" not in sitting.text


async def test_m_lets_changes_keep_the_weights_and_restarts_do_not() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("m")
        assert "weights stay" in sitting.line
        await sitting.until(lambda: "a change keeps the weights that fit" in sitting.text)
        await sitting.press("a", "r", "R", "m", "b")
        assert sitting.source.told == ["restart, weights kept", "restart", "restart", "restart"]
        assert "weights stay" not in sitting.line
