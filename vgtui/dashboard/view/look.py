"""What the user chose to see; both lanes of a comparison share it."""

from dataclasses import dataclass, field

from vgtui.dashboard.keymap import Keymap
from vgtui.model.quantities import GRADIENT, Quantity

VIEWS = ("sparklines", "heat map", "chain rule")
"""The views of the layer panel."""


@dataclass(slots=True)
class Look:
    """What the user chose to see. Only the controller changes it.

    Attributes:
        view: One of VIEWS.
        quantity: The quantity shown for each layer.
        theory: Whether theory is drawn beside the measurement.
        hints: Whether hints are shown under the charts.
        rate: Whether the number of redraws per second is shown.
        keep: Whether a change keeps the weights, instead of restarting.
        keymap: The keys, for texts that name one.
        blocks: Whether the terminal shows half blocks in two colours.
        own_view: The user's view while a lesson has set another.
    """

    view: str = VIEWS[0]
    quantity: Quantity = GRADIENT
    theory: bool = False
    hints: bool = True
    rate: bool = False
    keep: bool = False
    keymap: Keymap = field(default_factory=Keymap)
    blocks: bool = True
    own_view: str | None = None

    @property
    def keeps(self) -> bool:
        """Whether a change keeps the weights now; never in a lesson, which measures initializations."""
        return self.keep and self.own_view is None

    @property
    def view_to_remember(self) -> str:
        """The view that the user chose."""
        return self.own_view or self.view
