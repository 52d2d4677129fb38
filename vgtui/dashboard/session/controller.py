"""What a key does to the runs on the screen. Each action of the screen is one call of a method here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, TypeAlias

from engine.config import ACTIVATION_NAMES, DATASET_NAMES, INITIALIZATION_NAMES, OPTIMIZER_NAMES
from engine.errors import UsageError
from vgtui.dashboard.session.export import export_moment, file_name
from vgtui.dashboard.session.lanes import Lane, Lanes
from vgtui.dashboard.session.recording import Recording
from vgtui.dashboard.steps import CLIPS, DEPTHS, LEARNING_RATES, neighbour, rung
from vgtui.dashboard.view.look import VIEWS
from vgtui.dashboard.view.outline import Outline
from vgtui.dashboard.view.state import RunView
from vgtui.lessons.lesson import Lesson
from vgtui.lessons.progress import LessonProgress
from vgtui.model.options import settings_from
from vgtui.model.presets import Preset
from vgtui.model.quantities import QUANTITIES
from vgtui.recordings.writer import Recorder
from vgtui.sources.base import Experiment, Player
from vgtui.terminal.text import plain
from vgtui.wire.frames import in_lane
from vgtui.wire.run_settings import RunSettings

Severity: TypeAlias = Literal["information", "warning", "error"]
PRESET_SECONDS = 20.0
"""How long the description of a preset is shown."""
FIXED_SOURCE = "this source cannot be changed: it is a recording, or a model that its own program trains"


class Display(Protocol):
    """What a controller and a feed tell to show things; the main screen implements it."""

    def say(self, words: str, severity: Severity = "information", *, title: str = "", seconds: float = 0) -> None:
        """Show a notification.

        Args:
            words: Its text.
            severity: How it is coloured.
            title: Its title, if any.
            seconds: How long it is shown; 0 for the default.
        """

    def wake(self) -> None:
        """Show the next frame as soon as it arrives."""

    def refresh_lines(self) -> None:
        """Draw the state line and the key line."""

    def draw_timeline(self) -> None:
        """Draw the timeline."""

    def draw_layers(self) -> None:
        """Draw the layers and the verdict, after another layer was chosen."""

    def draw_runs(self) -> None:
        """Draw numbers and charts, after the pinned runs have changed."""

    def draw_all(self) -> None:
        """Draw everything, after the moment or the look has changed."""

    def show_lanes(self) -> None:
        """Show the present lanes, with the chosen one in the charts."""

    def show_pace(self, lane: Lane) -> None:
        """Show the pace of a lane's source, if it sets one."""

    def show_lesson(self) -> None:
        """Show the present lesson, or hide its panel."""

    def follow(self, lane: Lane) -> object:
        """Start showing the frames of a lane."""

    def close(self, lane: Lane) -> object:
        """Close the source of a lane that was left, in the background."""

    def look_changed(self) -> None:
        """Remember the look."""

    def lesson_advanced(self) -> None:
        """Remember the progress in the lessons."""


