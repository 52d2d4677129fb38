"""The first line: the settings of the run on the left, its device and progress on the right."""

from pathlib import Path

from rich.text import Text
from textual import events
from textual.widget import Widget

from vgtui.dashboard.messages import SettingChosen
from vgtui.dashboard.view.state import RunView
from vgtui.model.differences import switch_text
from vgtui.terminal.text import count_text, plain, whole_words
from vgtui.user.themes import Palette
from vgtui.wire.frames import Header, ModelInfo

FULL_WIDTH = 100
"""The width from which every setting fits."""
BETWEEN = " · "
APART = "≠"
"""Marks a setting in which two lanes differ."""
GROUPS = {"hidden_layers": {"hidden_layers", "width"}, "learning_rate": {"learning_rate", "optimizer"}}
"""The fields that share one part of the line, named after one of them."""


class StateLine(Widget):
    """One line. A setting that waits for its first frame is coloured, and followed by an ellipsis.

    Args:
        state: The run.
        palette: The colours.
        id: The id of the widget.
    """

    def __init__(self, state: RunView, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = state
        self.palette = palette
        self._places: dict[str, range] = {}

    def on_click(self, event: events.Click) -> None:
        """Report the setting under the mouse."""
        for name, columns in self._places.items():
            if event.x in columns:
                self.post_message(SettingChosen(name))

    def render(self) -> Text:
        """Draw the settings and the progress; if they do not both fit, the backend is left out first."""
        width = self.size.width
        left, right = self._settings(width), self._progress(with_backend=True)
        if left.cell_len + 2 + right.cell_len > width:
            right = self._progress(with_backend=False)
            left = self._settings(max(width - right.cell_len - 2, 0))
        left.truncate(max(width - right.cell_len - 2, 0), pad=True)
        return Text.assemble(left, "  ", right, no_wrap=True)

    def _settings(self, room: int) -> Text:
        """The settings that fit; those in which two lanes differ are left out last."""
        if self.state.shown and self.state.shown.model:
            return self._model(self.state.shown, self.state.shown.model, room)
        wide = self.size.width >= FULL_WIDTH
        if self.state.awaits_model:
            return Text(whole_words(f"{self._lane_name(wide)}no model is watched yet", room), self.palette.muted)
        parts = self._parts(wide)
        line = Text(self._lane_name(wide), self.palette.accent)
        self._places = {}
        pending, apart = self.state.pending(), {entry.field: entry.before for entry in self.state.differences()}
        # differences between the lanes are always named
        parts |= {name: plain(words) for name, words in apart.items() if name not in parts and name != "width"}
        differing = {name for name in parts if GROUPS.get(name, {name}) & apart.keys()}
        signs = {name: len(differing & {name}) + bool(GROUPS.get(name, {name}) & pending) for name in parts}
        wide_as = {name: len(BETWEEN) + len(words) + signs[name] for name, words in parts.items()}
        needed = line.cell_len + sum(wide_as.values()) - len(BETWEEN)
        for name in sorted(reversed(parts), key=differing.__contains__):
            if needed <= room:
                break
            needed -= wide_as[name]
            del parts[name]
        for place, (name, words) in enumerate(parts.items()):
            if place:
                line.append(BETWEEN, self.palette.muted)
            fields = GROUPS.get(name, {name})
            differs = fields & apart.keys()
            shown = f"{APART}{words}" if differs else words
            self._places[name] = range(line.cell_len, line.cell_len + len(shown))
            if fields & pending:
                line.append(f"{shown}…", self.palette.pending)
            else:
                line.append(shown, self.palette.accent if differs else self.palette.text)
        return line

    def _model(self, header: Header, model: ModelInfo, room: int) -> Text:
        """The name of a watched model and how many layers it has, as far as they fit."""
        lane = self._lane_name(self.size.width >= FULL_WIDTH)
        name, layers = plain(model.name), f"{BETWEEN}{len(header.layers)} layers"
        words = whole_words(name, room - len(lane) - len(layers))
        if words != name and " " not in words:  # the name has no whole word that fits
            words, layers = whole_words(name, room - len(lane)), ""
        return Text(f"{lane}{words}{layers}", self.palette.text)

    def _parts(self, wide: bool) -> dict[str, str]:
        """The settings by field, as words; a narrow line leaves out what is off."""
        run = self.state.on_screen
        network, training = run.network, run.training
        size = f"{network.hidden_layers}×{network.width}"
        parts = {"activation": network.activation, "hidden_layers": size, "initialization": network.initialization}
        if wide or network.batch_norm:
            parts["batch_norm"] = switch_text("BatchNorm", network.batch_norm)
        if wide or network.skip_connections:
            parts["skip_connections"] = switch_text("skip", network.skip_connections)
        parts["learning_rate"] = f"{training.optimizer} {training.learning_rate:g}"
        if training.gradient_clip is not None:
            parts["gradient_clip"] = f"clip {training.gradient_clip:g}"
        if run.dataset != "digits":
            parts["dataset"] = plain(Path(run.dataset).name)
        return parts

    def _lane_name(self, wide: bool) -> str:
        if self.state.other:
            return f"{'▸' if self.state.status.chosen else ' '}{self.state.status.name}  "
        return " vgtui  " if wide else " "

    def _progress(self, with_backend: bool) -> Text:
        state, line = self.state, Text()
        if state.status.recording:
            line.append("● rec   ", self.palette.accent)
        if state.look.keeps and not state.status.follows:
            line.append("weights stay   ", self.palette.accent)
        if (header := state.header_shown) and with_backend:
            device = plain(f"{header.backend.name} {header.backend.dtype}")
            line.append(f"{device}   ", self.palette.muted)
        if state.frame:
            line.append(f"step {count_text(state.frame.step)}   ", self.palette.text)
        if state.look.rate:
            line.append(f"{state.status.redraws_per_second:.0f} fps   ", self.palette.muted)
        line.append(*self._doing())
        return line

    def _doing(self) -> tuple[str, str]:
        """What the run does now, and the colour for it."""
        status, palette = self.state.status, self.palette
        wrong = palette.health["vanished"]
        if self.state.moment is not None:
            return "in the past ", palette.pending
        if status.silent_seconds or status.fault:
            return ("no answer " if status.silent_seconds else "stopped "), wrong
        if status.ended and not status.pace:
            return "ended ", palette.pending
        if status.paused:
            return "paused ", palette.pending
        if status.pace:
            return f"replay {status.pace} ", palette.muted
        if self.state.awaits_model:
            return "", palette.muted
        if self.state.frame:
            rate = float(self.state.frame.steps_per_second)
            return f"{count_text(round(rate)) if not 0 < rate < 10 else f'{rate:.2g}'}/s ", palette.muted
        return "starting ", palette.muted
