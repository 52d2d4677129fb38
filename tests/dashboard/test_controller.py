"""What keys do to the runs, without a screen."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.inspection import Histogram, Inspection
from tests.frames import make_frame
from tests.scripted_run import ScriptedRun, ScriptedSource, vanishing
from vgtui.dashboard.session.controller import FIXED_SOURCE, Controller
from vgtui.dashboard.session.lanes import Lane, Lanes
from vgtui.dashboard.session.recording import Recording
from vgtui.dashboard.view.state import RunView
from vgtui.model.presets import PRESETS
from vgtui.wire.frames import Header
from vgtui.wire.protocol import Inspected
from vgtui.wire.run_settings import RunSettings


@dataclass
class Told:
    """A display that records what it was told."""

    words: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def say(self, words: str, severity: str = "information", *, title: str = "", seconds: float = 0) -> None:
        self.words.append(words)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.calls.append(name)


@dataclass
class Sitting:
    controller: Controller
    source: ScriptedSource
    told: Told

    @property
    def state(self) -> RunView:
        return self.controller.state


def begin(source: ScriptedSource, frames: int = 6) -> Sitting:
    """A controller of a run that has given this many frames."""
    told = Told()
    state = RunView(source.settings, follows=not isinstance(source, ScriptedRun))
    lanes = Lanes(source, state)
    header = source._answers.get_nowait()
    assert isinstance(header, Header)
    state.take_header(header)
    for number in range(frames):
        state.take_frame(make_frame(source.settings, vanishing(source.settings, number), step=10 * number))
    return Sitting(Controller(lanes, Recording(None, told.say), told), source, told)


@pytest.fixture
def sitting() -> Sitting:
    return begin(ScriptedRun(RunSettings()))


def test_a_change_restarts_and_is_wanted_at_once(sitting: Sitting) -> None:
    sitting.controller.switch("batch_norm")
    assert sitting.source.told == ["restart"]
    assert sitting.state.wanted.network.batch_norm and sitting.state.ghost
    assert sitting.told.calls == ["wake", "refresh_lines"]


def test_an_impossible_change_is_reported_and_changes_nothing(sitting: Sitting) -> None:
    sitting.controller.change(training={"batch_size": -1})
    assert sitting.source.told == [] and len(sitting.told.words) == 1
    assert "batch_size" in sitting.told.words[0]


def test_a_change_resumes_training_after_a_fault_but_not_after_a_pause(sitting: Sitting) -> None:
    sitting.controller.set_paused(True, by_fault=True)
    sitting.controller.deepen(1)
    assert sitting.source.told == ["pause", "train", "restart"]
    sitting.source.told.clear()
    sitting.controller.pause()
    sitting.controller.deepen(1)
    assert sitting.source.told == ["pause", "restart"] and sitting.state.status.paused


def test_only_a_paused_run_moves_in_time(sitting: Sitting) -> None:
    sitting.controller.travel(-1)
    assert sitting.state.moment is None and "space pauses" in sitting.told.words[0]
    sitting.controller.pause()
    sitting.controller.travel(-1)
    assert sitting.state.moment == 4
    sitting.controller.travel_to(0)
    assert sitting.state.moment == 0
    sitting.controller.pause()
    assert sitting.state.moment is None and not sitting.state.status.paused


def test_a_comparison_begins_and_ends_and_the_display_closes_the_other_source(sitting: Sitting) -> None:
    sitting.controller.compare()
    assert [lane.state.status.name for lane in sitting.controller.lanes.all] == ["A", "B"]
    assert sitting.told.calls[-2:] == ["show_lanes", "follow"]
    sitting.controller.next_lane()
    assert sitting.controller.lanes.chosen is sitting.controller.lanes.all[1]
    sitting.controller.compare()
    assert len(sitting.controller.lanes.all) == 1 and "close" in sitting.told.calls


def test_a_source_that_cannot_be_changed_is_left_alone() -> None:
    sitting = begin(ScriptedSource(RunSettings()))
    sitting.controller.switch("batch_norm")
    sitting.controller.restart()
    sitting.controller.compare()
    sitting.controller.begin_preset(next(iter(PRESETS.values())))
    assert sitting.source.told == []
    assert FIXED_SOURCE in sitting.told.words


def test_changes_are_measured_for_a_run_that_trains_only(sitting: Sitting) -> None:
    assert sitting.controller.try_changes() and sitting.told.words == []
    sitting.state.status.fault = "killed"
    assert not sitting.controller.try_changes()
    assert "the training has stopped" in sitting.told.words[0]


def test_a_new_look_inside_forgets_the_last_one(sitting: Sitting) -> None:
    blank = Histogram(-1.0, 1.0, (1,), 0, 0)
    found = Inspected(50, Inspection(0, blank, blank, blank))
    sitting.state.take_inspected(found)
    assert sitting.state.inspected is found
    assert sitting.controller.begin_inspection() and sitting.state.inspected is None
    sitting.state.take_inspected(found)
    sitting.controller.inspect_next(1)
    assert sitting.state.selected == 1 and sitting.state.inspected is None


def test_a_layer_is_chosen_in_every_lane(sitting: Sitting) -> None:
    sitting.controller.compare()
    for lane in sitting.controller.lanes.all:
        assert isinstance(lane, Lane)
    sitting.controller.lanes.choose(sitting.controller.lanes.all[1])
    sitting.controller.move_selection(3)
    assert sitting.state.selected == 3
