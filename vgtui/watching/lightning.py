"""For PyTorch Lightning: the name under which users import `vgtui.watching.integrations.lightning`."""

from vgtui.watching.integrations.lightning import Watch as Watch
