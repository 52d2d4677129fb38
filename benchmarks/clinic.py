"""The clinic: is the verdict right about networks that people reported, and do its cures cure?

Each case of a folder is trained as it was reported and with its accepted cure, a process each; truth.json, in the
folder or beside it, has the kinds that count as right. Then random configurations of vgtui's own network are trained.
"""

import argparse
import importlib
import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import clinic_network as network
from benchmarks.clinic_network import line
from benchmarks.clinic_rows import CODE, Row, Rows, digest
from benchmarks.output import print_and_keep
from vgtui.terminal.progress import showing_progress

EXAMPLES = """examples:
  python -m benchmarks.clinic                                  our cases, and 150 random configurations
  python -m benchmarks.clinic --cases ../shared/clinic/cases   the cases of another folder
  python -m benchmarks.clinic --cases A B --configurations 0   two folders of cases, and nothing else
  python -m benchmarks.clinic --only 107 12 --configurations 0 the cases whose names begin so
  python -m benchmarks.clinic --no-cases --configurations 260 --seed 20261 --jobs 2

Rows are kept under --out: a run that was broken off goes on, and a change of the code has everything measured again.
"""
HERE = Path(__file__).parent
OURS = HERE / "cases"
TIMEOUT = 300.0
"""Seconds that a case may take; it stops itself long before."""
REPORTED, CURED, APPLIED = "reported", "cured", "applied"
PEERS, PEERS_CURED = "peers", "peers cured"
A_PERSONS = "a person's"
OPTIONS = {
    REPORTED: [],
    CURED: ["--cured"],
    APPLIED: ["--apply"],
    # a run of its own: hooks of the peer change what backward() does
    PEERS: ["--htop"],
    PEERS_CURED: ["--htop", "--cured"],
}
AT_100, AT_END = "v100", "vend"


def calm_kinds() -> frozenset[str]:
    """The kinds that are no alarm: those that the engine says, or those that are named in the documentation."""
    try:
        return frozenset(importlib.import_module("engine.verdict").CALM)
    except ImportError:
        return frozenset({"healthy", "starting", "converged", "frozen-on-purpose"})


CALM_KINDS = calm_kinds()


