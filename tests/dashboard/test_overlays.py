"""The overlays: what if, look inside, settings, help."""

import gc
import math
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from textual.strip import Strip
from textual.widgets import DataTable, Input

from engine.config import NetworkConfig, TrainingConfig
from engine.inspection import Histogram, Inspection
from tests.dashboard.sitting import MOMENT, Sitting, open_dashboard
from tests.forms import slow_but
from tests.scripted_run import ScriptedRun, ScriptedSource
from vgtui.dashboard.screens.main import MainScreen
from vgtui.dashboard.screens.what_if import WhatIfScreen
from vgtui.model.options import OPTIONS, values_of
from vgtui.wire.protocol import Inspected, Tried
from vgtui.wire.run_settings import RunSettings


async def test_what_if_lists_each_change_best_first() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w")
        assert sitting.source.told == ["try changes"]
        first, *ratios = [
            float(ratio) for ratio in re.findall(r"│  \S[^│]*? +(\d\.\de[+-]\d\d) +\S+ +\S+ +│", sitting.text)
        ]
        assert re.search(r"as it is +… +1\.0e-02 +1\.0e\+00", sitting.text)
        assert first == 0.01
        assert len(ratios) == 22
        assert ratios == sorted(ratios, reverse=True)  # all below 1 here
        assert re.search(r"skip connections on +… +1\.0e\+00", sitting.text)
        assert "measuring" not in sitting.text


def tried_of(sitting: Sitting, setting: str, loss: float | None, steps: int = 100) -> Tried:
    """The next word on a change that is in the table: how far it is, or with a loss its end."""
    (entry,) = (
        entry for entry in sitting.app.main.state.tried if f"{entry.probe.setting}={entry.probe.value}" == setting
    )
    found = None if loss is None else np.float64(loss)
    probe = replace(entry.probe, loss=found, accuracy=None if loss is None else np.float64(0.75))
    return msgspec.structs.replace(entry, probe=probe, steps=steps)


async def tell(sitting: Sitting, *told: Tried) -> None:
    for entry in told:
        sitting.source.say(entry)
    await sitting.settle()


def table_of(sitting: Sitting) -> list[list[str]]:
    """The rows of the table on the screen: their cells, the first of them the change."""
    lines = [line.strip(" │") for line in sitting.text.split("\n")]
    rows = [re.split(r" {2,}", line) for line in lines]
    begin = next(number for number, row in enumerate(rows) if row[0] == "as it is")
    end = next(number for number, row in enumerate(rows[begin:], begin) if "applies" in row[-1])
    return rows[begin:end]


async def test_what_if_sorts_by_what_was_learned_and_says_whether_that_is_better_than_guessing() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w")
        assert "training 1 of 23, step 0 of 100" in sitting.text
        assert "guessing: loss 2.303; yes: at least 10 % below it" in sitting.text
        await tell(
            sitting,
            tried_of(sitting, "=None", 2.31),
            tried_of(sitting, "activation=selu", math.nan),
            tried_of(sitting, "activation=relu", 0.25),
            tried_of(sitting, "initialization=small_normal", 0.1),
            tried_of(sitting, "learning_rate=1.0", 2.2),
            tried_of(sitting, "learning_rate=0.01", 11.5),
            tried_of(sitting, "skip_connections=True", None, steps=42),
        )
        rows = table_of(sitting)
        assert [row[:2] for row in rows[:5]] == [
            ["as it is", "no 2.310"],
            ["init small_normal", "yes 0.100"],
            ["activation relu", "yes 0.250"],
            ["rate 1", "no 2.200"],
            ["rate 0.01", "no 11.500"],
        ]
        assert rows[1][2] == "75 %"
        assert rows[5][:2] == ["skip connections on", "…"]  # of those that are not known yet, the best ratio
        assert rows[-1][:2] == ["activation selu", "no NaN"]
        assert "training 7 of 23, step 42 of 100" in sitting.text
        told = [f"{entry.probe.setting}={entry.probe.value}" for entry in sitting.app.main.state.tried]
        await tell(sitting, *(tried_of(sitting, setting, 2.3) for setting in told))
        assert "training" not in sitting.text and "guessing: loss 2.303" in sitting.text


async def test_a_change_that_is_not_possible_is_done_and_has_no_loss() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w")
        await tell(sitting, tried_of(sitting, "batch_norm=True", None))
        (row,) = (row for row in table_of(sitting) if row[0] == "BatchNorm on")
        assert row[1] == "–"


