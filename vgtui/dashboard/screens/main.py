"""The main screen: what its keys do to the lanes that it shows, and what lies over it."""

from dataclasses import replace
from typing import Any

from textual.binding import Binding

from engine.config import ACTIVATION_NAMES, DATASET_NAMES, INITIALIZATION_NAMES, OPTIMIZER_NAMES
from engine.errors import UsageError
from vgtui.crash import keep_traceback
from vgtui.dashboard.export import export_moment, file_name
from vgtui.dashboard.keymap import KEYS, PLAYER, WATCHED
from vgtui.dashboard.lanes import Lane
from vgtui.dashboard.messages import LayerChosen, LayerOpened, LayersScrolled, LookChanged, SettingChosen
from vgtui.dashboard.outline import Outline
from vgtui.dashboard.screens.help import HelpScreen
from vgtui.dashboard.screens.layer import LayerScreen
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.screens.settings import SettingsScreen
from vgtui.dashboard.screens.showing import ShowingScreen
from vgtui.dashboard.screens.what_if import WhatIfScreen
from vgtui.dashboard.state import VIEWS
from vgtui.dashboard.steps import CLIPS, DEPTHS, LEARNING_RATES, neighbour, rung
from vgtui.lessons.course import Course
from vgtui.lessons.lesson import Lesson, load_lessons
from vgtui.options import settings_from
from vgtui.presets import Preset
from vgtui.recordings.frames import in_lane
from vgtui.recordings.writer import Recorder
from vgtui.text import plain
from vgtui.training.quantities import QUANTITIES
from vgtui.training.settings import RunSettings
from vgtui.training.source import Experiment, FrameSource, Player

PRESET_SECONDS = 20.0
"""For reading what a preset says of itself."""
NOT_HERE = "this source cannot be changed: it is a recording, or a model that its own program trains"


