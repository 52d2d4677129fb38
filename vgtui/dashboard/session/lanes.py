"""The run on the screen, or two that are compared: lane A, the next run, and lane B, the one that continues."""

from dataclasses import dataclass, field

from msgspec import UNSET

from vgtui.dashboard.session.pace import InStep, Paced
from vgtui.dashboard.view.state import RunView
from vgtui.sources.base import Experiment, FrameSource, Player
from vgtui.wire.frames import Header, Line
from vgtui.wire.run_settings import RunSettings

MAX_STRIDE = 10_000
"""Maximum number of steps between two frames of compared runs."""


@dataclass(slots=True, eq=False)
class Lane:
    """A source, the state of its run, and its pace while it is compared."""

    source: FrameSource
    state: RunView
    paced: Paced | None = None
    player: Player | None = field(init=False)
    """The source, if it is a recording."""

    def __post_init__(self) -> None:
        self.player = self.source if isinstance(self.source, Player) else None


class Lanes:
    """One lane, or two in step.

    Attributes:
        chosen: The lane that keys act on.
        all: All lanes: A before B.
    """

    def __init__(self, source: FrameSource, state: RunView) -> None:
        self.chosen = Lane(source, state)
        self.all = [self.chosen]
        self._pace: InStep | None = None

    @property
    def comparing(self) -> bool:
        """Whether there are two lanes."""
        return len(self.all) > 1

    def lane_of(self, line: Line) -> Lane:
        """The lane that a line of a recording belongs to; headers begin a second lane, and say which one stays."""
        if isinstance(line, Header):
            self._arrange(line)
        return next((lane for lane in self.all if lane.state.status.name == line.lane), self.chosen)

    def compare(self, source: Experiment) -> Lane:
        """Continue the present run as lane B, and begin and choose lane A for the next one.

        Args:
            source: The source of the present run.

        Returns:
            Lane A.
        """
        continuing = self.chosen
        old = continuing.state
        new = _beside(old, "A")
        step = old.newest.step if old.newest else -1
        runs = Paced(source.another(old.wanted)), Paced(source, step, bound=max(step, 0))
        for run in runs:
            run.source.share_cores(len(runs))
        lane = Lane(runs[0].source, new, runs[0])
        continuing.paced = runs[1]
        self.all = [lane, continuing]
        self._pace = InStep(runs, old.status.paused)
        self.choose(lane)
        return lane

    def end_comparison(self) -> Lane:
        """Continue with the chosen lane alone; the other becomes its ghost.

        Returns:
            The other lane, whose source is still to be closed.
        """
        kept = self.chosen
        left = self._leave(kept)
        kept.paced = self._pace = None
        if isinstance(kept.source, Experiment):
            kept.source.share_cores(1)
            kept.source.ask(0)
        if not kept.state.status.paused:
            kept.source.train()
        return left

    def begin_again(self) -> None:
        """Return to one unnamed lane, as at the start of a recording; headers say when a second one begins."""
        self._leave(self.chosen)
        self.chosen.state.ghost = None

    def _arrange(self, header: Header) -> None:
        """Update the lanes of a recording as a header says."""
        remaining = next((lane for lane in self.all if lane.state.status.name == header.continues), self.chosen)
        if not header.lane:
            if self.comparing:
                self._leave(remaining)
            remaining.state.status.name = ""
        elif header.lane in [lane.state.status.name for lane in self.all]:
            return
        elif header.continues is not UNSET or remaining.state.header is None:
            remaining.state.status.name = header.lane
        elif not self.comparing:
            lane = Lane(remaining.source, _beside(remaining.state, header.lane))
            self.all = sorted([lane, remaining], key=lambda entry: entry.state.status.name)
            self.choose(self.all[0])

    def _leave(self, kept: Lane) -> Lane:
        """Keep one lane; returns the other."""
        (left,) = (lane for lane in self.all if lane is not kept)
        kept.state.leave_neighbour()
        kept.state.status.name = ""
        self.all = [kept]
        self.choose(kept)
        return left

    def choose(self, lane: Lane) -> None:
        """Let keys act on this lane."""
        self.chosen = lane
        for entry in self.all:
            entry.state.status.chosen = entry is lane

    def next_step(self, lane: Lane) -> int:
        """The earliest step of the lane's next frame."""
        return lane.paced.target if lane.paced else 0

    def arrived(self, lane: Lane, step: int, seconds: float) -> None:
        """A frame has arrived.

        Args:
            lane: Its lane.
            step: Its step.
            seconds: How long to train before the next frame.
        """
        if self._pace and lane.paced:
            rates = [entry.state.newest.steps_per_second for entry in self.all if entry.state.newest]
            stride = min(max(round(min(rates, default=0.0) * seconds), 1), MAX_STRIDE)
            self._pace.arrived(lane.paced, step, stride)

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        """Restart the run of the chosen lane; in a comparison, the other one waits for it.

        Args:
            settings: The settings of the next run.
            keep: Whether it goes on with the weights of this one.
        """
        lane = self.chosen
        assert isinstance(lane.source, Experiment)
        lane.source.restart(settings, keep)
        if self._pace and lane.paced:
            self._pace.restarted(lane.paced)

    def drop_out(self, lane: Lane) -> None:
        """A fault has ended a lane; the other does not wait for it."""
        if self._pace and lane.paced:
            self._pace.drop_out(lane.paced)

    def set_paused(self, paused: bool) -> None:
        """Pause or resume all lanes."""
        for lane in self.all:
            lane.state.status.paused = paused
        if self._pace:
            (self._pace.pause if paused else self._pace.go_on)()
        elif paused:
            self.chosen.source.pause()
        else:
            self.chosen.source.train()

    def step_once(self) -> None:
        """Train one step in every lane, then pause."""
        for lane in self.all:
            lane.state.status.paused = True
        if self._pace:
            self._pace.step_once()
        else:
            self.chosen.source.step_once()

    def go_to(self, point: int) -> None:
        """Show a point in the history of the chosen lane, and the same step of the other."""
        state = self.chosen.state
        state.go_to(point)
        if state.other and state.other.history.length:
            other = state.other
            other.go_to(other.history.length if state.moment is None else other.history.point_of(_step(state)))


def _beside(old: RunView, name: str) -> RunView:
    """The state of a new lane with this name beside an old one, which gets the other name; both share the look."""
    new = RunView(old.wanted, old.look, name=name, follows=old.status.follows)
    old.status.name, old.other, new.other = ("B" if name == "A" else "A"), new, old
    new.pins, new.selected = list(old.pins), old.selected
    new.status.paused, new.status.pace = old.status.paused, old.status.pace
    return new


def _step(state: RunView) -> int:
    return state.frame.step if state.frame else 0