@dataclass(frozen=True, slots=True)
class Case:
    """A script, and the kinds of verdict that count as right; none for a recipe that is sound as it is."""

    path: Path
    kinds: tuple[str, ...]

    @property
    def is_control(self) -> bool:
        """Whether it is sound as it is."""
        return not self.kinds

    def modes(self, peers: bool) -> tuple[str, ...]:
        """How it is run."""
        if self.is_control:
            return (REPORTED, PEERS) if peers else (REPORTED,)
        return (REPORTED, CURED, APPLIED, *((PEERS, PEERS_CURED) if peers else ()))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case with its rows."""

    case: Case
    rows: dict[str, Row]

    @property
    def name(self) -> str:
        """The name of the case."""
        return self.case.path.stem

    def judged(self) -> str:
        """Whether the kind at step 100 was named rightly: right, wrong or silent."""
        return judge(self.rows[REPORTED].get(AT_100), self.case.kinds)

    def sound(self) -> Row:
        """The row of the run that has no fault."""
        return self.rows[REPORTED if self.case.is_control else CURED]


def judge(kind: str | None, accepted: Sequence[str]) -> str:
    """Judge a kind by those that are accepted: right, wrong, or silent, which is a calm one or no verdict at all."""
    if kind is None or kind in CALM_KINDS:
        return "silent"
    return "right" if kind in accepted else "wrong"


def is_flagged(kind: str | None) -> bool:
    """Whether a kind is an alarm."""
    return kind is not None and kind not in CALM_KINDS


def find_cases(folder: Path, only: Sequence[str] = ()) -> list[Case]:
    """Find the cases of a folder, or of its folder `cases`; all those in truth.json are faults.

    Raises:
        SystemExit: There are none, or no truth.json is there.
    """
    if (folder / "cases").is_dir():
        folder = folder / "cases"
    files = [file for file in (folder / "truth.json", folder.parent / "truth.json") if file.exists()]
    if not files:
        raise SystemExit(f"clinic: there is no truth.json in {folder} or beside it")
    truth = json.loads(files[0].read_text("utf-8"))
    scripts = sorted(path for path in folder.glob("[0-9]*.py") if not only or path.name.startswith(tuple(only)))
    if not scripts:
        raise SystemExit(f"clinic: there are no cases in {folder}")
    return [Case(path.resolve(), tuple(truth.get(path.stem, ()))) for path in scripts]


def run_case(case: Case, mode: str, seed: int) -> Row:
    """Run a case in a process of its own, and read its last row."""
    words = [sys.executable, "-m", "benchmarks.clinic_case", str(case.path), *OPTIONS[mode], "--seed", str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            words, cwd=HERE.parent, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {TIMEOUT:.0f} s", "good": False, "outcome": "error"}
    rows = [text for text in done.stdout.splitlines() if text.startswith("ROW ")]
    if not rows:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"error": last[:300], "good": False, "outcome": "error"}
    row: Row = json.loads(rows[-1].removeprefix("ROW "))
    return row


def measure(
    tasks: Sequence[tuple[str, Callable[..., Row], tuple[Any, ...]]], rows: Rows, pool: Executor, doing: str
) -> list[Row]:
    """Measure what is not measured yet, with a bar of progress on stderr.

    Args:
        tasks: A key, a function and its arguments each.
        rows: Where rows are kept.
        pool: What runs the functions.
        doing: What is done, in a word.

    Returns:
        A row a task.
    """
    missing = {key: (function, given) for key, function, given in tasks if rows.get(key) is None}
    done = len(tasks) - len(missing)
    with showing_progress(doing, len(tasks), "runs", quiet=False, done=done) as advance:
        futures: dict[Future[Row], str] = {
            pool.submit(function, *given): key for key, (function, given) in missing.items()
        }
        try:
            for future in as_completed(futures):
                rows.add(futures[future], future.result())
                done += 1
                advance(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [found for key, _, _ in tasks if (found := rows.get(key)) is not None]


def measure_cases(cases: Sequence[Case], seed: int, jobs: int, peers: bool, rows: Rows) -> list[Outcome]:
    """Run every case in each of its modes."""
    tasks: list[tuple[str, Callable[..., Row], tuple[Any, ...]]] = []
    for case in cases:
        files = digest([case.path, OURS / "common.py"])
        tasks += [
            (f"{files} {case.path.stem} {mode} {seed}", run_case, (case, mode, seed)) for mode in case.modes(peers)
        ]
    with ThreadPoolExecutor(jobs) as pool:
        found = iter(measure(tasks, rows, pool, "cases"))
    return [Outcome(case, {mode: next(found) for mode in case.modes(peers)}) for case in cases]


def report_cases(title: str, outcomes: Sequence[Outcome], peers: bool) -> Iterator[str]:
    """The lines of the table that are about cases, and then every miss by its name."""
    faults = [outcome for outcome in outcomes if not outcome.case.is_control]
    controls = len(outcomes) - len(faults)
    yield f"{title}: {len(faults)} faults, {controls} recipes that are sound"
    judged = {outcome.name: outcome.judged() for outcome in faults}
    counts = {word: list(judged.values()).count(word) for word in ("right", "wrong", "silent")}
    value = f"{counts['right']} of {len(faults)} ({counts['wrong']} wrong, {counts['silent']} silent)"
    yield line("real faults: kind named rightly at step 100", value, "≥ 32 of 36")
    flagged = {at: [o for o in outcomes if is_flagged(o.sound().get(at))] for at in (AT_100, AT_END)}
    value = f"{len(flagged[AT_100])} / {len(flagged[AT_END])} of {len(outcomes)}"
    what = f"sound runs flagged ({len(faults)} cured, {controls} recipes), at step 100 / the end"
    yield line(what, value, "≤ 1 / ≤ 1 of 48")
    results = [outcome.rows[APPLIED]["outcome"] for outcome in faults]
    left, without = results.count(A_PERSONS), results.count("none")
    value = f"{results.count('trains')} of {len(results) - left - without}, {left} a person’s, {without} none"
    yield line("first advice, applied as written, makes it train", value, "≥ 24 of 36")
    if peers:
        yield from report_peers(outcomes)
    yield from named(f"named wrongly or not at all ({counts['wrong'] + counts['silent']})", misnamed(faults, judged))
    for at, words in ((AT_100, "at step 100"), (AT_END, "at the end")):
        yield from named(f"flagged though sound, {words} ({len(flagged[at])})", flags(flagged[at], at))
    yield from named("first advice that does not make it train, or that only a person can take", advice(faults))
    yield from named("not as the case says it is", broken(outcomes))


def named(title: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines under their title, if there are any."""
    found = list(lines)
    if found:
        yield ""
        yield f"{title}:"
        yield from found


