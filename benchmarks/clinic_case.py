"""Run one case of a clinic with our common.py, whatever folder the case is in.

`python -m benchmarks.clinic_case PATH [--cured] [--apply] [--seed N] [--every N] [--htop]`
"""

import runpy
import sys
from pathlib import Path

COMMON = Path(__file__).with_name("cases")


def main() -> None:
    """Run the case as if it were the script, with its own arguments."""
    case = sys.argv[1]
    sys.argv[:] = sys.argv[1:]
    sys.path.insert(0, str(COMMON))
    runpy.run_path(case, run_name="__main__")


if __name__ == "__main__":
    main()
