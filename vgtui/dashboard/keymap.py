"""Every key of the dashboard, once: the bindings, the footer, the help and the palette all read this table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from textual.binding import Binding
from textual.keys import Keys, format_key

from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES
from engine.diagnosis import Cure
from engine.errors import UsageError, unknown_name
from vgtui.lessons.lesson import Lesson
from vgtui.training.settings import RunSettings

Kind = Literal["experiment", "player", "watched"]
"""Of source: one that trains as it is told, a recording, somebody's own model."""
EXPERIMENT: Kind = "experiment"
PLAYER: Kind = "player"
WATCHED: Kind = "watched"


@dataclass(frozen=True, slots=True)
class Key:
    """name: what the settings file calls it; key: in Textual's words; shown: as people read it.

    action: of the main screen; group: a heading of the help; label: for the footer and the palette; help: a sentence;
    footer: its place there, 0 for none. The footer of a narrow terminal is cut at the right. only: the kinds of source
    that it does something with, where that is not every one and the group does not say so.
    """

    name: str
    key: str
    shown: str
    action: str
    group: str
    label: str
    help: str
    footer: int = 0
    only: tuple[Kind, ...] = ()

    def fits(self, *kinds: Kind) -> bool:
        """Whether it does something with a source of one of these kinds."""
        needed = self.only or NEEDS.get(self.group)
        return not needed or not set(kinds).isdisjoint(needed)


NETWORK, TRAINING, TIME, LAYERS, PICTURE, RUNS, PROGRAM = (
    "Change the network",
    "Change the training",
    "Time",
    "Layers",
    "The picture",
    "Compare, keep, learn",
    "The program",
)

NEEDS = {NETWORK: (EXPERIMENT,), TRAINING: (EXPERIMENT,)}
"""The kinds of source that all keys of a group need."""

