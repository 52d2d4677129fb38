"""vgtui with few steps, for the commands of the README: a program of that name, and its words for a call in process."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vgtui.cli.main import main

FEWEST = {"--steps": 10, "--seeds": 1}


def shortened(words: Sequence[str]) -> list[str]:
    """The same words, with a few steps and one seed, where they say how many."""
    pairs = zip(["", *words], words, strict=False)
    few = [str(min(int(word), FEWEST[before])) if before in FEWEST else word for before, word in pairs]
    return [*few, "--seconds", "0.5"] if few[:1] == ["bench"] else few


def needs_terminal(words: Sequence[str]) -> bool:
    return "--record" in words or "--lesson" in words


def run_in_terminal(words: Sequence[str]) -> int:
    """In a terminal of its own, and left as soon as it trains."""
    from tests.terminal.terminal import Terminal

    with Terminal(words) as terminal:
        terminal.wait_for(lambda: (terminal.step or 0) > 20)
        terminal.press("q")
        return terminal.wait_for_exit()


def run(words: Sequence[str]) -> int:
    if words[:1] == ["attach"] and "/" in words[-1]:
        while not Path(words[-1]).exists():  # the line before this one makes it, in the background
            time.sleep(0.05)
    return run_in_terminal(words) if needs_terminal(words) else main(shortened(words))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
