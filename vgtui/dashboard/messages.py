"""What widgets tell the screen."""

from dataclasses import dataclass

from textual.message import Message


@dataclass
class LayerChosen(Message):
    """The user pointed at a layer."""

    layer: int
