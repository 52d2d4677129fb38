"""The three views, the quantities, theory and pins: what each shows for frames and keys."""

import math
import re

import pytest

from engine.config import NetworkConfig
from engine.theory import Prediction, predict
from tests.dashboard.sitting import Sitting, open_dashboard
from tests.dashboard.test_dashboard import row_of
from tests.forms import slow_but
from tests.scripted_run import ScriptedRun, vanishing
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.dashboard.view.state import RunView
from vgtui.reports.summary import RunSummary
from vgtui.wire.run_settings import RunSettings
from vgtui.worker.run import Run

LEGEND = 2
"""The line of the screen with the legend of the chart by layer."""


def legend(sitting: Sitting) -> str:
    return sitting.text.split("\n")[LEGEND][69:]


async def test_v_goes_round_the_views_and_each_has_its_title() -> None:
    async with open_dashboard() as sitting:
        for title in ("Gradient norm per layer, log10", "Gradient norm per layer", "Chain rule", "Gradient norm per"):
            assert title in sitting.text.split("\n")[1]
            await sitting.press("v")


async def test_the_heat_map_has_every_layer_and_a_scale() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("v")
        labels = re.findall(r"^│[▸ ] *(out|\d+) ▀", sitting.text, re.MULTILINE)
        assert labels == ["out", *map(str, range(20, 0, -1))]
        assert re.search(r"‖∂E/∂W‖ 1e-15 █+ 1e1   0 exact 0  ! NaN", sitting.text)


async def test_the_heat_map_of_a_thousand_layers_says_that_neighbours_share_a_line() -> None:
    deep = RunSettings(NetworkConfig(hidden_layers=1000, width=4))
    async with open_dashboard(ScriptedRun(deep, frames=2)) as sitting:
        await sitting.press("v")
        assert re.search(r"1[56]–1[67] layers a half line: the least", sitting.text)
        assert "▸   1 " in sitting.text
        assert "  out " in sitting.text


async def test_a_click_in_the_heat_map_chooses_the_layer_under_it() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("v")
        lines = sitting.text.split("\n")
        (line,) = (number for number, text in enumerate(lines) if text.startswith("│   12 "))
        await sitting.pilot.click(offset=(20, line))
        await sitting.settle()
        assert "layer 12: gradient" in sitting.text


async def test_the_chain_rule_shows_factors_their_product_and_the_bound() -> None:
    def halving(settings: RunSettings, step: int) -> list[float]:
        return [1.0] * (settings.network.hidden_layers + 1)

    async with open_dashboard(ScriptedRun(RunSettings(), norms=halving)) as sitting:
        await sitting.press("v", "v")
        # every scripted frame has the same error signal and the slope 0.25 in every layer
        assert re.search(r"│ +7 +1\.000 = +0\.250 × +4\.000 +1.0e\+00 ━+┊", sitting.text)
        assert "┊ 0.25ⁿ, the most that φ′ allows" in sitting.text
        await sitting.press("b")
        assert "0.25ⁿ" not in sitting.text


async def test_n_chooses_the_quantity_and_every_title_says_which() -> None:
    async with open_dashboard() as sitting:
        for title, symbol, value in (
            ("Error signal", "‖∂E/∂z‖", "2.5e-01"),
            ("Spread of activations", "sd(h)", "2.5e-01"),
            ("RMS of activations", "rms(h)", "3.5e-01"),
            ("Update ratio", "‖ΔW‖/‖W‖", "1.0e-03"),
        ):
            await sitting.press("n")
            assert f"{title} per layer, log10 {symbol}" in sitting.text
            assert f"{title} by layer" in sitting.text
            assert value in row_of(sitting.text, "7")
            assert "‖∂E/∂W‖" in sitting.text.split("\n")[2]
        await sitting.press("N", "N", "N", "N")
        assert "Gradient norm per layer" in sitting.text


async def test_an_unknown_update_ratio_is_a_dash() -> None:
    source = ScriptedRun(RunSettings(), frames=1)
    async with open_dashboard(source) as sitting:
        frame = sitting.app.main.state.frame
        assert frame
        await sitting.press("N")
        frame.layers.update_ratio.mask = True
        await sitting.press("t")
        assert row_of(sitting.text, "7").split()[2] == "–"


async def test_theory_is_drawn_beside_the_measurement_where_it_holds() -> None:
    async with open_dashboard() as sitting:
        assert "theory" not in sitting.text
        await sitting.press("t")
        assert "┄ theory at init, one sample" in legend(sitting)
        await sitting.press("n")
        assert "┄ theory at init" in legend(sitting)
        await sitting.press("N", "s")
        assert "no theory: with skip connections" in sitting.text
        await sitting.press("t")
        assert "theory" not in legend(sitting)


