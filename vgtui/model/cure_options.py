"""How a cure is told: in words, or as the options of a command line that apply it."""

import shlex

from engine.verdict import Change, Cure
from vgtui.model.options import words_for

IMPERATIVES = ("add", "compute", "look", "make", "train")
"""The first words of cures that are sentences by themselves."""


def advice_of(choice: str) -> str:
    """Cures as the end of a sentence: `try a smaller lr`, but `look at the inputs`."""
    return choice if choice.partition(" ")[0] in IMPERATIVES else f"try {choice}"


def options_of(cure: Cure) -> str:
    """The options that apply a cure of vgtui's own network, fit for a shell; "" for a cure of another model."""
    if cure.setting is None:
        return ""
    changes = (Change(cure.setting, cure.value), *cure.also)
    return shlex.join(word for change in changes for word in words_for(change.setting, change.value))