class MainScreen(ShowingScreen):
    """Every key of the keymap is an action of it, or of the app."""

    BINDINGS = [Binding(key.key, key.action, key.label, show=False, id=key.name) for key in KEYS]

    @property
    def _experiment(self) -> Experiment | None:
        """The source, where it trains as it is told; where it does not, the user is told that."""
        if isinstance(self._source, Experiment):
            return self._source
        self.notify(NOT_HERE, severity="warning")
        return None

    # changes

    def _change(
        self, network: dict[str, Any] | None = None, training: dict[str, Any] | None = None, dataset: str | None = None
    ) -> None:
        """Restart with these fields changed."""
        wanted = self.state.wanted
        try:
            changed = replace(
                wanted,
                network=replace(wanted.network, **network or {}),
                training=replace(wanted.training, **training or {}),
                dataset=dataset or wanted.dataset,
            )
        except UsageError as error:
            self.notify(plain(str(error)), severity="error", markup=False)
            return
        self._go_on(changed)

    def _go_on(self, changed: RunSettings) -> None:
        """Restart with these settings, or where the user wants that and no lesson counts on it, keep the weights."""
        self._run(changed, self.state.look.keeps)

    def _run(self, changed: RunSettings, keep: bool = False) -> None:
        """Restart with these settings; the screen shows them at once, marked until their first frame.

        keep: go on with the weights instead.
        """
        if (experiment := self._experiment) is None:
            return
        if not self.state.shows_newest_run:
            self.notify("changes apply to the present run, which is on the screen again", markup=False)
        self._show_present()
        self.state.want(changed)
        if self._paused_by_fault:
            self._paused_by_fault = False
            self._set_paused(False)
        experiment.restart(changed, keep)
        self.lanes.restarted(self.lanes.chosen)
        self._hurry.set()
        self._refresh_lines()

    def action_next_activation(self, step: int) -> None:
        self._change({"activation": neighbour(ACTIVATION_NAMES, self.state.wanted.network.activation, step)})

    def action_next_initialization(self, step: int) -> None:
        self._change(
            {"initialization": neighbour(INITIALIZATION_NAMES, self.state.wanted.network.initialization, step)}
        )

    def action_switch(self, name: str) -> None:
        self._change({name: not getattr(self.state.wanted.network, name)})

    def action_keep_weights(self) -> None:
        """What a change does from now on."""
        if self._lesson.course:
            self.notify("a lesson's changes restart, as it measures initializations", title="Changes")
        elif self._experiment:
            self.state.look.keep = not self.state.look.keep
            does = "keeps the weights that fit, and goes on" if self.state.look.keep else "restarts from the same seed"
            self.notify(f"a change {does}", title="Changes")
            self._refresh_lines()

    def action_deepen(self, step: int) -> None:
        depth = self.state.wanted.network.hidden_layers
        self._change({"hidden_layers": rung(DEPTHS, depth, step)})

    def action_scale_rate(self, step: int) -> None:
        rate = self.state.wanted.training.learning_rate
        self._change(training={"learning_rate": rung(LEARNING_RATES, rate, step)})

    def action_next_optimizer(self) -> None:
        self._change(training={"optimizer": neighbour(OPTIMIZER_NAMES, self.state.wanted.training.optimizer, 1)})

    def action_next_clip(self) -> None:
        present = self.state.wanted.training.gradient_clip
        place = CLIPS.index(present) if present in CLIPS else -1
        self._change(training={"gradient_clip": CLIPS[(place + 1) % len(CLIPS)]})

    def action_next_dataset(self) -> None:
        present = self.state.wanted.dataset
        names = DATASET_NAMES if present in DATASET_NAMES else (*DATASET_NAMES, present)
        self._change(dataset=neighbour(names, present, 1))

    def action_restart(self) -> None:
        """Begin the run again, or a recording."""
        player = self.lanes.chosen.player
        if player is None:
            self._run(self.state.wanted)
        elif not player.seekable:
            self.notify("a stream cannot be played again", severity="warning")
        elif self.state.history.length:
            self._play_from(player, 0)
            self._set_paused(False)

    def action_use_numpy(self) -> None:
        """Restart on the CPU."""
        if self.state.on_gpu:
            self._run(replace(self.state.wanted, backend="numpy"))
        elif self._experiment:
            self.notify("NumPy computes already", markup=False)

    def action_reseed(self) -> None:
        wanted = self.state.wanted
        self._run(replace(wanted, training=replace(wanted.training, seed=wanted.training.seed + 1)))

    # time

    def action_pause(self) -> None:
        self._paused_by_fault = False
        if self.state.paused and self.state.moment is not None:
            self._leave_the_past(self.state.moment)
        self._set_paused(not self.state.paused)

    def _leave_the_past(self, moment: int) -> None:
        """Go on from a moment where that can be: a recording plays from there, all else goes on from the present.

        A recording with two lanes plays from its start alone: elsewhere each lane would need its own moment.
        """
        player = self.lanes.chosen.player
        if player and player.seekable and (moment == 0 or not player.has_lanes):
            self._play_from(player, moment)
            return
        self._show_present()
        self.notify("resumed from the present: the past can be looked at, not continued", markup=False)

    def _play_from(self, player: Player, point: int) -> None:
        if not point and self.lanes.comparing:
            self.lanes.begin_again()
            self._show_lanes()
        lane = self.lanes.chosen
        player.play_from(lane.state.rewind(point))
        if point:
            assert lane.state.header
            self.recording.take(lane, lane.state.header)
            self._draw_all()
        self._say_pace(lane)

    def _show_present(self) -> None:
        if self.state.moment is not None:
            self._go_to(self.state.history.length)

    def action_step(self) -> None:
        if self.lanes.chosen.player and self.state.moment is not None:
            self.action_travel(1)
            return
        self._show_present()
        self.lanes.step_once()
        self._hurry.set()
        self._refresh_lines()

    def action_travel(self, step: float) -> None:
        """Back or forth: by points of the history, or by a share of them; beyond the present a recording goes on."""
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

    def action_travel_to(self, end: int) -> None:
        """To the first frame, or to the newest; from there a recording is read to its end."""
        player = self.lanes.chosen.player
        if end and self.state.moment is None and player:
            player.skip(1.0)
        elif self._may_travel():
            self._go_to(self.state.history.length if end else 0)

    def _may_travel(self) -> bool:
        if not self.state.paused:
            key = self.state.keymap.shown("pause")
            self.notify(f"{key} pauses; then the arrows go back and forth in time", markup=False)
        return self.state.paused and self.state.history.length > 0

    def _go_to(self, point: int) -> None:
        self.lanes.go_to(point)
        self._draw_all()

    def action_change_speed(self, step: int) -> None:
        if player := self.lanes.chosen.player:
            player.change_speed(step)
            self._say_pace(self.lanes.chosen)
        else:
            self.notify("only a recording has a speed of its own", severity="warning")

    # two runs

    def action_compare(self) -> None:
        """Keep the present run beside the next one; or go on with the chosen one alone."""
        if experiment := self._experiment:
            self._show_present()
            if self.lanes.comparing:
                self._end_comparison()
                return
            lane = self.lanes.compare(experiment)
            self._show_lanes()
            self._follow(lane)

    def _end_comparison(self) -> None:
        left = self.lanes.end_comparison()
        self.run_worker(self._close(left))
        self._hurry.set()
        self._show_lanes()

    async def _close(self, lane: Lane) -> None:
        """End a lane's source; the other lane goes on whatever becomes of it."""
        try:
            await lane.source.close()
        except Exception as error:
            self._say(f"the run that was left did not end properly: {error}; {keep_traceback(error)}", "error")

    def action_next_lane(self) -> None:
        if self.lanes.comparing:
            self.lanes.choose(next(lane for lane in self.lanes.all if lane is not self.lanes.chosen))
            self._show_lanes()
        elif self.state.follows:
            self.notify("there is one run here", markup=False)
        else:
            key = self.state.keymap.shown("compare")
            self.notify(f"there is one run; {key} keeps it beside the next one", markup=False)

    def begin_preset(self, preset: Preset) -> None:
        """Run a configuration from a paper, and say what to see in it."""
        wanted = self.state.wanted
        kept = {"backend": wanted.backend, "threads": wanted.threads}
        self._run(settings_from({**preset.settings, **kept}))
        self.notify(f"{preset.reference}. See {preset.see}.", title=preset.title, timeout=PRESET_SECONDS, markup=False)

    # the lesson

    def action_lessons(self) -> None:
        if self._experiment:
            from vgtui.dashboard.screens.lessons import LessonsScreen  # 16 ms that the first paint need not wait for

            lessons, warnings = load_lessons()
            present = self._lesson.course.lesson.name if self._lesson.course else None
            self._open(
                LessonsScreen(
                    self.state, self._palette, lessons, warnings, self.lessons_done, present, self.begin_lesson
                )
            )

    def begin_lesson(self, lesson: Lesson | None) -> None:
        """Begin a lesson where it was left, or again when it was done; None leaves the present one."""
        look = self.state.look
        if lesson:
            try:
                self.state.keymap.check(lesson)
            except UsageError as error:
                self.notify(plain(error.problem), severity="error", markup=False)
                return
            done = self.lessons_done.get(lesson.name, 0)
            self._lesson.course = Course(lesson, done if done < len(lesson.steps) else 0)
            look.own_view = look.view_to_remember
            look.view = VIEWS[0]
            if self.state.paused:  # what its steps wait for comes by training
                self._paused_by_fault = False
                self._set_paused(False)
            self.action_back_to_lesson()
        else:
            self._lesson.course = None
            look.view, look.own_view = look.view_to_remember, None
        self.set_class(lesson is not None, "-lesson")
        self._lesson.show()
        self.call_after_refresh(self._draw_all)

    def action_back_to_lesson(self) -> None:
        """The run with which the lesson's present step begins."""
        if self._lesson.course:
            self._run(self._lesson.course.beginning)
        else:
            self.notify(f"there is no lesson; {self.state.keymap.shown('lessons')} lists them", markup=False)

    # the recording

    def action_record(self) -> None:
        """Begin a recording, in a file of its own, or end it."""
        if self.recording.recorder:
            self.recording.end()
            return
        try:
            recorder = Recorder(f"{file_name()}.jsonl")
        except UsageError as error:
            self._say(error.problem, "error")
        else:
            self.recording.begin(recorder, self.lanes.all)
            self._say(f"recording into {recorder.path.absolute()}", "information")

    def action_export(self) -> None:
        """Write the moment on the screen into files."""
        state = self.state
        if state.frame is None or state.shown is None:
            return
        try:
            path = export_moment(
                state.shown, in_lane(state.frame, state.name), self.app.export_screenshot(title="vgtui")
            )
        except UsageError as error:
            self._say(f"nothing was exported: {error.problem}", "error")
        else:
            self._say(f"exported {path}.svg and .csv", "information")

    # looking

    def action_select(self, step: int) -> None:
        rows = self.state.rows
        present = rows.index(self.state.selected) if self.state.selected in rows else 0
        self._select(rows[min(max(present + step, 0), len(rows) - 1)])

    def action_find(self) -> None:
        from vgtui.dashboard.screens.search import SearchScreen  # a form, which the first paint need not wait for

        self._open(SearchScreen(self.state, self._palette, self._show_layer))

    def _show_layer(self, layer: int) -> None:
        """Choose a layer, whatever group it is folded into."""
        if self.state.outline:
            self.state.outline.show(layer)
        self._select(layer)

    def action_fold_all(self) -> None:
        if outline := self._folding:
            outline.toggle_all()
            self._folded()

    def action_fold_around(self) -> None:
        if (outline := self._folding) and outline.fold_around(self.state.selected):
            self._folded()

    def _fold(self, outline: Outline) -> None:
        """Fold or unfold the group of the chosen layer."""
        if outline.toggle(self.state.selected):
            self._folded()
        else:
            self.notify("this layer is in no group of its own", markup=False)

    @property
    def _folding(self) -> Outline | None:
        """The outline of a model with names; where there is none, the user is told that."""
        if self.state.outline is None:
            self.notify("this network has numbered layers, and no groups of them", severity="warning")
        return self.state.outline

    def _folded(self) -> None:
        self.state.fit_rows()
        self._draw_all()

    def on_layer_chosen(self, message: LayerChosen) -> None:
        self._select(message.layer)

    def on_layers_scrolled(self, message: LayersScrolled) -> None:
        self.action_select(message.step)

    def on_layer_opened(self, message: LayerOpened) -> None:
        self._select(message.layer)
        self.action_look_inside()

    def on_setting_chosen(self, message: SettingChosen) -> None:
        self.action_settings(message.name)

    def _select(self, layer: int) -> None:
        for lane in self.lanes.all:
            lane.state.selected = min(layer, lane.state.layers - 1)
        self.state.fit_rows()
        for panel in self._shown_panels:
            panel.redraw()
        self._verdict.redraw()

    def action_next_view(self) -> None:
        look, views = self.state.look, self.state.views
        look.view = views[(views.index(look.view) + 1) % len(views)] if look.view in views else views[1]
        if self._lesson.course and self._lesson.course.step is None:  # nothing is asked for any more
            look.own_view = look.view
        self._look_changed()
        self._watch_lesson()

    def action_next_quantity(self, step: int) -> None:
        look = self.state.look
        look.quantity = QUANTITIES[(QUANTITIES.index(look.quantity) + step) % len(QUANTITIES)]
        self._look_changed()

    def action_toggle_look(self, name: str) -> None:
        """Switch theory, hints or the rate of pictures on or off."""
        setattr(self.state.look, name, not getattr(self.state.look, name))
        self._look_changed()

    def _look_changed(self) -> None:
        self.app.post_message(LookChanged())
        self._draw_all()

    def action_pin(self) -> None:
        self.state.pin()
        self._draw_numbers()
        self._draw_stale_charts(at_once=True)

    def action_unpin(self) -> None:
        self.state.pins = []
        self._draw_numbers()
        self._draw_stale_charts(at_once=True)

    # what lies over the screen

    def _open(self, overlay: Overlay) -> None:
        """Put this over the screen, in place of what is there; while that is only being made, it stays."""
        present = self.app.screen
        if isinstance(present, Overlay):
            if not present.is_mounted:
                return
            present.action_close()
        self.app.push_screen(overlay)

    def action_look_inside(self) -> None:
        if self.state.outline:
            self._fold(self.state.outline)
        elif experiment := self._experiment:
            self.state.inspected = None
            self._open(LayerScreen(self.state, self._palette, self._select, experiment.inspect))

    def action_what_if(self) -> None:
        if experiment := self._experiment:
            if reason := self._why_not_tried:
                self.notify(reason, markup=False)
                return
            self.state.tried = []
            experiment.try_changes()
            self._open(WhatIfScreen(self.state, self._palette, lambda name, value: self._change({name: value})))

    @property
    def _why_not_tried(self) -> str:
        """Why changes of the network on the screen cannot be measured; "" where they can, in its past too."""
        if not self.state.shows_newest_run:
            return f"what if is available for the present run only; {self.state.keymap.shown('present')} shows it"
        if self.state.fault:
            return f"the training has stopped; {self.state.keymap.shown('restart')} starts it again"
        return ""

    def action_settings(self, focused: str | None = None) -> None:
        if self._experiment:
            if not self.state.shows_newest_run:
                self.notify("these are the settings of the present run", markup=False)
            self._open(SettingsScreen(self.state, self._palette, self._go_on, focused))

    def action_help(self) -> None:
        header = self.state.header_shown
        notes = []
        if header:
            device = plain(f"{header.backend.name} on {header.backend.device}, {header.backend.dtype}")
            of_run = f"; data set {plain(own.dataset.name)}, seed {own.training.seed}" if (own := header.own) else ""
            notes.append(f"Computing with {device}{of_run}.")
            if header.backend.fallback_reason:
                notes.append(f"No GPU: {plain(header.backend.fallback_reason)}.")
        self._open(HelpScreen(self.state, self._palette, self.kinds, notes))


class PlayingScreen(MainScreen):
    """The same for a recording, which cannot be changed; the last line has the keys of its pace instead."""

    kind = PLAYER


class WatchingScreen(MainScreen):
    """The same for somebody's own model, which is trained elsewhere."""

    kind = WATCHED


def screen_for(source: FrameSource) -> type[MainScreen]:
    """The screen whose keys fit what a source can do."""
    if isinstance(source, Experiment):
        return MainScreen
    return PlayingScreen if isinstance(source, Player) else WatchingScreen
