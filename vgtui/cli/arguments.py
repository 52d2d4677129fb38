"""What the parsers of all commands share: their errors, the options of a run, and the settings that these make."""

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from engine.errors import UsageError
from vgtui.cli.exit_codes import USAGE_EXIT
from vgtui.model.options import ALL_OPTIONS, OPTIONS, Option, settings_from
from vgtui.terminal.text import plain
from vgtui.wire.run_settings import RunSettings

if TYPE_CHECKING:
    from vgtui.user.defaults import Default

FIELDS = frozenset(option.field for option in ALL_OPTIONS)
METAVARS = {"name": "NAME", "whole": "N", "number": "X"}


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one sentence and exit code 2."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

    def parse_words(self, words: Sequence[str]) -> argparse.Namespace:
        """As parse_args, which makes an empty list of the value "--"."""
        own = self._own_words(words)
        for word in own:
            option, equals, value = word.partition("=")
            if equals and value == "--" and option.startswith("-"):
                self.error(f'{option}: "--" is not a value')
        self._refuse_misspelt(own)
        return self.parse_args(words)

    def _own_words(self, words: Sequence[str]) -> Sequence[str]:
        """Leave out the words of a command that is given as the rest of the line."""
        if not any(action.nargs == argparse.REMAINDER for action in self._actions):
            return words
        taken = 0
        while taken < len(words) and words[taken].startswith("-") and words[taken] != "--":
            action = self._option_string_actions.get(words[taken])
            taken += 2 if action is not None and action.nargs is None else 1
        return words[:taken]

    def _print_message(self, message: str, file: Any = None) -> None:
        """As argparse does, which hides that it could not be written."""
        (file or sys.stderr).write(message)

    def _refuse_misspelt(self, words: Sequence[str]) -> None:
        """Say which option is meant by one that there is not, ahead of whatever else is wrong."""
        flags = {flag.lstrip("-"): flag for action in self._actions for flag in action.option_strings}
        fields = {a.dest.replace("_", "-"): a.option_strings[0] for a in self._actions if a.option_strings}
        known = {**fields, **flags}
        for word in itertools.takewhile(lambda word: word != "--", words):
            option = word.partition("=")[0]
            name = option.lstrip("-")
            is_option = re.fullmatch("--?[a-zA-Z][^ ]*", option) and option not in flags.values()
            if not is_option or option[:2] in flags.values():  # -oFILE
                continue
            close = [name] if name in known else [one for one in known if one.startswith(name)]
            for nearest in (close or get_close_matches(name, known))[:1]:
                self.error(f"{option}: no such option; did you mean {known[nearest]}?")

    def error(self, message: str) -> NoReturn:
        """Say in one sentence what is wrong, and exit with code 2."""
        self.exit(USAGE_EXIT, f"{self.prog}: {plain(message.removeprefix('argument '))} (see {self.prog} --help)\n")


def whole(text: str) -> int:
    """A type for argparse."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number') from None


def number(text: str) -> float:
    """A type for argparse."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number') from None


