"""The processes of a distributed training on the screen."""

import msgspec
import numpy as np
import pytest

from tests.dashboard.sitting import open_dashboard
from tests.models import make_model_frame, make_model_header
from tests.scripted_run import ScriptedSource
from vgtui.wire.frames import RankInfo
from vgtui.wire.run_settings import RunSettings

NORMS = [0.1, 0.4, 0.5, 0.3, 0.4, 0.2, 0.3, 1.0]


class RankedModel(ScriptedSource):
    """A source of frames of a model that several processes train; the last has a loss of 50."""

    size = 2

    def _begin(self, settings: RunSettings) -> None:
        self.say(make_model_header())
        losses = [1.5] * (self.size - 1) + [50.0]
        ranks = tuple(
            RankInfo(rank, np.float64(loss), None, np.float64(0.02), np.float64(0.001 * (rank + 1)))
            for rank, loss in enumerate(losses)
        )
        self.say(msgspec.structs.replace(make_model_frame(NORMS, 0), ranks=ranks))


class ManyRanks(RankedModel):
    size = 16


async def test_each_process_has_a_line_with_its_loss_and_times() -> None:
    async with open_dashboard(RankedModel(RunSettings()), (120, 40)) as sitting:
        lines = [line for line in sitting.text.splitlines() if "rank " in line]
        assert [line.split("rank ")[1].split()[:5] for line in lines] == [
            ["0", "1.5", "–", "20", "1"],
            ["1", "50", "–", "20", "2"],
        ]
        assert sitting.app.crash is None


async def test_of_many_processes_the_odd_one_and_the_range_are_shown() -> None:
    async with open_dashboard(ManyRanks(RunSettings()), (120, 40)) as sitting:
        shown = [line.split("rank ")[1].split()[0] for line in sitting.text.splitlines() if "rank " in line]
        assert shown[0] == "15"
        (greatest,) = [line for line in sitting.text.splitlines() if "greatest" in line]
        assert greatest.split("greatest")[1].split()[:4] == ["50", "–", "20", "16"]


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_where_there_is_no_room_the_panel_is_left_out(size: tuple[int, int]) -> None:
    async with open_dashboard(RankedModel(RunSettings()), size) as sitting:
        assert "rank 0" not in sitting.text
        assert sitting.app.crash is None
