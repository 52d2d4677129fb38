"""The table of all keys. The bindings, the footer, the help and the command palette all read it."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

from textual.binding import Binding
from textual.keys import Keys, format_key

from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES
from engine.errors import UsageError, unknown_name
from engine.verdict import Change, Cure
from vgtui.dashboard.steps import rate_presses
from vgtui.lessons.lesson import Lesson
from vgtui.wire.run_settings import RunSettings

Kind = Literal["experiment", "player", "watched", "command"]
"""What a source is: a run that can be changed, a recording, a watched model, or a command that was started here."""
EXPERIMENT: Kind = "experiment"
PLAYER: Kind = "player"
WATCHED: Kind = "watched"
COMMAND: Kind = "command"


@dataclass(frozen=True, slots=True)
class Key:
    """A key and what it does.

    Attributes:
        name: What the settings file calls it.
        key: Textual's name for it, or several separated by commas.
        shown: How it is written on the screen; the same as `key` by default.
        action: An action of the main screen, or of the app.
        group: A heading of the help.
        label: For the footer and the command palette.
        help: A sentence.
        footer: The position in the footer, 0 for none. A narrow terminal shows only the first ones.
        only: The kinds of source it works with; empty for those that its group needs (`NEEDS`), or all.
    """

    name: str
    _: KW_ONLY
    key: str
    shown: str = ""
    action: str
    group: str
    label: str
    help: str
    footer: int = 0
    only: tuple[Kind, ...] = ()

    def __post_init__(self) -> None:
        if not self.shown:
            object.__setattr__(self, "shown", self.key)

    def fits(self, *kinds: Kind) -> bool:
        """Whether it works with a source of any of these kinds."""
        needed = self.only or NEEDS.get(self.group)
        return not needed or not set(kinds).isdisjoint(needed)


NETWORK, TRAINING, TIME, LAYERS, DISPLAY, RUNS, PROGRAM = (
    "Change the network",
    "Change the training",
    "Time",
    "Layers",
    "Display",
    "Compare, keep, learn",
    "Program",
)

NEEDS = {NETWORK: (EXPERIMENT,), TRAINING: (EXPERIMENT,)}
"""The kinds of source that all keys of a group need."""

KEYS = (
    Key(
        "next_activation",
        key="a",
        action="next_activation(1)",
        group=NETWORK,
        label="activation",
        help="The next activation.",
        footer=3,
    ),
    Key(
        "previous_activation",
        key="A",
        action="next_activation(-1)",
        group=NETWORK,
        label="previous activation",
        help="The previous activation.",
    ),
    Key(
        "batch_norm",
        key="b",
        action="switch('batch_norm')",
        group=NETWORK,
        label="BatchNorm",
        help="BatchNorm on or off.",
        footer=4,
    ),
    Key(
        "skip",
        key="s",
        action="switch('skip_connections')",
        group=NETWORK,
        label="skip",
        help="Skip connections on or off.",
        footer=5,
    ),
    Key(
        "next_init",
        key="i",
        action="next_initialization(1)",
        group=NETWORK,
        label="init",
        help="The next initialization.",
        footer=6,
    ),
    Key(
        "previous_init",
        key="I",
        action="next_initialization(-1)",
        group=NETWORK,
        label="previous init",
        help="The previous initialization.",
    ),
    Key(
        "deeper",
        key="plus,equals_sign",
        shown="+",
        action="deepen(1)",
        group=NETWORK,
        label="deeper",
        help="More hidden layers.",
    ),
    Key(
        "shallower",
        key="minus",
        shown="-",
        action="deepen(-1)",
        group=NETWORK,
        label="shallower",
        help="Fewer hidden layers.",
    ),
    Key(
        "keep_weights",
        key="m",
        action="keep_weights",
        group=NETWORK,
        label="keep weights",
        help="What a change does: restart from the same seed, or keep the weights that fit.",
    ),
    Key("optimizer", key="o", action="next_optimizer", group=TRAINING, label="optimizer", help="The next optimizer."),
    Key(
        "clip",
        key="k",
        action="next_clip",
        group=TRAINING,
        label="clipping",
        help="Clip the gradient norm: off, 10, 1, 0.1.",
    ),
    Key("data_set", key="d", action="next_dataset", group=TRAINING, label="data set", help="The next data set."),
    Key("rate_up", key="l", action="scale_rate(1)", group=TRAINING, label="rate up", help="A larger learning rate."),
    Key(
        "rate_down",
        key="L",
        action="scale_rate(-1)",
        group=TRAINING,
        label="rate down",
        help="A smaller learning rate.",
    ),
    Key(
        "settings",
        key="comma",
        shown=",",
        action="settings",
        group=TRAINING,
        label="settings",
        help="All settings in one form.",
        footer=12,
    ),
    Key(
        "pause",
        key="space",
        action="pause",
        group=TIME,
        label="pause",
        help="Pause or resume: training from the present, a recording from the moment shown.",
        footer=9,
    ),
    Key(
        "step",
        key="full_stop",
        shown=".",
        action="step",
        group=TIME,
        label="one step",
        help="Train one step, then wait.",
    ),
    Key(
        "restart",
        key="r",
        action="restart",
        group=TIME,
        label="restart",
        help="Restart from the same seed, also after a fault; play a recording again.",
        only=(EXPERIMENT, PLAYER),
    ),
    Key(
        "use_numpy",
        key="u",
        action="use_numpy",
        group=TIME,
        label="NumPy",
        help="Restart with NumPy on the CPU when the GPU fails.",
        only=(EXPERIMENT,),
    ),
    Key(
        "new_seed",
        key="R",
        action="reseed",
        group=TIME,
        label="new seed",
        help="Restart from a new seed.",
        only=(EXPERIMENT,),
    ),
    Key(
        "back",
        key="left",
        shown="←",
        action="travel(-1)",
        group=TIME,
        label="back",
        help="While paused: back in time; one by one in the last frames.",
    ),
    Key(
        "forth",
        key="right",
        shown="→",
        action="travel(1)",
        group=TIME,
        label="forward",
        help="While paused: forward in time; a recording plays one frame.",
    ),
    Key(
        "far_back",
        key="shift+left",
        shown="shift ←",
        action="travel(-0.05)",
        group=TIME,
        label="far back",
        help="Back by a twentieth of the time.",
    ),
    Key(
        "far_forth",
        key="shift+right",
        shown="shift →",
        action="travel(0.05)",
        group=TIME,
        label="far forward",
        help="Forward by a twentieth of the time.",
    ),
    Key(
        "start", key="home", action="travel_to(0)", group=TIME, label="start", help="While paused: to the first frame."
    ),
    Key(
        "present",
        key="end",
        action="travel_to(1)",
        group=TIME,
        label="present",
        help="To the newest frame, or to the end of a recording.",
    ),
    Key(
        "slower",
        key="less_than_sign",
        shown="<",
        action="change_speed(-1)",
        group=TIME,
        label="slower",
        help="Play a recording half as fast.",
        footer=5,
        only=(PLAYER,),
    ),
    Key(
        "faster",
        key="greater_than_sign",
        shown=">",
        action="change_speed(1)",
        group=TIME,
        label="faster",
        help="Play a recording twice as fast.",
        footer=6,
        only=(PLAYER,),
    ),
    Key(
        "layer_up",
        key="up",
        shown="↑",
        action="select(1)",
        group=LAYERS,
        label="layer above",
        help="Choose the layer above.",
    ),
    Key(
        "layer_down",
        key="down",
        shown="↓",
        action="select(-1)",
        group=LAYERS,
        label="layer below",
        help="Choose the layer below.",
    ),
    Key(
        "page_up",
        key="pageup",
        shown="page up",
        action="select(10)",
        group=LAYERS,
        label="ten layers up",
        help="Ten layers further up.",
    ),
    Key(
        "page_down",
        key="pagedown",
        shown="page down",
        action="select(-10)",
        group=LAYERS,
        label="ten layers down",
        help="Ten layers further down.",
    ),
    Key(
        "look_inside",
        key="enter",
        action="look_inside",
        group=LAYERS,
        label="look inside",
        help="Histograms of the chosen layer; in a model with named layers, fold or unfold its group.",
    ),
    Key(
        "find",
        key="slash",
        shown="/",
        action="find",
        group=LAYERS,
        label="find",
        help="Find a layer by part of its name.",
        footer=13,
        only=(WATCHED,),
    ),
    Key(
        "find_verdict",
        key="j",
        action="find_verdict",
        group=LAYERS,
        label="verdict's layer",
        help="Choose the layer that the verdict is about; again, the next one.",
    ),
    Key(
        "fold_all",
        key="z",
        action="fold_all",
        group=LAYERS,
        label="fold",
        help="Fold or unfold all groups of layers.",
        footer=14,
        only=(WATCHED,),
    ),
    Key(
        "fold_around",
        key="Z",
        action="fold_around",
        group=LAYERS,
        label="fold around",
        help="Fold the enclosing group.",
        only=(WATCHED,),
    ),
    Key(
        "what_if",
        key="w",
        action="what_if",
        group=LAYERS,
        label="what if",
        help="Try each change on its own, best first: its gradient, then whether it learns.",
        footer=7,
        only=(EXPERIMENT,),
    ),
    Key(
        "view",
        key="v",
        action="next_view",
        group=DISPLAY,
        label="view",
        help="Sparklines, heat map, chain rule.",
        footer=8,
    ),
    Key(
        "next_quantity",
        key="n",
        action="next_quantity(1)",
        group=DISPLAY,
        label="norm",
        help="Gradient, error signal, activations, update, optimizer, noise.",
    ),
    Key(
        "previous_quantity",
        key="N",
        action="next_quantity(-1)",
        group=DISPLAY,
        label="previous norm",
        help="The previous norm.",
    ),
    Key(
        "theory",
        key="t",
        action="toggle_look('theory')",
        group=DISPLAY,
        label="theory",
        help="Mean-field theory beside the measurement on or off.",
    ),
    Key(
        "output",
        key="O",
        action="output",
        group=DISPLAY,
        label="output",
        help="The output of the command: beside the layers, large, hidden.",
        footer=3,
        only=(COMMAND,),
    ),
    Key(
        "next_model",
        key="M",
        action="next_model",
        group=DISPLAY,
        label="next model",
        help="The next model that the command trains.",
        only=(COMMAND,),
    ),
    Key("pin", key="p", action="pin", group=DISPLAY, label="pin", help="Keep this run in the charts; at most three."),
    Key("unpin", key="P", action="unpin", group=DISPLAY, label="unpin", help="Remove the pinned runs."),
    Key(
        "hints",
        key="h",
        action="toggle_look('hints')",
        group=DISPLAY,
        label="hints",
        help="The hints under the charts on or off.",
    ),
    Key(
        "picture_rate",
        key="f",
        action="toggle_look('rate')",
        group=DISPLAY,
        label="fps",
        help="The number of redraws per second on or off.",
    ),
    Key(
        "compare",
        key="c",
        action="compare",
        group=RUNS,
        label="compare",
        help="Run this one beside the next, in step; press again to end.",
        footer=10,
        only=(EXPERIMENT,),
    ),
    Key(
        "lane",
        key="tab",
        action="next_lane",
        group=RUNS,
        label="other lane",
        help="While two runs are compared, let keys act on the other.",
    ),
    Key(
        "lessons",
        key="g",
        action="lessons",
        group=RUNS,
        label="lessons",
        help="Guided lessons.",
        footer=11,
        only=(EXPERIMENT,),
    ),
    Key(
        "back_to_lesson",
        key="G",
        action="back_to_lesson",
        group=RUNS,
        label="lesson's run",
        help="Back to the lesson's run.",
        only=(EXPERIMENT,),
    ),
    Key("record", key="x", action="record", group=RUNS, label="record", help="Start or end a recording."),
    Key(
        "export",
        key="e",
        action="export",
        group=RUNS,
        label="export",
        help="Export this moment as a picture (.svg) and a table (.csv).",
    ),
    Key("theme", key="T", action="app.next_theme", group=PROGRAM, label="theme", help="The next theme."),
    Key(
        "help", key="question_mark", shown="?", action="help", group=PROGRAM, label="help", help="This page.", footer=2
    ),
    Key(
        "palette",
        key="ctrl+p",
        action="app.command_palette",
        group=PROGRAM,
        label="palette",
        help="Find any command by name.",
    ),
    Key("quit", key="q", action="app.exit_cleanly", group=PROGRAM, label="quit", help="Quit.", footer=1),
)

SWITCH_KEYS = {"batch_norm": "batch_norm", "skip_connections": "skip"}
"""The key of each setting that is on or off."""
_CYCLES = {
    "activation": (ACTIVATION_NAMES, "next_activation", "previous_activation"),
    "initialization": (INITIALIZATION_NAMES, "next_init", "previous_init"),
}
"""The values of a setting in order, and the keys that go forward and back."""


class Keymap:
    """The table of keys, with those that the user changed.

    Args:
        chosen: The user's keys by name, as in the settings file. A key is a character, or a name such as f5, ctrl+n
            or space.

    Raises:
        UsageError: If a name or a key is unknown, or two actions share a key.
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
        """How the key with this name is written on the screen."""
        return next(key.shown for key in self.keys if key.name == name)

    def check(self, lesson: Lesson) -> None:
        """Check that all keys of a lesson exist.

        Raises:
            UsageError: If a step of the lesson has an unknown key.
        """
        names = [key.name for key in self.keys]
        for number, step in enumerate(lesson.steps, start=1):
            for name in step.press:
                if name not in names:
                    raise unknown_name("lesson", f"{lesson.name}, step {number}: action", name, names)

    def cure_keys(self, cure: Cure, settings: RunSettings) -> str:
        """What to press to apply a cure.

        Args:
            cure: A cure with a setting and a value.
            settings: The present settings.

        Returns:
            The key of each change, with how often to press it if that is more than once: "a", "a twice", "b and s".
            Empty if a change has no key.
        """
        assert cure.setting
        keys = [self._change_keys(change, settings) for change in (Change(cure.setting, cure.value), *cure.also)]
        return " and ".join(keys) if all(keys) else ""

    def _change_keys(self, change: Change, settings: RunSettings) -> str:
        if change.setting == "learning_rate":
            wanted = float(str(change.value))
            name, presses = rate_presses(settings.training.learning_rate, wanted)
        elif change.setting in SWITCH_KEYS:
            name, presses = SWITCH_KEYS[change.setting], 1
        elif change.setting in _CYCLES:
            names, forward, back = _CYCLES[change.setting]
            distance = names.index(str(change.value)) - names.index(getattr(settings.network, change.setting))
            presses, name = min((distance % len(names), forward), (-distance % len(names), back))
        else:
            return ""
        return self.shown(name) + {1: "", 2: " twice"}.get(presses, f" {presses} times")

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
    """Textual's name for a key. Raises UsageError unless `wanted` is a character or the name of a key."""
    if isinstance(wanted, str) and wanted not in ("", ","):
        *modifiers, last = wanted.split("+") if len(wanted) > 1 else [wanted]
        known = last in _NAMED_KEYS or (len(last) == 1 and last.isprintable())
        if known and all(modifier in ("ctrl", "alt", "shift") for modifier in modifiers):
            (binding,) = Binding.make_bindings([Binding(wanted, "none")])
            return binding.key
    raise UsageError(
        f"keys.{name}", f"{wanted!r} is not a key; it takes one character, or a name such as f5, ctrl+n, enter or comma"
    )


_NAMED_KEYS = {key.value for key in Keys} | {"comma", "space"}