def check_least(setting: str, value: int | None, least: int) -> None:
    """Check the lower bound of a whole number; None is accepted.

    Args:
        setting: The setting that the error names.
        value: The number, if one was given.
        least: The least number that is allowed.

    Raises:
        UsageError: The number is too small.
    """
    if value is not None and value < least:
        raise UsageError(setting, f"{value} is out of range; it takes a whole number from {least}")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options that define a run: what settings_from_arguments reads."""
    group = parser.add_argument_group("network and training")
    preset = group.add_argument(
        "--preset", metavar="NAME", help="begin with a configuration from a paper: vgtui list presets"
    )
    offer(preset, _preset_names)
    for option in OPTIONS:
        add_option(group, option)


def add_overwrite_option(group: "argparse._ArgumentGroup | argparse.ArgumentParser") -> None:
    """The option without which no file is replaced: see output_files."""
    group.add_argument("--overwrite", action="store_true", help="replace the file that is written, where it is there")


def _preset_names() -> Iterable[str]:
    from vgtui.model.presets import PRESETS

    return PRESETS


def add_option(group: "argparse._ArgumentGroup | argparse.ArgumentParser", option: Option) -> argparse.Action:
    """One option of the tables. What is not given is not in the namespace: value_of has the default."""
    if option.kind == "switch":
        return group.add_argument(
            option.flag,
            dest=option.field,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=f"{option.help} (default: {option.show(option.default)})",
        )
    choices = f": {', '.join(option.choices)}" if option.choices else ""
    action = group.add_argument(
        option.flag,
        dest=option.field,
        type=_typed(option),
        default=argparse.SUPPRESS,
        metavar=METAVARS[option.kind],
        help=f"{option.help}{choices} (default: {option.show(option.default)})",
    )
    if option.choices:
        offer(action, lambda: option.choices, files_too=option.open_ended)
    return action


def offer(action: argparse.Action, words: Callable[[], Iterable[str]], files_too: bool = False) -> None:
    """Have a shell complete an argument by these words, which are found only when it asks."""

    def complete(prefix: str = "", **_: object) -> list[str]:
        found = list(words())
        if files_too:
            from argcomplete.completers import FilesCompleter

            found += FilesCompleter()(prefix)
        return found

    action.completer = complete  # type: ignore[attr-defined]  # where argcomplete looks


def _typed(option: Option) -> Callable[[str], Any]:
    """The option's parser, with its errors in argparse's own class."""

    def parse(text: str) -> Any:
        try:
            return option.parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(error.problem) from None

    return parse


def value_of(chosen: argparse.Namespace, field: str) -> Any:
    """The value of an option: from the command line, the environment, the settings file, or built in.

    Raises:
        UsageError: A value in the environment or the settings file is wrong.
    """
    return getattr(chosen, field) if hasattr(chosen, field) else _defaults_of(chosen)[field].value


def _defaults_of(chosen: argparse.Namespace) -> "dict[str, Default]":
    """The defaults beside what was parsed, read once a command. Raises UsageError."""
    if not hasattr(chosen, "defaults"):
        from vgtui.user.defaults import read_defaults  # msgspec and platformdirs, which --help need not wait for

        chosen.defaults = read_defaults()
    defaults: dict[str, Default] = chosen.defaults
    return defaults


def given_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """The fields of a run that the command line itself gives, those of its preset included.

    Raises:
        UsageError: There is no such preset.
    """
    preset: Mapping[str, Any] = {}
    if getattr(chosen, "preset", None) is not None:
        from vgtui.model.presets import find_preset

        preset = find_preset(chosen.preset).settings
    return {**preset, **{o.field: getattr(chosen, o.field) for o in OPTIONS if hasattr(chosen, o.field)}}


def settings_from_arguments(chosen: argparse.Namespace, **changes: Any) -> RunSettings:
    """The settings of a parsed command line.

    Args:
        chosen: What argparse made of the options of add_run_options.
        changes: Defaults of the command's own, which take the place of built-in ones.

    Raises:
        UsageError: A value is out of range, or wrong in the environment or the settings file.
    """
    given, defaults = given_of(chosen), _defaults_of(chosen)
    standing = {
        o.field: changes[o.field] if o.field in changes and defaults[o.field].is_built_in else defaults[o.field].value
        for o in OPTIONS
    }
    return settings_from({**standing, **given})


@contextmanager
def blaming_the_giver(chosen: argparse.Namespace) -> Iterator[None]:
    """Have the error for an option that the command line does not give name the environment or the settings file."""
    try:
        yield
    except UsageError as error:
        if error.setting in FIELDS and not hasattr(chosen, error.setting) and error.setting not in given_of(chosen):
            raise _defaults_of(chosen)[error.setting].blamed(error.problem) from error
        raise