async def test_the_run_as_it_is_cannot_be_applied() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w", "up", "enter")
        assert isinstance(sitting.app.screen, WhatIfScreen)
        assert sitting.source.told == ["try changes"]


async def test_enter_applies_a_rate() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w")
        await tell(sitting, tried_of(sitting, "learning_rate=1.0", 0.01))
        await sitting.press("enter")
        assert sitting.source.told == ["try changes", "restart"]
        assert sitting.source.settings == RunSettings(training=TrainingConfig(learning_rate=1.0))


async def test_a_chosen_change_stays_chosen_while_rows_are_sorted() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w", "down")
        chosen = table_of(sitting)[2][0]
        await tell(sitting, tried_of(sitting, "learning_rate=1.0", 0.01), tried_of(sitting, "learning_rate=0.01", 0.02))
        assert table_of(sitting)[4][0] == chosen
        await sitting.press("enter")
        assert sitting.source.settings.network != NetworkConfig() and chosen in ("BatchNorm on", "activation tanh")


async def test_while_what_if_is_closed_nothing_is_tried_and_it_goes_on_where_it_was() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w")
        await tell(sitting, tried_of(sitting, "activation=relu", 0.25))
        assert sitting.source.held == []
        await sitting.press("escape")
        assert sitting.source.held == [True]
        await sitting.press("w")
        assert sitting.source.held == [True, False]
        assert sitting.source.told == ["try changes"]
        assert table_of(sitting)[1][:2] == ["activation relu", "yes 0.250"]
        await sitting.press("escape", "b", "w")
        assert sitting.source.told == ["try changes", "restart", "try changes"]


@pytest.mark.parametrize(
    ("columns", "kept"),
    [(120, 6), (80, 6), (62, 4), (60, 3), (40, 2)],
)
async def test_what_if_leaves_out_columns_that_do_not_fit(columns: int, kept: int) -> None:
    async with open_dashboard(size=(columns, 30)) as sitting:
        await sitting.press("w")
        await tell(
            sitting,
            tried_of(sitting, "skip_connections=True", 1.2e-4),
            tried_of(sitting, "learning_rate=1.0", 13.4),
        )
        assert [len(row) for row in table_of(sitting)[:3]][1:] == [kept, kept]
        assert sitting.app.screen.query_one(DataTable).max_scroll_x == 0
        assert "skip connections on" in sitting.text and "yes 1.2e-04" in sitting.text
        assert "…" not in "".join(table_of(sitting)[1])


async def test_what_if_follows_the_size_of_the_window() -> None:
    async with open_dashboard(size=(120, 30)) as sitting:
        await sitting.press("w")
        assert "first / output" in sitting.text
        for size, head in (((80, 30), "1st/out"), ((40, 30), ""), ((120, 30), "first / output")):
            await sitting.pilot.resize_terminal(*size)
            await sitting.settle()
            assert head in sitting.text and ("gradient" in sitting.text) is bool(head)


async def test_enter_applies_the_chosen_change() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w", "enter")
        assert sitting.source.told == ["try changes", "restart"]
        assert sitting.source.settings.network == NetworkConfig(skip_connections=True)
        assert "skip on" in sitting.line
        await sitting.press("w", "down", "down", "escape")
        assert sitting.source.told == ["try changes", "restart", "try changes"]


async def test_a_click_on_a_change_applies_it() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("w")
        lines = sitting.text.split("\n")
        (line,) = (number for number, text in enumerate(lines) if "activation tanh" in text)
        await sitting.pilot.click(offset=(15, line), times=2)
        await sitting.settle()
        assert sitting.source.settings.network == NetworkConfig(activation="tanh")


async def test_a_look_inside_shows_the_layers_numbers_and_goes_to_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.dashboard.screens.layer.REFRESH_SECONDS", 3600)  # not on a slow machine either
    async with open_dashboard() as sitting:
        await sitting.press("up", "up", "enter")
        assert sitting.source.told == ["inspect 2"]
        assert "Inside layer 3 (20 hidden layers)" in sitting.text
        for words in ("shape 64 → 64", "‖∂E/∂W‖ 2.0e-18", "rms φ′ 0.25", "saturated 50 %", "vanished", "1 128 values"):
            assert words in sitting.text
        assert "-1.0e+00" in sitting.text
        await sitting.press("right", "right", "left", "left", "left")
        assert sitting.source.told[1:] == [f"inspect {layer}" for layer in (3, 4, 3, 2, 1)]
        assert "Inside layer 2" in sitting.text
        await sitting.press("escape")
        assert "layer 2: gradient" in sitting.text


