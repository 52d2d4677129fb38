"""The options of a command line that apply a cure."""

import shlex

from engine.verdict import Change, Cure
from vgtui.model.options import words_for


def options_of(cure: Cure) -> str:
    """The options that apply a cure of vgtui's own network, fit for a shell; "" for a cure of another model."""
    if cure.setting is None:
        return ""
    changes = (Change(cure.setting, cure.value), *cure.also)
    return shlex.join(word for change in changes for word in words_for(change.setting, change.value))