KEYS = (
    Key("next_activation", "a", "a", "next_activation(1)", NETWORK, "activation", "The next activation.", 3),
    Key("previous_activation", "A", "A", "next_activation(-1)", NETWORK, "previous activation", "The one before."),
    Key("batch_norm", "b", "b", "switch('batch_norm')", NETWORK, "BatchNorm", "BatchNorm on or off.", 4),
    Key("skip", "s", "s", "switch('skip_connections')", NETWORK, "skip", "Skip connections on or off.", 5),
    Key("next_init", "i", "i", "next_initialization(1)", NETWORK, "init", "The next initialization.", 6),
    Key("previous_init", "I", "I", "next_initialization(-1)", NETWORK, "previous init", "The one before."),
    Key("deeper", "plus,equals_sign", "+", "deepen(1)", NETWORK, "deeper", "More hidden layers."),
    Key("shallower", "minus", "-", "deepen(-1)", NETWORK, "shallower", "Fewer hidden layers."),
    Key(
        "keep_weights",
        "m",
        "m",
        "keep_weights",
        NETWORK,
        "keep weights",
        "What a change does: restart from the same seed, or keep the weights that fit.",
    ),
    Key("optimizer", "o", "o", "next_optimizer", TRAINING, "optimizer", "The next optimizer."),
    Key("clip", "k", "k", "next_clip", TRAINING, "clipping", "Clip the gradient's norm: none, 10, 1, 0.1."),
    Key("data_set", "d", "d", "next_dataset", TRAINING, "data set", "The next data set."),
    Key("rate_up", "l", "l", "scale_rate(1)", TRAINING, "rate up", "A larger learning rate."),
    Key("rate_down", "L", "L", "scale_rate(-1)", TRAINING, "rate down", "A smaller learning rate."),
    Key("settings", "comma", ",", "settings", TRAINING, "settings", "Every setting in one form.", 12),
    Key(
        "pause",
        "space",
        "space",
        "pause",
        TIME,
        "pause",
        "Pause or resume: training from the present, a recording from the moment shown.",
        9,
    ),
    Key("step", "full_stop", ".", "step", TIME, "one step", "Train one step, then wait."),
    Key(
        "restart",
        "r",
        "r",
        "restart",
        TIME,
        "restart",
        "Restart from the same seed, also after a fault; a recording plays again.",
        0,
        (EXPERIMENT, PLAYER),
    ),
    Key(
        "use_numpy",
        "u",
        "u",
        "use_numpy",
        TIME,
        "NumPy",
        "Restart with NumPy, on the CPU, when the GPU fails.",
        0,
        (EXPERIMENT,),
    ),
    Key("new_seed", "R", "R", "reseed", TIME, "new seed", "Restart from a new seed.", 0, (EXPERIMENT,)),
    Key("back", "left", "←", "travel(-1)", TIME, "back", "While paused: back in time; in the last frames one by one."),
    Key("forth", "right", "→", "travel(1)", TIME, "forth", "While paused: forth in time; a recording plays a frame."),
    Key("far_back", "shift+left", "shift ←", "travel(-0.05)", TIME, "far back", "A twentieth of the time back."),
    Key("far_forth", "shift+right", "shift →", "travel(0.05)", TIME, "far forth", "A twentieth of the time forth."),
    Key("start", "home", "home", "travel_to(0)", TIME, "start", "While paused: to the first frame."),
    Key("present", "end", "end", "travel_to(1)", TIME, "present", "To the newest frame; a recording: to its end."),
    Key(
        "slower", "less_than_sign", "<", "change_speed(-1)", TIME, "slower", "A recording: half as fast.", 5, (PLAYER,)
    ),
    Key(
        "faster",
        "greater_than_sign",
        ">",
        "change_speed(1)",
        TIME,
        "faster",
        "A recording: twice as fast.",
        6,
        (PLAYER,),
    ),
    Key("layer_up", "up", "↑", "select(1)", LAYERS, "layer above", "Choose the layer above."),
    Key("layer_down", "down", "↓", "select(-1)", LAYERS, "layer below", "Choose the layer below."),
    Key("page_up", "pageup", "page up", "select(10)", LAYERS, "ten layers up", "Ten layers further up."),
    Key("page_down", "pagedown", "page down", "select(-10)", LAYERS, "ten layers down", "Ten layers further down."),
    Key(
        "look_inside",
        "enter",
        "enter",
        "look_inside",
        LAYERS,
        "look inside",
        "Histograms of the chosen layer; of a model with names, fold or unfold its group.",
    ),
    Key("find", "slash", "/", "find", LAYERS, "find", "A layer by a part of its name.", 13, (WATCHED,)),
    Key("fold_all", "z", "z", "fold_all", LAYERS, "fold", "Fold all groups of layers, or unfold them.", 14, (WATCHED,)),
    Key("fold_around", "Z", "Z", "fold_around", LAYERS, "fold around", "Fold the group around.", 0, (WATCHED,)),
    Key(
        "what_if", "w", "w", "what_if", LAYERS, "what if", "Measure every single change, best first.", 7, (EXPERIMENT,)
    ),
    Key("view", "v", "v", "next_view", PICTURE, "view", "Sparklines, heat map, chain rule.", 8),
    Key("next_quantity", "n", "n", "next_quantity(1)", PICTURE, "norm", "Gradient, error signal, activations, update."),
    Key("previous_quantity", "N", "N", "next_quantity(-1)", PICTURE, "previous norm", "The one before."),
    Key("theory", "t", "t", "toggle_look('theory')", PICTURE, "theory", "Mean-field theory beside the measurement."),
    Key("pin", "p", "p", "pin", PICTURE, "pin", "Keep this run in the charts; three at most."),
    Key("unpin", "P", "P", "unpin", PICTURE, "unpin", "Take the pinned runs away."),
    Key("hints", "h", "h", "toggle_look('hints')", PICTURE, "hints", "The sentences under the charts on or off."),
    Key("picture_rate", "f", "f", "toggle_look('rate')", PICTURE, "pictures a second", "Show them, or not."),
    Key(
        "compare",
        "c",
        "c",
        "compare",
        RUNS,
        "compare",
        "This run beside the next, in step; again ends it.",
        10,
        (EXPERIMENT,),
    ),
    Key(
        "lane",
        "tab",
        "tab",
        "next_lane",
        RUNS,
        "other lane",
        "Of two that are compared, keys act on the other.",
    ),
    Key("lessons", "g", "g", "lessons", RUNS, "lessons", "Guided lessons.", 11, (EXPERIMENT,)),
    Key(
        "back_to_lesson", "G", "G", "back_to_lesson", RUNS, "lesson's run", "The lesson's run again.", 0, (EXPERIMENT,)
    ),
    Key("record", "x", "x", "record", RUNS, "record", "Begin or end a recording."),
    Key("export", "e", "e", "export", RUNS, "export", "This moment as a picture, .svg, and a table, .csv."),
    Key("theme", "T", "T", "app.next_theme", PROGRAM, "theme", "The next theme."),
    Key("help", "question_mark", "?", "help", PROGRAM, "help", "This page.", 2),
    Key("palette", "ctrl+p", "ctrl+p", "app.command_palette", PROGRAM, "palette", "Every command by its name."),
    Key("quit", "q", "q", "app.exit_cleanly", PROGRAM, "quit", "Quit.", 1),
)

