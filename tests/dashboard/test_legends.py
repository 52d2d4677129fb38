"""Legends: every line and sign is explained, also without colours, and columns align."""

import re
from collections.abc import Iterator
from math import inf, nan

import pytest

from engine.config import NetworkConfig
from tests.dashboard.sitting import Sitting, open_dashboard
from tests.dashboard.test_watched import WatchedModel
from tests.forms import slow_but
from tests.scripted_run import ScriptedRun, vanishing
from vgtui.charts.line_chart import Cell, Line, draw_lines
from vgtui.dashboard.view.look import Look
from vgtui.dashboard.widgets.chart import Chart
from vgtui.wire.run_settings import RunSettings

SIZES = ((80, 24), (120, 40), (160, 50), (200, 60))


def broken(settings: RunSettings, step: int) -> list[float]:
    return [nan, inf, 0.0, *vanishing(settings, step)[3:]]


def apart(settings: RunSettings, step: int) -> list[float]:
    """Norms that differ between networks, so that no line hides another."""
    network = settings.network
    scale = 10.0 ** (2 * ("sigmoid", "tanh", "relu").index(network.activation) + network.batch_norm)
    scale *= 1.0 if network.initialization == "xavier_normal" else 300.0
    return [scale * norm for norm in vanishing(settings, step)]


def rows_of(chart: Chart) -> list[str]:
    return [strip.text for strip in chart._lines]


def charts_of(sitting: Sitting) -> Iterator[list[str]]:
    for chart in (sitting.app.main._gradient_chart, sitting.app.main._loss_chart):
        yield rows_of(chart)


@pytest.mark.parametrize("size", slow_but([(100, 30), (120, 40), (200, 60)], (120, 40)))
async def test_both_lanes_are_named_in_both_charts(size: tuple[int, int]) -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), 2), size, look=Look(theory=True)) as sitting:
        await sitting.press("c", "b")
        by_layer, loss = ("\n".join(rows) for rows in charts_of(sitting))
        assert re.search(r"━ A .*theory.* B( |\n)", by_layer, re.DOTALL)
        if loss:  # at 100 columns it does not fit
            assert re.search(r"━ loss .*╍ accuracy .*┅ validation .*B( |\n)", loss, re.DOTALL)


async def test_every_line_of_a_chart_has_a_sign_of_its_own_that_is_drawn() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), 2, apart), (200, 60), look=Look(theory=True)) as sitting:
        await sitting.press("p", "a", "p", "a", "c", "b", "i")
        await sitting.until(lambda: not any(lane.state.begins_run for lane in sitting.app.main.lanes.all))
        await sitting.settle()
        for signs, rows in zip((("·", "1", "2", "B"), ("1", "2", "B")), charts_of(sitting), strict=True):
            text = "\n".join(rows)
            legend = [line for line in rows if line.startswith(" ") and re.search(r"[a-z]{4}", line)]
            picture = "\n".join(line[6:] for line in rows if line not in legend and "layer" not in line)
            for sign in signs:
                assert re.search(rf"(^| ){re.escape(sign)}( |$)", "\n".join(legend), re.MULTILINE), (sign, text)
                if "layer 1" in text:  # the losses of scripted runs hide each other
                    assert sign in picture, (sign, text)


def test_dashes_and_markers_tell_lines_apart_without_colours() -> None:
    def drawn(**how: object) -> list[Cell]:
        (row,) = draw_lines([Line("grey", range(24), [0.0] * 24, **how)], (0, 23), (0.0, 1.0), 12, 1)  # type: ignore[arg-type]
        return row

    kinds = [drawn(), drawn(dashes=(3, 4)), drawn(dashes=(1, 2)), drawn(marker="B"), drawn(marker="1")]
    assert len({"".join(cell.character for cell in row) for row in kinds}) == len(kinds)
    assert {cell.style for row in kinds for cell in row} == {"grey", ""}


async def test_the_signs_on_a_chart_are_in_its_legend_at_every_size() -> None:
    source = ScriptedRun(RunSettings(NetworkConfig(hidden_layers=12)), 2, broken)
    async with open_dashboard(source, look=Look(view="heat map")) as sitting:
        for size in SIZES:
            await sitting.pilot.resize_terminal(*size)
            await sitting.settle()
            scale = sitting.app.main._panel.heat_map._lines[-1].text
            assert all(sign in scale.split("1e1")[1] for sign in "0!∞"), (size, scale)
            if rows := rows_of(sitting.app.main._gradient_chart):
                legend = "\n".join(rows[:4])
                assert all(f"{sign} " in legend for sign in "0!∞"), (size, legend)


async def test_the_factors_of_the_chain_rule_stand_below_each_other() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), 2), look=Look(view="chain rule")) as sitting:
        rows = [line.split("│")[1] for line in sitting.text.split("\n") if " = " in line and " × " in line]
        assert len(rows) > 20
        assert len({row.index(" × ") for row in rows}) == 1
        points = {tuple(match.start() for match in re.finditer(r"(?<=\d)\.(?=\d{3})", row)) for row in rows[1:]}
        assert len(points) == 1 and len(points.pop()) == 3


async def test_the_state_line_leaves_out_whole_settings_and_keeps_what_the_lanes_differ_in() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), 2), (80, 24)) as sitting:
        await sitting.press("c", "b", "space", "left")
        lines = sitting.text.split("\n")[:2]
        assert "≠BatchNorm on" in lines[0] and "≠BatchNorm off" in lines[1]
        assert "…" not in "".join(lines)


async def test_what_is_not_known_of_a_layer_is_left_out_of_the_verdict() -> None:
    async with open_dashboard(WatchedModel(RunSettings(), 2)) as sitting:
        verdict = sitting.app.main._verdict._text().plain
        assert "embed" in verdict and "weights" in verdict
        assert "–" not in verdict


async def test_what_if_has_all_its_columns_at_80_columns() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), 2), (80, 24)) as sitting:
        await sitting.press("w")
        row = next(line for line in sitting.text.split("\n") if "skip connections on" in line)
        assert len(re.findall(r"\d\.\de[+-]\d\d", row)) == 3
