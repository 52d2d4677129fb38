"""Messages from widgets to the screen, and from the screen to the app."""

from dataclasses import dataclass

from textual.message import Message


@dataclass
class LayerChosen(Message):
    """The user pointed at a layer."""

    layer: int


@dataclass
class LayerOpened(Message):
    """The user wants to look inside a layer."""

    layer: int


@dataclass
class LayersScrolled(Message):
    """The user turned the mouse wheel over the layers; a positive step is up."""

    step: int


@dataclass
class SettingChosen(Message):
    """The user pointed at a setting, by the name of its field."""

    name: str


@dataclass
class LessonAdvanced(Message):
    """A step of a lesson is done."""


@dataclass
class LookChanged(Message):
    """The user changed how runs are shown."""
