"""The environment in which a command, and all that it starts, is watched wherever it trains."""

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from vgtui.user.variables import EXEC_VARIABLE

STARTUP = Path(__file__).with_name("startup")
"""The folder that goes ahead on PYTHONPATH."""


def watched_environment(given: Mapping[str, object], environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a command that is to be watched.

    Args:
        given: Arguments of Session: name, every, record. None leaves one out.
        environment: The environment that the command would have.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    spec = find_spec("msgspec")
    if spec and spec.origin:
        chosen["msgspec"] = str(Path(spec.origin).parent.parent)
    places = [str(STARTUP), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    return {**environment, "PYTHONPATH": os.pathsep.join(dict.fromkeys(places)), EXEC_VARIABLE: json.dumps(chosen)}