class Controller:
    """Changes runs, moves in time, compares, records, and leads through a lesson.

    Args:
        lanes: The runs on the screen.
        recording: Their recording.
        display: Shows what has changed.
    """

    def __init__(self, lanes: Lanes, recording: Recording, display: Display) -> None:
        self.lanes = lanes
        self.recording = recording
        self.progress: LessonProgress | None = None
        """The present lesson."""
        self.lessons_done: dict[str, int] = {}
        """The number of steps done in each lesson."""
        self._display = display
        self._paused_by_fault = False

    @property
    def state(self) -> RunView:
        """The run that keys act on."""
        return self.lanes.chosen.state

    @property
    def experiment(self) -> Experiment | None:
        """The source if it can be changed; otherwise None, and the user is told."""
        if isinstance(self.lanes.chosen.source, Experiment):
            return self.lanes.chosen.source
        self._display.say(FIXED_SOURCE, "warning")
        return None

    # changes of the run

    def change(
        self, network: dict[str, Any] | None = None, training: dict[str, Any] | None = None, dataset: str | None = None
    ) -> None:
        """Restart with some settings changed.

        Args:
            network: The changed fields of the network.
            training: The changed fields of the training.
            dataset: The new data set.
        """
        wanted = self.state.wanted
        try:
            changed = replace(
                wanted,
                network=replace(wanted.network, **network or {}),
                training=replace(wanted.training, **training or {}),
                dataset=dataset or wanted.dataset,
            )
        except UsageError as error:
            self._display.say(str(error), "error")
            return
        self.apply(changed)

    def change_setting(self, name: str, value: Any) -> None:
        """Restart with one field of the network or of the training changed."""
        if hasattr(self.state.wanted.network, name):
            self.change({name: value})
        else:
            self.change(training={name: value})

    def apply(self, changed: RunSettings) -> None:
        """Restart with these settings, or keep the weights if the user wants that and no lesson is under way."""
        self.run(changed, self.state.look.keeps)

    def run(self, changed: RunSettings, keep: bool = False) -> None:
        """Restart with these settings. The screen shows them at once, marked as pending until their first frame.

        Args:
            changed: The settings.
            keep: Whether to keep the weights and continue instead.
        """
        if self.experiment is None:
            return
        if not self.state.shows_newest_run:
            self._display.say("changes apply to the present run, which is on the screen again")
        self._show_present()
        self.state.want(changed)
        if self._paused_by_fault:
            self.set_paused(False)
        self.lanes.restart(changed, keep)
        self._display.wake()
        self._display.refresh_lines()

    def next_activation(self, step: int) -> None:
        """Change to the next activation (1) or the previous one (−1)."""
        self.change({"activation": neighbour(ACTIVATION_NAMES, self.state.wanted.network.activation, step)})

    def next_initialization(self, step: int) -> None:
        """Change to the next initialization (1) or the previous one (−1)."""
        present = self.state.wanted.network.initialization
        self.change({"initialization": neighbour(INITIALIZATION_NAMES, present, step)})

    def switch(self, name: str) -> None:
        """Switch a field of the network on or off."""
        self.change({name: not getattr(self.state.wanted.network, name)})

    def deepen(self, step: int) -> None:
        """Change to the next larger number of hidden layers (1) or the next smaller one (−1)."""
        self.change({"hidden_layers": rung(DEPTHS, self.state.wanted.network.hidden_layers, step)})

    def scale_rate(self, step: int) -> None:
        """Change to the next larger learning rate (1) or the next smaller one (−1)."""
        rate = self.state.wanted.training.learning_rate
        self.change(training={"learning_rate": rung(LEARNING_RATES, rate, step)})

    def next_optimizer(self) -> None:
        """Change to the next optimizer."""
        self.change(training={"optimizer": neighbour(OPTIMIZER_NAMES, self.state.wanted.training.optimizer, 1)})

    def next_clip(self) -> None:
        """Change to the next limit of the gradient norm, or to none."""
        present = self.state.wanted.training.gradient_clip
        place = CLIPS.index(present) if present in CLIPS else -1
        self.change(training={"gradient_clip": CLIPS[(place + 1) % len(CLIPS)]})

    def next_dataset(self) -> None:
        """Change to the next data set; one that is not built in remains in the cycle while it is in use."""
        present = self.state.wanted.dataset
        names = DATASET_NAMES if present in DATASET_NAMES else (*DATASET_NAMES, present)
        self.change(dataset=neighbour(names, present, 1))

    def keep_weights(self) -> None:
        """Toggle whether changes keep the weights or restart."""
        if self.progress:
            self._display.say("a lesson's changes restart, as it measures initializations", title="Changes")
        elif self.experiment:
            self.state.look.keep = not self.state.look.keep
            kept, restarted = "keeps the weights that fit, and training continues", "restarts from the same seed"
            self._display.say(f"a change {kept if self.state.look.keep else restarted}", title="Changes")
            self._display.refresh_lines()

    def restart(self) -> None:
        """Restart the run, or play the recording again."""
        player = self.lanes.chosen.player
        if player is None:
            self.run(self.state.wanted)
        elif not player.seekable:
            self._display.say("a stream cannot be played again", "warning")
        elif self.state.history.length:
            self._play_from(player, 0)
            self.set_paused(False)

    def use_numpy(self) -> None:
        """Restart on the CPU."""
        if self.state.on_gpu:
            self.run(replace(self.state.wanted, backend="numpy"))
        elif self.experiment:
            self._display.say("already using NumPy")

    def reseed(self) -> None:
        """Restart from the next seed."""
        wanted = self.state.wanted
        self.run(replace(wanted, training=replace(wanted.training, seed=wanted.training.seed + 1)))

    def begin_preset(self, preset: Preset) -> None:
        """Run a configuration from a paper, and say what to look for."""
        wanted = self.state.wanted
        kept = {"backend": wanted.backend, "threads": wanted.threads}
        self.run(settings_from({**preset.settings, **kept}))
        self._display.say(f"{preset.reference}. See {preset.see}.", title=preset.title, seconds=PRESET_SECONDS)

    # time

    def pause(self) -> None:
        """Pause or resume."""
        if self.state.status.paused and self.state.moment is not None:
            self._leave_the_past(self.state.moment)
        self.set_paused(not self.state.status.paused)

    def set_paused(self, paused: bool, by_fault: bool = False) -> None:
        """Pause or resume all lanes.

        Args:
            paused: Whether to pause.
            by_fault: Whether a fault in a frame is the reason; the next change then resumes.
        """
        self._paused_by_fault = by_fault
        self.lanes.set_paused(paused)
        self._display.wake()
        self._display.draw_timeline()
        self._display.refresh_lines()

    def step(self) -> None:
        """Train one step, or play one frame."""
        if self.lanes.chosen.player and self.state.moment is not None:
            self.travel(1)
            return
        self._show_present()
        self.lanes.step_once()
        self._display.wake()
        self._display.refresh_lines()

    def travel(self, step: float) -> None:
        """Move through the history. Beyond the present, a recording plays on.

        Args:
            step: A number of points, or below 1 in magnitude a share of all points; negative is back.
        """
        if not self._may_travel():
            return
        history, moment = self.state.history, self.state.moment
        points = round(step * history.length) if abs(step) < 1 else int(step)
        if moment is None and step > 0:
            if player := self.lanes.chosen.player:
                if abs(step) < 1:
                    player.skip(step)
                else:
                    player.step_once()
            return
        present = history.length - 1 if moment is None else moment
        self._go_to(present + (points or (1 if step > 0 else -1)))

    def travel_to(self, end: int) -> None:
        """Go to the first frame (0) or to the newest (1); from the newest, read a recording to its end."""
        player = self.lanes.chosen.player
        if end and self.state.moment is None and player:
            player.skip(1.0)
        elif self._may_travel():
            self._go_to(self.state.history.length if end else 0)

    def change_speed(self, step: int) -> None:
        """Play a recording faster (1) or slower (−1)."""
        if player := self.lanes.chosen.player:
            player.change_speed(step)
            self._display.show_pace(self.lanes.chosen)
        else:
            self._display.say("only a recording has a playback speed", "warning")

    def _leave_the_past(self, moment: int) -> None:
        """Resume from a moment: a recording plays from there, any other source continues from the present.

        A recording with two lanes plays only from its start: elsewhere each lane would need its own moment.
        """
        player = self.lanes.chosen.player
        if player and player.seekable and (moment == 0 or not player.has_lanes):
            self._play_from(player, moment)
            return
        self._show_present()
        self._display.say("resumed from the present: the past can be viewed, not continued")

    def _play_from(self, player: Player, point: int) -> None:
        if not point and self.lanes.comparing:
            self.lanes.begin_again()
            self._display.show_lanes()
        lane = self.lanes.chosen
        player.play_from(lane.state.rewind(point))
        lane.state.status.ended = False
        if point:
            assert lane.state.header
            self.recording.take(lane, lane.state.header)
            self._display.draw_all()
        self._display.show_pace(lane)

    def _show_present(self) -> None:
        if self.state.moment is not None:
            self._go_to(self.state.history.length)

    def _may_travel(self) -> bool:
        if not self.state.status.paused:
            key = self.state.look.keymap.shown("pause")
            self._display.say(f"{key} pauses; then the arrows move back and forth in time")
        return self.state.status.paused and self.state.history.length > 0

    def _go_to(self, point: int) -> None:
        self.lanes.go_to(point)
        self._display.draw_all()

    # two runs

    def compare(self) -> None:
        """Keep the present run beside the next one, or end the comparison and continue with the chosen run."""
        if experiment := self.experiment:
            self._show_present()
            if self.lanes.comparing:
                self._display.close(self.lanes.end_comparison())
                self._display.wake()
                self._display.show_lanes()
                return
            lane = self.lanes.compare(experiment)
            self._display.show_lanes()
            self._display.follow(lane)

    def next_lane(self) -> None:
        """Let keys act on the other lane."""
        if self.lanes.comparing:
            self.lanes.choose(next(lane for lane in self.lanes.all if lane is not self.lanes.chosen))
            self._display.show_lanes()
        elif self.state.status.follows:
            self._display.say("there is only one run here")
        else:
            self._display.say(
                f"there is only one run; {self.state.look.keymap.shown('compare')} keeps it beside the next one"
            )

    # the lesson

    def begin_lesson(self, lesson: Lesson | None) -> None:
        """Begin a lesson where the user left it, or at its start if it is done; None leaves the present lesson."""
        look = self.state.look
        if lesson:
            try:
                self.state.look.keymap.check(lesson)
            except UsageError as error:
                self._display.say(error.problem, "error")
                return
            done = self.lessons_done.get(lesson.name, 0)
            self.progress = LessonProgress(lesson, done if done < len(lesson.steps) else 0)
            look.own_view = look.view_to_remember
            look.view = VIEWS[0]
            if self.state.status.paused:  # its steps wait for what training brings
                self.set_paused(False)
            self.back_to_lesson()
        else:
            self.progress = None
            look.view, look.own_view = look.view_to_remember, None
        self._display.show_lesson()

    def back_to_lesson(self) -> None:
        """Restart the run that the lesson's present step begins with."""
        if self.progress:
            self.run(self.progress.beginning)
        else:
            self._display.say(f"no lesson is under way; {self.state.look.keymap.shown('lessons')} lists them")

    def watch_lesson(self) -> None:
        """Show the newest measurements to the lesson, which may advance."""
        progress, state = self.progress, self.state
        if progress is None or state.newest is None or state.header is None or state.begins_run:
            return
        if progress.observe(state.newest, state.newest_first, state.header, state.look.view):
            self.lessons_done[progress.lesson.name] = progress.at
            self._display.lesson_advanced()

    # files

    def record(self) -> None:
        """Start a recording in a new file, or end the present one."""
        if self.recording.recorder:
            self.recording.end()
            return
        try:
            recorder = Recorder(f"{file_name()}.jsonl")
        except UsageError as error:
            self._display.say(error.problem, "error")
        else:
            self.recording.begin(recorder, self.lanes.all)
            self._display.say(f"recording into {recorder.path.absolute()}")
            self._display.refresh_lines()

    def export(self, picture: str) -> None:
        """Write the moment on the screen to two files.

        Args:
            picture: The screen as SVG.
        """
        state = self.state
        if state.frame is None or state.shown is None:
            return
        try:
            path = export_moment(state.shown, in_lane(state.frame, state.status.name), picture)
        except UsageError as error:
            self._display.say(f"nothing was exported: {error.problem}", "error")
        else:
            self._display.say(f"exported {path}.svg and .csv")

    # layers

    def select(self, layer: int) -> None:
        """Choose a layer, in every lane."""
        for lane in self.lanes.all:
            lane.state.selected = min(layer, lane.state.layers - 1)
            lane.state.fit_rows()
        self._display.draw_layers()

    def move_selection(self, step: int) -> None:
        """Choose the layer this many rows above the chosen one."""
        rows = self.state.rows
        present = rows.index(self.state.selected) if self.state.selected in rows else 0
        self.select(rows[min(max(present + step, 0), len(rows) - 1)])

    def find(self, layer: int) -> None:
        """Choose a layer, and unfold the groups that hide it."""
        if self.state.outline:
            self.state.outline.show(layer)
        self.select(layer)

    def find_verdict(self) -> None:
        """Choose the layer that the verdict is about; pressed again, the next one of several."""
        concerned = self.state.concerned
        if not concerned:
            self._display.say("the verdict is about no single layer")
            return
        at = concerned.index(self.state.selected) + 1 if self.state.selected in concerned else 0
        self.find(concerned[at % len(concerned)])

    def fold(self) -> None:
        """Fold or unfold the group of the chosen layer."""
        outline = self.state.outline
        if outline and outline.toggle(self.state.selected):
            self._folded()
        else:
            self._display.say("this layer is not in a group")

    def fold_all(self) -> None:
        """Unfold all groups of layers if any is folded; otherwise fold the outermost ones."""
        if outline := self._folding:
            outline.toggle_all()
            self._folded()

    def fold_around(self) -> None:
        """Fold the group around the chosen layer."""
        if (outline := self._folding) and outline.fold_around(self.state.selected):
            self._folded()

    @property
    def _folding(self) -> Outline | None:
        """The outline of a model with named layers; otherwise None, and the user is told."""
        if self.state.outline is None:
            self._display.say("the layers of this network are numbered, not grouped", "warning")
        return self.state.outline

    def _folded(self) -> None:
        self.state.fit_rows()
        self._display.draw_all()

    # the look

    def next_view(self) -> None:
        """Change to the next view; a lesson may wait for it."""
        look, views = self.state.look, self.state.views
        look.view = views[(views.index(look.view) + 1) % len(views)] if look.view in views else views[1]
        if self.progress and self.progress.step is None:  # the lesson is done
            look.own_view = look.view
        self._look_changed()
        self.watch_lesson()

    def next_quantity(self, step: int) -> None:
        """Change to the next quantity (1) or the previous one (−1) that the frame has; the chosen one stays in turn."""
        look, frame = self.state.look, self.state.frame
        turn = [
            entry for entry in QUANTITIES if entry is look.quantity or frame is None or entry.is_known(frame.layers)
        ]
        look.quantity = turn[(turn.index(look.quantity) + step) % len(turn)]
        self._look_changed()

    def toggle_look(self, name: str) -> None:
        """Switch theory, hints or the redraw rate on or off."""
        setattr(self.state.look, name, not getattr(self.state.look, name))
        self._look_changed()

    def _look_changed(self) -> None:
        self._display.look_changed()
        self._display.draw_all()

    def pin(self) -> None:
        """Keep the run on the screen in the charts."""
        self.state.pin()
        self._display.draw_runs()

    def unpin(self) -> None:
        """Remove all pinned runs from the charts."""
        self.state.pins = []
        self._display.draw_runs()

    # examining the network

    def begin_inspection(self) -> Experiment | None:
        """Prepare to look inside the chosen layer, and forget what was found before.

        Returns:
            The source to ask, or None where it cannot be examined; the user has been told why.
        """
        if experiment := self.experiment:
            self.state.inspected = None
        return experiment

    def inspect_next(self, layer: int) -> None:
        """Choose another layer to look inside, and forget what was found in the last one."""
        self.select(layer)
        self.state.inspected = None

    def try_changes(self) -> bool:
        """Have each change of the run tried on its own, or go on where that was left off.

        Returns:
            Whether that goes on; if not, the user has been told why.
        """
        if (experiment := self.experiment) is None:
            return False
        if reason := self._why_not_tried:
            self._display.say(reason)
            return False
        if self.state.tried:
            experiment.hold_trials(False)
        else:
            experiment.try_changes()
        return True

    def hold_trials(self) -> None:
        """Leave off trying changes, so that the run has all the time."""
        if experiment := self.experiment:
            experiment.hold_trials(True)

    @property
    def _why_not_tried(self) -> str:
        """Why changes of the network on the screen cannot be measured; "" if they can."""
        if not self.state.shows_newest_run:
            return f"what if is available for the present run only; {self.state.look.keymap.shown('present')} shows it"
        if self.state.status.fault:
            return f"the training has stopped; {self.state.look.keymap.shown('restart')} starts it again"
        return ""

    def notes_on_run(self) -> Sequence[str]:
        """What the help says about the run on the screen: its device, data set and seed."""
        header = self.state.header_shown
        if header is None:
            return ()
        device = plain(f"{header.backend.name} on {header.backend.device}, {header.backend.dtype}")
        of_run = f"; data set {plain(own.dataset.name)}, seed {own.training.seed}" if (own := header.own) else ""
        notes = [f"Computing with {device}{of_run}."]
        if header.backend.fallback_reason:
            notes.append(f"No GPU: {plain(header.backend.fallback_reason)}.")
        return notes
