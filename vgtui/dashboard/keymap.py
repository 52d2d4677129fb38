"""Every key of the dashboard, once: the bindings, the footer, the help and the palette all read this table."""

from dataclasses import dataclass

from engine.diagnosis import Cure


@dataclass(frozen=True, slots=True)
class Key:
    """key: in Textual's words; shown: as people read it; action: of the main screen; group: a heading of the help.

    label: for the footer and the palette; help: a sentence; footer: its place there, 0 for none. The footer of a narrow
    terminal is cut at the right.
    """

    key: str
    shown: str
    action: str
    group: str
    label: str
    help: str
    footer: int = 0


KEYS = (
    Key("a", "a", "next_activation(1)", "Change the network", "activation", "The next activation.", footer=3),
    Key("A", "A", "next_activation(-1)", "Change the network", "previous activation", "The previous activation."),
    Key("b", "b", "switch('batch_norm')", "Change the network", "BatchNorm", "BatchNorm on or off.", footer=4),
    Key("s", "s", "switch('skip_connections')", "Change the network", "skip", "Skip connections on or off.", footer=5),
    Key("i", "i", "next_initialization(1)", "Change the network", "init", "The next initialization.", footer=6),
    Key("I", "I", "next_initialization(-1)", "Change the network", "previous init", "The previous initialization."),
    Key("plus,equals_sign", "+", "deepen(1)", "Change the network", "deeper", "More hidden layers.", footer=9),
    Key("minus", "-", "deepen(-1)", "Change the network", "shallower", "Fewer hidden layers.", footer=10),
    Key("o", "o", "next_optimizer", "Change the training", "optimizer", "The next optimizer."),
    Key("d", "d", "next_dataset", "Change the training", "data set", "The next data set."),
    Key("l", "l", "scale_rate(1)", "Change the training", "rate up", "A larger learning rate.", footer=11),
    Key("L", "L", "scale_rate(-1)", "Change the training", "rate down", "A smaller learning rate."),
    Key("space", "space", "pause", "Time", "pause", "Pause or go on.", footer=7),
    Key("full_stop", ".", "step", "Time", "one step", "Train one step, then wait."),
    Key("r", "r", "restart", "Time", "restart", "Restart from the same seed, also after a fault.", footer=8),
    Key("R", "R", "reseed", "Time", "new seed", "Restart from a new seed."),
    Key("up", "↑", "select(1)", "Look", "layer above", "Choose the layer above."),
    Key("down", "↓", "select(-1)", "Look", "layer below", "Choose the layer below."),
    Key("T", "T", "app.next_theme", "Look", "theme", "The next theme."),
    Key("question_mark", "?", "help", "Look", "help", "This page.", footer=2),
    Key("q", "q", "app.exit_cleanly", "Look", "quit", "Quit.", footer=1),
)

CURE_KEYS = {
    "batch_norm": "b",
    "skip_connections": "s",
    "activation": "a",
    "initialization": "i",
}
"""The key that makes the change which a cure names; for the learning rate it depends on the direction."""


def cure_key(cure: Cure, learning_rate: float) -> str:
    """The key for a cure, at the present learning rate."""
    if cure.setting == "learning_rate":
        return "l" if float(cure.value) > learning_rate else "L"
    return CURE_KEYS[cure.setting]
