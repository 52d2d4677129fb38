"""`vgtui top`: all trainings that are watched on this machine and on others, as a screen, a table or JSON Lines."""

import argparse
import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence

from engine.errors import UsageError, unknown_name
from engine.verdict import CALM, VERDICT_KINDS
from vgtui.charts.training_table import GAP, device_words, training_table
from vgtui.cli.arguments import offer
from vgtui.cli.exit_codes import FAULT_EXIT, FOUND_EXIT
from vgtui.cli.screen_options import add_screen_options, no_screen, screen_of
from vgtui.sources.hosts import SSH, VGTUI, HostTrainings
from vgtui.sources.overview import Overview
from vgtui.sources.trainings import PULL_SECONDS, Training, Trainings
from vgtui.terminal.capabilities import tell
from vgtui.user.variables import SSH_VARIABLE
from vgtui.wire.frames import encode_line

DESCRIPTION = "Show all trainings that are watched: on this machine by you, and on other machines over SSH."
EXAMPLES = f"""\
examples:
  vgtui top                                   a screen; enter opens a training, q leaves
  vgtui top --host gpu1 --host gpu2           those of two servers too, over SSH
  vgtui top --once                            a table, as in a pipe
  vgtui top --once --json | jq -r .verdict    a line of JSON for each training
  vgtui top --json                            the same each second; an empty line ends a round
  vgtui top --once --fail-on vanishing || mail -s 'it starves' me
  vgtui top --once --fail-on any              any verdict that asks for something

--fail-on: exit code 1 if a verdict is one of these, or a host cannot be asked, else 0, also where nothing is watched.
vanishing stands for vanishing, vanished and vanishing-in-time; exploding for exploding, exploding-in-time and
non-finite. Each other kind stands for itself: docs/verdicts.md has them.

GPUs are shown where nvidia-ml-py finds one: pip install 'vgtui[gpu]'. {SSH_VARIABLE} is the command in place of
{" ".join(SSH)}.

keys: ↑ ↓ choose, enter opens one, space marks, c compares two, ? explains, q leaves."""
ANY = "any"
GROUPS: dict[str, tuple[str, ...]] = {
    "vanishing": ("vanishing", "vanished", "vanishing-in-time"),
    "exploding": ("exploding", "exploding-in-time", "non-finite"),
    ANY: tuple(kind for kind in VERDICT_KINDS if kind not in CALM),
}
"""The words of --fail-on that stand for several kinds of verdict."""
FIRST_PULL_SECONDS = 0.1
"""The time between the questions of a single look."""
NOTHING = (
    "nothing is watched; vgtui.watch(model, optimizer) in a training script makes it seen here, "
    "and so does vgtui.Emitter"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the forms of output, the hosts, and the options of the screen."""
    parser.add_argument("--once", action="store_true", help="print the trainings of now, and end")
    parser.add_argument("--json", action="store_true", help="JSON Lines, one for each training")
    fail = parser.add_argument(
        "--fail-on",
        metavar="KIND,…",
        help="with --once: exit code 1 if a verdict is one of these; any is all faults",
    )
    offer(fail, lambda: [*GROUPS, *GROUPS[ANY]])
    hosts = parser.add_argument_group("other machines")
    hosts.add_argument("--host", action="append", default=[], metavar="HOST", help="as SSH calls it; may be repeated")
    hosts.add_argument(
        "--ssh", metavar="COMMAND", help=f"in place of {' '.join(SSH)} (default: {SSH_VARIABLE}, if it is set)"
    )
    hosts.add_argument(
        "--remote", metavar="COMMAND", default=VGTUI, help=f"how vgtui is called there (default: {VGTUI})"
    )
    add_screen_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Show the trainings on a screen, or print them."""
    theme, fps = screen_of(chosen)
    kinds = _kinds(chosen.fail_on)
    ssh, hosts = _ssh(chosen.ssh), [_host(host) for host in chosen.host]
    if kinds and not chosen.once:
        raise UsageError("fail_on", "needs --once: the exit code is that of a single look")
    has_screen = not (chosen.once or chosen.json) and no_screen(sys.stdin, sys.stdout, sys.stderr) is None
    is_single = chosen.once or not (chosen.json or has_screen)
    here = Trainings(FIRST_PULL_SECONDS if is_single else PULL_SECONDS)
    overview = Overview(here, [HostTrainings(host, ssh, chosen.remote) for host in hosts])
    if has_screen:
        from vgtui.dashboard.launch import open_overview

        return open_overview(overview, theme, fps, remote=(*ssh, chosen.remote))
    if not is_single:
        return asyncio.run(_stream(overview))
    return _show_once(overview, chosen.json, kinds)


def _show_once(overview: Overview, as_json: bool, kinds: frozenset[str]) -> int:
    """Print what there is now.

    Returns:
        The exit code.
    """
    rows = asyncio.run(overview.look_once())
    failed = [row for row in rows if row.state == "failed"]
    if overview.problem:
        tell(overview.problem)
    elif not rows:
        tell(NOTHING)
    for row in failed if as_json else ():
        tell(f"{row.host}: {row.note}")
    if as_json:
        _print_lines(rows)
    elif rows:
        _print_table(rows, overview)
    if not kinds:
        return FAULT_EXIT if overview.problem or (failed and len(failed) == len(rows)) else 0
    return FOUND_EXIT if overview.problem or failed or any(row.verdict in kinds for row in rows) else 0


async def _stream(overview: Overview) -> int:
    """Print a line for each training each second, and an empty one, until the reader has enough."""
    following = asyncio.create_task(overview.follow())
    try:
        while not following.done():
            await asyncio.sleep(PULL_SECONDS)
            _print_lines(overview.rows())
            sys.stdout.write("\n")
            sys.stdout.flush()
        await following
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return 0


def _print_lines(rows: Iterable[Training]) -> None:
    for row in rows:
        sys.stdout.write(encode_line(row).decode())


def _print_table(rows: Sequence[Training], overview: Overview) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for words in device_words(overview.devices):
        print(words)
    table = training_table(rows, width, strips=False, hosts=overview.has_hosts)
    for cells in (table.heads, *table.rows):
        print((" " * GAP).join(cells).rstrip())


def _kinds(words: str | None) -> frozenset[str]:
    """The kinds of verdict that --fail-on names. Raises UsageError."""
    found: set[str] = set()
    for word in words.split(",") if words is not None else ():
        if word.strip() not in (*GROUPS, *VERDICT_KINDS):
            raise unknown_name("fail_on", "verdict", word.strip(), tuple(dict.fromkeys((*GROUPS, *VERDICT_KINDS))))
        found.update(GROUPS.get(word.strip(), (word.strip(),)))
    return frozenset(found)


def _host(host: str) -> str:
    """A host's name. Raises UsageError for what SSH would take for an option."""
    if not host.strip() or host.startswith("-"):
        raise UsageError("host", f'"{host}" is not a host; it takes a name as in ssh NAME')
    return host


def _ssh(words: str | None) -> tuple[str, ...]:
    """The command that runs words on a host. Raises UsageError."""
    given = words if words is not None else os.environ.get(SSH_VARIABLE)
    if not given:
        return SSH
    name = "ssh" if words is not None else SSH_VARIABLE
    try:
        command = tuple(shlex.split(given))
    except ValueError as error:
        raise UsageError(name, f'"{given}" is not a command: {error}') from error
    if not command:
        raise UsageError(name, "is empty; it takes a command such as ssh -p 2222")
    return command