def test_the_state_predicts_the_run_on_the_screen() -> None:
    prediction = predict(NetworkConfig(), 64, 10)
    assert isinstance(prediction, Prediction)
    assert prediction.signal_profile[-1] == prediction.gradient_profile[-1] == 1


def test_theory_begins_with_the_mean_square_of_the_data() -> None:
    run = Run(RunSettings())
    header, frame = run.header(), run.frame(always_validate=False)
    state, summary = RunView(RunSettings()), RunSummary()
    state.take_header(header)
    state.take_frame(frame)
    summary.take(header)
    # three of the 64 pixels of digits never change
    expected = predict(NetworkConfig(), 64, 10, input_mean_square=61 / 64)
    assert isinstance(expected, Prediction)
    for prediction in (state.theory(), summary.theory()):
        assert isinstance(prediction, Prediction)
        assert prediction.gradient_profile == pytest.approx(expected.gradient_profile, rel=1e-9)


async def test_pinned_runs_stay_while_the_last_run_changes() -> None:
    async with open_dashboard(size=(200, 60)) as sitting:
        await sitting.press("p", "b")
        assert "1 sigmoid 20×64" in sitting.text
        assert "· last run (BatchNorm off)" in sitting.text
        await sitting.press("a")
        await sitting.press("p", "s")
        assert "1 sigmoid 20×64" in sitting.text
        assert "2 tanh 20×64 BatchNorm" in sitting.text
        assert "· last run (skip off)" in sitting.text
        await sitting.press("P")
        assert "20×64" not in "".join(line[125:] for line in sitting.text.split("\n")[2:])


async def test_at_most_three_runs_are_pinned_the_oldest_goes() -> None:
    async with open_dashboard(size=(200, 60)) as sitting:
        for _ in range(4):
            await sitting.press("p", "a")
        assert [pin.label for pin in sitting.app.main.state.pins] == ["tanh 20×64", "relu 20×64", "leaky_relu 20×64"]


async def test_hints_can_be_hidden_and_that_is_told() -> None:
    told: list[tuple[str, bool]] = []
    async with open_dashboard(on_look=lambda look, theme: told.append((look.view, look.hints))) as sitting:
        sentences = ("Each row is a layer", "A fall to the left", "Guessing 10 classes: loss 2.30", "layers learn")
        assert all(sentence in sitting.text for sentence in sentences)
        await sitting.press("h")
        assert not any(sentence in sitting.text for sentence in sentences)
        await sitting.press("v")
        assert told == [("sparklines", False), ("heat map", False)]


async def test_the_look_of_the_last_time_is_the_first() -> None:
    async with open_dashboard(look=Look(view="chain rule", hints=False)) as sitting:
        assert "Chain rule" in sitting.text
        assert "Guessing" not in sitting.text


async def test_redraws_per_second_are_shown_on_request() -> None:
    async with open_dashboard() as sitting:
        assert "fps" not in sitting.line
        await sitting.press("f")
        assert re.search(r"\d+ fps", sitting.line)


async def test_a_huge_terminal_shows_two_views_and_the_charts() -> None:
    async with open_dashboard(size=(200, 60)) as sitting:
        assert "Gradient norm per layer, log10" in sitting.text
        assert "┄" not in sitting.text
        await sitting.press("v")
        assert "Chain rule" in sitting.text
        assert "since the start →" in sitting.text


async def test_a_small_terminal_shows_the_scores_that_its_chart_has_no_room_for() -> None:
    async with open_dashboard(size=(80, 24)) as sitting:
        assert "loss 2.3 · accuracy 0.125 · validation 0.1" in sitting.text


@pytest.mark.parametrize("depth", slow_but([1, 2, 100, 1000], 1, 1000))
async def test_every_depth_can_be_drawn_in_every_view(depth: int) -> None:
    def broken(settings: RunSettings, step: int) -> list[float]:
        norms = vanishing(settings, step)
        norms[0] = (0.0, math.nan, math.inf, 1e-300)[step % 4]
        return norms

    settings = RunSettings(NetworkConfig(hidden_layers=depth, width=4))
    async with open_dashboard(ScriptedRun(settings, norms=broken)) as sitting:
        await sitting.press("t")
        for _ in VIEWS:
            assert "▸   1 " in sitting.text
            await sitting.press("n", "v")
        assert "step 50" in sitting.line
