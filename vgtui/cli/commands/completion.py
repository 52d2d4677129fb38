"""`vgtui completion`: what a shell needs to complete vgtui's words, by argcomplete."""

import argparse
import os
import sys

from engine.errors import unknown_name
from vgtui.cli.arguments import offer
from vgtui.cli.commands import COMMANDS, dashboard, find_command

SHELLS = ("bash", "zsh", "fish")
DESCRIPTION = "Print what a shell needs to complete the words of vgtui."
EXAMPLES = """\
examples:
  vgtui completion bash >> ~/.bashrc
  vgtui completion zsh >> ~/.zshrc
  vgtui completion fish > ~/.config/fish/completions/vgtui.fish"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of the shell, which can itself be completed."""
    offer(parser.add_argument("shell", metavar="SHELL", help=", ".join(SHELLS)), lambda: SHELLS)


def call(chosen: argparse.Namespace) -> int:
    """Print the code by which the shell completes the words of vgtui."""
    if chosen.shell not in SHELLS:
        raise unknown_name("SHELL", "shell", chosen.shell, SHELLS)
    from argcomplete.shell_integration import shellcode

    sys.stdout.write(shellcode(["vgtui"], shell=chosen.shell).strip() + "\n")
    return 0


def complete() -> None:
    """Answer the shell that asks, and leave; return where it did not ask properly."""
    import argcomplete

    argcomplete.autocomplete(_parser(os.environ.get("COMP_LINE", "").split()))


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """All commands by name, and the options of the one that is on the line, so that no other need be imported."""
    parser = argparse.ArgumentParser(prog="vgtui")
    chosen = words[1] if len(words) > 1 else ""
    if chosen not in COMMANDS:
        dashboard.add_arguments(parser)
    commands = parser.add_subparsers()
    for name, description in COMMANDS.items():
        command = commands.add_parser(name, help=description)
        if name == chosen:
            find_command(name).add_arguments(command)
    return parser