def misnamed(faults: Sequence[Outcome], judged: dict[str, str]) -> Iterator[str]:
    """Each fault that was not named rightly: case, expected, got, message."""
    for outcome in faults:
        if judged[outcome.name] != "right":
            row = outcome.rows[REPORTED]
            said = row.get("m100") or row.get("error") or "no frame"
            yield f"  {outcome.name}: {' or '.join(outcome.case.kinds)}; {judged[outcome.name]}: {said}"


def flags(outcomes: Sequence[Outcome], at: str) -> Iterator[str]:
    """Each sound run that is flagged."""
    for outcome in outcomes:
        how = "" if outcome.case.is_control else " cured"
        yield f"  {outcome.name}{how}: {outcome.sound()[at.replace('v', 'm', 1)]}"


def advice(faults: Sequence[Outcome]) -> Iterator[str]:
    """Each first advice that was taken in vain or that no machine can take, beside the accepted cure."""
    for outcome in faults:
        row = outcome.rows[APPLIED]
        if row["outcome"] == "trains":
            continue
        what = {"none": "no advice", "fails": f"does not train, {row.get('score')}"}.get(row["outcome"], row["outcome"])
        error = f" ({row['error']})" if row["outcome"] == "error" else ""
        text = row.get("text") or "—"
        yield f"  {outcome.name}: {what}{error}: {text}; accepted: {row.get('cure', '—')}"