async def test_a_look_inside_a_layer_that_is_not_finite_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.dashboard.screens.layer.REFRESH_SECONDS", 3600)  # what is said stays
    source = ScriptedRun(RunSettings())
    async with open_dashboard(source) as sitting:
        await sitting.press("enter")
        broken = Histogram.of(np.array([np.nan, np.inf]))
        partly = Histogram.of(np.array([0.0, 0.0, 1.0, np.nan]))
        source.say(Inspected(110, Inspection(0, broken, partly, broken)))
        await sitting.settle()
        await sitting.until(lambda: "nothing finite here" in sitting.text)
        assert re.search(r"│67 % exactly 0, 1 NaN or ∞ *│", sitting.text)  # faults stay if not everything fits
        no_zeros = Histogram.of(np.array([1.0, 2.0, 3.0, np.nan]))
        source.say(Inspected(120, Inspection(0, broken, no_zeros, broken)))
        await sitting.settle()
        await sitting.until(lambda: "values" in sitting.text)
        assert "3 values" not in sitting.text
        assert re.search(r"│4 values, 1 NaN or ∞ *│", sitting.text)


async def test_two_clicks_look_inside() -> None:
    async with open_dashboard() as sitting:
        await sitting.pilot.click(offset=(20, 5), times=2)
        await sitting.settle()
        assert "Inside layer 19" in sitting.text


async def test_the_wheel_moves_through_the_layers() -> None:
    async with open_dashboard() as sitting:
        panel = sitting.app.main._panels[0]
        panel.on_mouse_scroll_up()
        panel.on_mouse_scroll_up()
        await sitting.settle()
        assert "layer 3: gradient" in sitting.text


async def test_a_source_that_cannot_be_examined_says_so() -> None:
    source = ScriptedSource(RunSettings())
    async with open_dashboard(source) as sitting:
        await sitting.press("w", "enter", "comma")
        assert source.told == []
        assert isinstance(sitting.app.screen, MainScreen)
        await sitting.until(lambda: "this source cannot be changed" in sitting.text)


# settings


def set_field(sitting: Sitting, field: str, words: str) -> None:
    sitting.app.screen.query_one(f"#{field}", Input).focus().value = words


async def test_the_form_has_every_setting_with_its_value() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("comma")
        for option in OPTIONS:
            assert sitting.app.screen.query(f"#{option.field}")
        assert re.search(r"hidden-layers +20", sitting.text)
        assert re.search(r"clip +none", sitting.text)
        assert re.search(r"batch-norm +off", sitting.text)


async def test_the_form_applied_unchanged_changes_nothing() -> None:
    settings = RunSettings(
        NetworkConfig(7, 32, "tanh", True, True, "gaussian", 1.5, 0.05, "float64"),
        TrainingConfig(64, "adam", 0.003, 0.8, 1e-4, 2.5, 7),
        "moons",
        "numpy",
        2,
    )
    async with open_dashboard(ScriptedRun(settings)) as sitting:
        await sitting.press("comma", "ctrl+s")
        assert sitting.source.settings == settings


async def test_the_form_applied_unchanged_loses_no_digit_and_no_space(tmp_path: Path) -> None:
    file = tmp_path / " my  'own' \"data\".csv"
    file.write_text("size,label\n" + "".join(f"{n},{n % 3}\n" for n in range(300)))
    network = NetworkConfig(weight_variance=1 / 3, bias_variance=0.1 + 0.2)
    rates = TrainingConfig(
        learning_rate=0.0123456789, momentum=0.1 + 0.7, weight_decay=1e-300 / 7, gradient_clip=2 / 3, seed=2**63 - 1
    )
    settings = RunSettings(network, rates, str(file))
    async with open_dashboard(ScriptedRun(settings)) as sitting:
        await sitting.press("comma", "ctrl+s")
        assert "restart" in sitting.source.told
        assert sitting.source.settings == settings


async def test_a_changed_form_restarts_with_all_changes() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("comma")
        set_field(sitting, "hidden_layers", "7")
        set_field(sitting, "gradient_clip", "0.5")
        await sitting.press("enter")
        assert sitting.source.settings == replace(
            RunSettings(), network=NetworkConfig(hidden_layers=7), training=TrainingConfig(gradient_clip=0.5)
        )
        assert "7×64" in sitting.line


