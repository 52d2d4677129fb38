"""The word of each layer's health on a frame."""

from engine.health import layer_health
from engine.verdict import Health
from vgtui.wire.frames import Frame, Header


def health_of(frame: Frame, header: Header | None) -> list[Health]:
    """Describe the health of every layer in a word.

    Args:
        frame: The frame.
        header: Its header, if it is known: it says which layers of a watched model are matrices.

    Returns:
        A word per layer.
    """
    matrices = [info.is_matrix for info in header.layers] if header and header.model else None
    return layer_health(frame.layers.grad_norm, frame.verdict, matrices, frame.ties or ())