def broken(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Each run that learned where it should not have, or the other way round."""
    for outcome in outcomes:
        if not outcome.case.is_control and outcome.rows[REPORTED]["good"]:
            yield f"  {outcome.name}: trains as reported"
        if not outcome.sound()["good"]:
            yield f"  {outcome.name}: does not train; {outcome.sound().get('error', '')}"


def report_peers(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How many faults have an alarm of nn-htop's at the end, and how many sound runs."""
    alarms = {True: 0, False: 0}
    for outcome in outcomes:
        alarms[outcome.case.is_control] += has_alarm(outcome.rows[PEERS])
    cured = sum(has_alarm(outcome.rows[PEERS_CURED]) for outcome in outcomes if not outcome.case.is_control)
    faults = sum(not outcome.case.is_control for outcome in outcomes)
    yield line("nn-htop: faults with an alarm, at the end", f"{alarms[False]} of {faults}", "")
    yield line("nn-htop: sound runs with an alarm", f"{alarms[True] + cured} of {len(outcomes)}", "")


def has_alarm(row: Row) -> bool:
    """Whether a layer has a badge of nn-htop's that is not LEARNING."""
    return any(badge != "LEARNING" for badge in row.get("htop", {}).values())


def measure_network(configurations: int, seed: int, jobs: int, rows: Rows) -> Iterator[str]:
    """Train the random configurations, then those that failed with their first cure and with random changes."""
    rng = np.random.default_rng(seed)
    sampled = [network.random_settings(rng) for _ in range(configurations)]
    # a worker is told of no session and no file: settings in, a row out
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        tasks = [(f"network {settings.key()}", network.train, (settings,)) for settings in sampled]
        samples = list(zip(sampled, measure(tasks, rows, pool, "configurations"), strict=True))
        failing = [(settings, row) for settings, row in samples if not network.has_learned(row)]
        rng = np.random.default_rng(network.SEED_OF_CHANGES)
        first = [row["cures"][0]["changes"] if row["cures"] else None for _, row in failing]
        by_chance = [
            (settings, [network.random_change(rng, settings)])
            for settings, _ in failing
            for _ in range(network.RANDOM_CHANGES)
        ]
        by_cure = [(settings, made) for (settings, _), made in zip(failing, first, strict=True) if made is not None]
        found = iter(measure([changed(*pair) for pair in by_cure], rows, pool, "first cures"))
        cured = [next(found) if made is not None else None for made in first]
        lucky = measure([changed(*pair) for pair in by_chance], rows, pool, "random changes")
    yield from network.report(samples, cured, lucky)
    yield from named("verdict at step 100 that was wrong about what came", network.misses(samples))
    yield from named("first cures that do not cure", network.cures_that_fail(failing, cured))


def changed(settings: network.Settings, changes: Any) -> tuple[str, Callable[..., Row], tuple[Any, ...]]:
    """The task to train settings with changes."""
    return f"network {settings.key()} {json.dumps(changes)}", network.train_changed, (settings, changes)


def whole_number(least: int) -> Callable[[str], int]:
    """Read a whole number of at least so much."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return read


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clinic",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", type=Path, nargs="+", metavar="DIR", default=[OURS], help="folders of cases (default: ours)")
    add("--only", nargs="+", metavar="NAME", default=[], help="the cases alone whose names begin so")
    add("--no-cases", action="store_true", help="the random configurations alone")
    add("--seed", type=whole_number(0), metavar="N", help="of cases (default: 0) and configurations (default: 20261)")
    add("--configurations", type=whole_number(0), default=150, metavar="N", help="how many (default: 150; 0 for none)")
    add("--jobs", type=whole_number(1), default=1, metavar="N", help="processes at a time, a thread each (default: 1)")
    add("--peers", action="store_true", help="nn-htop's badges too, where it is installed")
    add(
        "--out", type=Path, default=Path(".benchmarks/clinic"), metavar="DIR", help="rows (default: .benchmarks/clinic)"
    )
    add("--results", type=Path, metavar="FILE", help="write the report to a file too")
    return parser


def report(chosen: argparse.Namespace) -> Iterator[str]:
    """Everything that was asked for."""
    peers = chosen.peers and importlib.util.find_spec("nn_htop") is not None
    if chosen.peers and not peers:
        yield "nn-htop is not installed: no peers"
    rows = Rows(chosen.out / "rows.jsonl", digest(CODE))
    yield line("what is measured", "value", "goal")
    try:
        for folder in [] if chosen.no_cases else chosen.cases:
            cases = find_cases(folder, chosen.only)
            yield from report_cases(
                str(folder), measure_cases(cases, chosen.seed or 0, chosen.jobs, peers, rows), peers
            )
            yield ""
        if chosen.configurations:
            seed = 20261 if chosen.seed is None else chosen.seed
            yield from measure_network(chosen.configurations, seed, chosen.jobs, rows)
    finally:
        rows.close()


def main() -> None:
    """Run the clinic."""
    chosen = parser().parse_args()
    try:
        if chosen.results:
            print_and_keep(report(chosen), chosen.results)
        else:
            for text in report(chosen):
                print(text, flush=True)
    except KeyboardInterrupt:
        raise SystemExit(f"clinic: broken off; the same command goes on, with the rows in {chosen.out}") from None


if __name__ == "__main__":
    main()
