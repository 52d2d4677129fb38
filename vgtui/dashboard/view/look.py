"""How the user wants to see the runs; both lanes of a comparison share it."""

from dataclasses import dataclass, field

from vgtui.dashboard.keymap import Keymap
from vgtui.model.quantities import GRADIENT, Quantity

VIEWS = ("sparklines", "heat map", "chain rule")
"""The pictures of all layers."""


@dataclass(slots=True)
class Look:
    """How the user wants to see it."""

    view: str = VIEWS[0]
    quantity: Quantity = GRADIENT
    theory: bool = False
    hints: bool = True
    rate: bool = False
    keep: bool = False
    """Whether a change keeps the weights, rather than to restart."""
    keymap: Keymap = field(default_factory=Keymap)
    """The keys, for texts that name one."""
    blocks: bool = True
    """Whether the terminal shows half blocks in two colours."""
    own_view: str | None = None
    """The user's view, kept here while a lesson has one of its own."""

    @property
    def keeps(self) -> bool:
        """Whether a change keeps the weights now: a lesson's never does, as it measures initializations."""
        return self.keep and self.own_view is None

    @property
    def view_to_remember(self) -> str:
        """The view that the user chose."""
        return self.own_view or self.view
