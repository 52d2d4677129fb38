"""For PyTorch Lightning: the name of `vgtui.watching.integrations.lightning` that users know."""

from vgtui.watching.integrations.lightning import Watch as Watch
