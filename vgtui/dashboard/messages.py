"""What widgets tell the screen."""

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
    """The user turned the wheel over the layers, up for a positive number of layers."""

    step: int


@dataclass
class SettingChosen(Message):
    """The user pointed at a setting, by the name of its field."""

    name: str


@dataclass
class LessonAdvanced(Message):
    """A step of a lesson was done."""


@dataclass
class LookChanged(Message):
    """The user wants to see it in another way."""