async def test_the_first_field_is_typed_over() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("comma")
        await sitting.press("9", "enter")
        assert sitting.source.settings.network.hidden_layers == 9


REFUSED = [
    ("learning_rate", "-1", "lr: -1.0 is out of range; it takes a number above 0"),
    ("width", "x", 'width: "x" is not a whole number'),
    ("momentum", "", 'momentum: "" is not a number'),
    ("dataset", "digitz", 'dataset: no data set "digitz"; did you mean "digits"?'),
]
"""A field, what is typed into it, and the message."""


async def test_a_wrong_value_is_refused_in_the_words_of_the_command_line() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("comma")
        for field, words, sentence in REFUSED:
            right = sitting.app.screen.query_one(f"#{field}", Input).value
            set_field(sitting, field, words)
            await sitting.press("enter")
            assert sentence in sitting.text
            assert sitting.source.told == []
            assert sitting.app.focused is sitting.app.screen.query_one(f"#{field}")
            set_field(sitting, field, right)
        await sitting.press("escape")
        assert sitting.app.main.state.wanted == RunSettings()


async def test_a_click_on_the_state_line_opens_that_setting() -> None:
    async with open_dashboard() as sitting:
        await sitting.pilot.click(offset=(sitting.line.index("xavier"), 0))
        await sitting.settle()
        assert sitting.app.focused is sitting.app.screen.query_one("#initialization")
        await sitting.press("escape")
        await sitting.pilot.click(offset=(sitting.line.index("sgd"), 0))
        await sitting.settle()
        assert sitting.app.focused is sitting.app.screen.query_one("#learning_rate")


def test_the_values_of_settings_are_those_of_every_option() -> None:
    values = values_of(RunSettings())
    assert list(values) == [option.field for option in OPTIONS]
    assert values["hidden_layers"] == 20
    assert values["dataset"] == "digits"


# help


async def test_help_explains_the_present_view() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("question_mark")
        assert "sparkline's height shows the change" in sitting.text
        await sitting.press("escape", "v", "v", "question_mark")
        assert "0.25ⁿ, the most that n sigmoids let through" in sitting.text


@pytest.mark.parametrize("size", slow_but([(40, 12), (80, 24), (200, 60)], (40, 12)))
async def test_every_overlay_fits_every_size(size: tuple[int, int]) -> None:
    async with open_dashboard(size=size) as sitting:
        for key in ("w", "enter", "comma", "question_mark"):
            await sitting.press(key)
            assert re.search(r"escape\s+closes", sitting.text)
            assert "╰" in sitting.text
            await sitting.press("escape")
            assert isinstance(sitting.app.screen, MainScreen)


@pytest.mark.parametrize(
    "key", slow_but(["w", "enter", "comma", "question_mark", "g", "slash", "ctrl+p"], "comma", "ctrl+p")
)
@pytest.mark.usefixtures("painted")
async def test_every_overlay_can_be_drawn_at_every_size(key: str, long_form: bool) -> None:
    async with open_dashboard() as sitting:
        await sitting.press(key)
        sizes = ((3, 3), (1, 1), (2, 40), (200, 1), (20, 5), (4, 40), (80, 24))
        for size in sizes if long_form else sizes[:4]:
            await sitting.pilot.resize_terminal(*size)
            await sitting.pilot.pause(MOMENT)
        assert sitting.app.is_running
        assert sitting.app.crash is None


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("key", slow_but(["enter", "ctrl+p", "w"], "ctrl+p"))
async def test_a_closed_overlay_leaves_nothing_in_memory(key: str) -> None:
    async with open_dashboard() as sitting:

        async def open_and_close() -> None:
            await sitting.press(key)
            await sitting.pilot.pause(0.1)
            await sitting.press("escape")

        async def strips_left(times: int) -> int:
            for _ in range(times):
                await open_and_close()
            gc.collect()
            return sum(type(entry) is Strip for entry in gc.get_objects())  # isinstance wakes lazy objects

        before = await strips_left(2)
        assert await strips_left(4) < before + 2000  # one overlay has 800


@pytest.mark.parametrize("key", slow_but(["question_mark", "comma", "g", "w", "ctrl+p"], "comma", "w", "ctrl+p"))
async def test_ctrl_c_exits_from_every_overlay(key: str) -> None:
    async with open_dashboard() as sitting:
        await sitting.press(key)
        sitting.type_key("ctrl+c")
        await sitting.until(lambda: not sitting.app.is_running)
        assert sitting.app.return_code == 0