SWITCH_KEYS = {"batch_norm": "batch_norm", "skip_connections": "skip"}
"""The key of a setting that is on or off."""
_CYCLES = {
    "activation": (ACTIVATION_NAMES, "next_activation", "previous_activation"),
    "initialization": (INITIALIZATION_NAMES, "next_init", "previous_init"),
}
"""The names of a setting in their order, and the keys that go forward and back."""


class Keymap:
    """The table, with the keys that the user chose instead.

    chosen: key by name, as in the settings file: a character, or a name such as f5, ctrl+n, space. Raises UsageError.
    """

    def __init__(self, chosen: Mapping[str, str] | None = None) -> None:
        self.changed: dict[str, str] = {}
        names = {key.name: key for key in KEYS}
        for name, wanted in (chosen or {}).items():
            if name not in names:
                raise unknown_name(f"keys.{name}", "action", name, names)
            self.changed[name] = _textual_key(name, wanted)
        self.keys = tuple(
            replace(key, key=self.changed[key.name], shown=format_key(self.changed[key.name]))
            if key.name in self.changed
            else key
            for key in KEYS
        )
        self._refuse_shared_keys()

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def shown(self, name: str) -> str:
        """How the key of an action is written on the screen."""
        return next(key.shown for key in self.keys if key.name == name)

    def check(self, lesson: Lesson) -> None:
        """Raises UsageError where a lesson presses what there is not."""
        names = [key.name for key in self.keys]
        for number, step in enumerate(lesson.steps, start=1):
            for name in step.press:
                if name not in names:
                    raise unknown_name("lesson", f"{lesson.name}, step {number}: action", name, names)

    def cure_keys(self, cure: Cure, settings: RunSettings) -> str:
        """What to press for a cure, at the present settings: a key, or how often it must be pressed."""
        assert cure.setting and cure.value is not None
        if cure.setting == "learning_rate":
            larger = float(cure.value) > settings.training.learning_rate
            return self.shown("rate_up" if larger else "rate_down")
        if cure.setting not in _CYCLES:
            return self.shown(SWITCH_KEYS[cure.setting])
        names, forward, back = _CYCLES[cure.setting]
        distance = names.index(str(cure.value)) - names.index(getattr(settings.network, cure.setting))
        ways = ((distance % len(names), forward), (-distance % len(names), back))
        presses, name = min(ways)
        return self.shown(name) if presses < 2 else f"{presses}× {self.shown(name)}"

    def _refuse_shared_keys(self) -> None:
        taken: dict[str, Key] = {}
        for key in self.keys:
            for one in key.key.split(","):
                if one in taken:
                    new, old = (key, taken[one]) if key.name in self.changed else (taken[one], key)
                    raise UsageError(
                        f"keys.{new.name}", f'"{new.shown}" is the key of {old.name} too; give one of them another'
                    )
                taken[one] = key


def _textual_key(name: str, wanted: object) -> str:
    """A key in Textual's words, of a character or a name. Raises UsageError."""
    if isinstance(wanted, str) and wanted not in ("", ","):
        *modifiers, last = wanted.split("+") if len(wanted) > 1 else [wanted]
        known = last in _NAMED_KEYS or (len(last) == 1 and last.isprintable())
        if known and all(modifier in ("ctrl", "alt", "shift") for modifier in modifiers):
            (binding,) = Binding.make_bindings([Binding(wanted, "none")])
            return binding.key
    raise UsageError(
        f"keys.{name}", f"{wanted!r} is no key; it takes one character, or a name such as f5, ctrl+n, enter or comma"
    )


_NAMED_KEYS = {key.value for key in Keys} | {"comma", "space"}
