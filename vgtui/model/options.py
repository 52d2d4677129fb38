"""Every setting of a run as an option: the command line, the settings form and the keys read this one table.

A second table has the options that are not a run's but the program's, and can have a default of the user's too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from engine.config import (
    ACTIVATION_NAMES,
    BACKEND_NAMES,
    DATASET_NAMES,
    DTYPE_NAMES,
    INITIALIZATION_NAMES,
    OPTIMIZER_NAMES,
    NetworkConfig,
    TrainingConfig,
)
from engine.errors import UsageError
from vgtui.wire.run_settings import RunSettings

NONE = "none"
"""How one writes that there is no limit, or that a rule decides."""

SWITCH_WORDS = {**dict.fromkeys(("on", "true", "yes", "1"), True), **dict.fromkeys(("off", "false", "no", "0"), False)}


@dataclass(frozen=True, slots=True)
class Option:
    """A field of a run's settings. choices are offered; the settings themselves check what they are given.

    Attributes:
        open_ended: Whether paths are accepted beside the choices.
        unset: The word for None, where None is the default.
    """

    flag: str
    field: str
    kind: Literal["whole", "number", "name", "switch"]
    help: str
    choices: Sequence[str] = ()
    open_ended: bool = False
    unset: str = NONE

    @property
    def default(self) -> Any:
        """The value that vgtui itself gives the option."""
        return DEFAULTS[self.field]

    @property
    def name(self) -> str:
        """How the settings file calls it."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """How the environment calls it."""
        return f"VGTUI_{self.name.upper()}"

    def show(self, value: Any) -> str:
        """A value as one would write it, with all its digits: parse takes it back as what it was."""
        return self.unset if value is None else ("off", "on")[value] if self.kind == "switch" else str(value)

    def parse(self, text: str) -> Any:
        """Parse a value of the option's kind; whether it is in range is for the settings to check.

        Raises:
            UsageError: It is not of that kind.
        """
        if self.open_ended:  # a path may begin or end with a space
            return text
        text = text.strip()
        if self.default is None and text.lower() in ("", NONE, self.unset):
            return None
        if self.kind == "switch":
            if text.lower() not in SWITCH_WORDS:
                raise UsageError(self.field, f'"{text}" is neither on nor off')
            return SWITCH_WORDS[text.lower()]
        try:
            return {"whole": int, "number": float, "name": str}[self.kind](text)
        except ValueError:
            raise UsageError(self.field, f'"{text}" is not a {"whole " * (self.kind == "whole")}number') from None


OPTIONS = (
    Option("--hidden-layers", "hidden_layers", "whole", "how many hidden layers"),
    Option("--width", "width", "whole", "units in each hidden layer"),
    Option("--activation", "activation", "name", "activation", ACTIVATION_NAMES),
    Option("--batch-norm", "batch_norm", "switch", "BatchNorm in front of every activation"),
    Option("--skip", "skip_connections", "switch", "skip connections around every hidden layer"),
    Option("--init", "initialization", "name", "initialization", INITIALIZATION_NAMES),
    Option("--weight-variance", "weight_variance", "number", "for --init gaussian: N(0, this / fan-in)"),
    Option("--bias-variance", "bias_variance", "number", "for --init gaussian: biases N(0, this)"),
    Option("--dtype", "dtype", "name", "precision", DTYPE_NAMES),
    Option("--optimizer", "optimizer", "name", "optimizer", OPTIMIZER_NAMES),
    Option("--lr", "learning_rate", "number", "learning rate"),
    Option("--momentum", "momentum", "number", "of the optimizer momentum"),
    Option("--weight-decay", "weight_decay", "number", "added to the gradient as this times the parameter"),
    Option("--clip", "gradient_clip", "number", "largest global norm of the gradient; none: no limit"),
    Option("--batch-size", "batch_size", "whole", "samples a step"),
    Option("--seed", "seed", "whole", "of the split, the weights and the batches"),
    Option("--dataset", "dataset", "name", "data set, or the path of a .csv, .npz or IDX file", DATASET_NAMES, True),
    Option("--backend", "backend", "name", "where to compute; auto takes a GPU where one answers", BACKEND_NAMES),
    Option("--threads", "threads", "whole", "threads of BLAS; none: one for small layers, all cores for large"),
)

PROGRAM_OPTIONS = (
    Option("--theme", "theme", "name", "colours: vgtui list themes; none: those of the last time"),
    Option("--fps", "fps", "number", "most pictures a second"),
    Option("--jobs", "jobs", "whole", "runs at the same time; auto: one for each core", unset="auto"),
    Option("--scheduler", "scheduler", "name", "compute on the Dask cluster of this scheduler, tcp://HOST:8786"),
)
ALL_OPTIONS = (*OPTIONS, *PROGRAM_OPTIONS)

_FLAGS = {option.field: option.flag for option in ALL_OPTIONS}
_CONFIGS = (NetworkConfig, TrainingConfig)
DEFAULTS: dict[str, Any] = {
    **{entry.name: entry.default for config in (*_CONFIGS, RunSettings) for entry in fields(config)},
    **{"theme": None, "fps": 10.0, "jobs": None, "scheduler": None},
}


def settings_from(values: Mapping[str, Any]) -> RunSettings:
    """The settings with these fields, and the defaults for all others.

    Raises:
        UsageError: A value is out of range.
    """
    rest = dict(values)
    network, training = (
        {entry.name: rest.pop(entry.name) for entry in fields(config) if entry.name in rest} for config in _CONFIGS
    )
    return RunSettings(NetworkConfig(**network), TrainingConfig(**training), **rest)


def values_of(settings: RunSettings) -> dict[str, Any]:
    """Every field of the settings by its name: what settings_from takes."""
    holders = (settings.network, settings.training, settings)
    return {
        option.field: next(getattr(holder, option.field) for holder in holders if hasattr(holder, option.field))
        for option in OPTIONS
    }


def flags_of(settings: RunSettings, said_elsewhere: Collection[str] = ()) -> list[str]:
    """The words of a command line that give exactly these settings; built-in values are left out.

    Args:
        settings: What the words shall give.
        said_elsewhere: Fields that are always included, since they have another default here.
    """
    words = []
    for field, value in values_of(settings).items():
        if field in said_elsewhere or value != option_of(field).default:
            words += words_for(field, value)
    return words


def words_for(field: str, value: Any) -> list[str]:
    """The words of a command line that give a field exactly this value; shlex.join makes them fit for a shell."""
    option = option_of(field)
    if option.kind == "switch":
        return [option.flag if value else option.flag.replace("--", "--no-", 1)]
    word = option.show(value)
    return [f"{option.flag}={word}"] if word.startswith("-") else [option.flag, word]


def option_of(field: str) -> Option:
    """The option of a field."""
    return next(option for option in ALL_OPTIONS if option.field == field)


def option_named(words: str) -> Option | None:
    """The option of a run that a user means: by its flag, its name in the settings file, or its field."""
    wanted = words.removeprefix("--").replace("-", "_")
    return next((option for option in OPTIONS if wanted in (option.name, option.field)), None)


def flag_of(setting: str) -> str:
    """How a user calls a setting: an option by its flag; what is not a word in lower case is called as it is."""
    is_option = setting.isidentifier() and setting.islower()
    return _FLAGS.get(setting, f"--{setting.replace('_', '-')}") if is_option else setting


def words_of(error: UsageError) -> str:
    """The sentence for a user; where nothing in particular was set, without a name ahead of it."""
    return f"{flag_of(error.setting)}: {error.problem}" if error.setting else error.problem
