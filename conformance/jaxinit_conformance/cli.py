"""The command line: `python -m jaxinit_conformance run`."""

import argparse
import collections
import re
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from . import adapters, difference, suite, targets, weights_cli
from .checks.check import Evidence, Subject
from .faults import calibration, catch
from .reference import torch_init
from .report import write
from .weights.files import shown


def parser() -> argparse.ArgumentParser:
    """The arguments that the command takes."""
    top = argparse.ArgumentParser(
        prog="python -m jaxinit_conformance", description="Check JAX initializers against the installed torch.nn.init."
    )
    commands = top.add_subparsers(required=True)
    run = commands.add_parser(
        "run",
        help="check a target and write a report",
        epilog="Exit status: 0 the target conforms; 1 it deviates; 2 the suite could not run.",
    )
    run.add_argument(
        "--target",
        default="jaxinit",
        metavar="NAMESPACE",
        help="importable namespace with torch's names, torch, or a library with an adapter: "
        f"{', '.join(adapters.LIBRARIES)} (default: %(default)s)",
    )
    run.add_argument(
        "--out", type=Path, default=Path("report"), metavar="DIR", help="where reports go (default: %(default)s)"
    )
    run.add_argument("--select", type=_pattern, default="", metavar="REGEX", help="only checks whose id matches")
    run.add_argument(
        "--seed", type=_seed, default=None, metavar="N", help="seed of all draws (default: a fresh one, printed)"
    )
    run.add_argument(
        "--shares",
        type=_count,
        default=None,
        metavar="N",
        help="split the error rates over N checks, to judge one as a run of all did (default: those that run)",
    )
    run.add_argument("--quick", action="store_true", help="fewer cases, same error rates")
    run.set_defaults(command=_run)
    planted = commands.add_parser(
        "faults",
        help="plant mistakes and show what catches each",
        epilog="Exit status: 0 all are caught; 1 one is missed.",
    )
    planted.add_argument(
        "--seed", type=_seed, default=None, metavar="N", help="seed of all draws (default: a fresh one)"
    )
    planted.set_defaults(command=_faults)
    measured = commands.add_parser(
        "calibrate",
        help="measure both error rates over fresh seeds",
        epilog="Exit status: 0 no error was seen; 1 one was.",
    )
    measured.add_argument("--runs", type=_count, default=10, metavar="N", help="quick runs (default: %(default)s)")
    measured.add_argument(
        "--fault-runs",
        type=_count,
        default=1,
        metavar="N",
        help="seeds to plant all faults with (default: %(default)s)",
    )
    measured.set_defaults(command=_calibrate)
    compared = commands.add_parser(
        "diff",
        help="compare two reports",
        epilog="Exit status: 0 the verdicts are the same; 1 they differ; 2 a file is not a report.",
    )
    compared.add_argument("before", type=Path, metavar="A.json")
    compared.add_argument("after", type=Path, metavar="B.json")
    compared.set_defaults(command=_diff)
    weights_cli.add_commands(commands)
    return top


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from None
    return text


def _count(text: str) -> int:
    if (number := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return number


def _seed(text: str) -> int:
    if (number := _whole(text)) not in suite.SEEDS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {suite.SEEDS[-1]}, got {text!r}")
    return number


def _whole(text: str) -> int:
    """The number that up to 18 ASCII digits write; -1 for any other text."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else -1


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.command(options)
    except (ImportError, targets.TargetError) as error:  # of a part of the target; it names what to install
        return _give_up(str(error))
    return status


def _run(options: argparse.Namespace) -> int:
    seed = suite.fresh_seed() if options.seed is None else options.seed
    console = _console()
    try:
        target = targets.load(options.target)
        write.expect_folder(options.out)
    except targets.TargetError as error:
        return _give_up(str(error))
    except OSError as error:
        return _give_up(_unwritable(options.out, error))
    console.print(f"Checking {target.name} against torch {torch_init.version}, seed {seed}", markup=False)
    if options.select:
        found, caught = _checked(target, seed, options, console), []
    else:
        with catch.caught_beside(seed) as wait:
            found, caught = _checked(target, seed, options, console), wait()
    if not found.results:
        return _give_up(f"no check matches --select {options.select!r}")
    try:
        write.write(found, caught, options.out)
    except OSError as error:
        return _give_up(_unwritable(options.out, error))
    _conclude(found, options.out, console)
    if missed := [each.fault for each in caught if each.check is None]:
        return _give_up(f"the suite missed the planted fault {missed[0].name!r} in {missed[0].initializer}")
    return 0 if found.conforms else 1


def _console() -> Console:
    """The terminal as it is; elsewhere, lines long enough for a row of a table."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def _give_up(reason: str) -> int:
    print(f"conformance: {shown(reason)}", file=sys.stderr)
    return 2


def _unwritable(out: Path, error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"--out must be a folder that reports can be written to, got {str(out)!r}: {where}{error.strerror or error}"


def _checked(target: targets.Target, seed: int, options: argparse.Namespace, console: Console) -> suite.Report:
    """The run, with a bar on a terminal and nothing but failures elsewhere."""
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("planning", total=None)

        def step(done: int, total: int, check: Subject, evidence: Evidence) -> None:
            progress.update(bar, completed=done, total=total, description=check.initializer)
            if not evidence.passed:
                progress.console.print(
                    f"FAILED {check.id}: got {shown(evidence.observed)}, expected {evidence.expected}",
                    markup=False,
                    soft_wrap=True,
                )

        return suite.run(target, seed, options.quick, options.select, step, options.shares)


def _conclude(found: suite.Report, out: Path, console: Console) -> None:
    failed = len(found.failures)
    verdict = "conforms to" if found.conforms else "deviates from"
    console.print(
        f"{found.target} {verdict} torch {found.versions['torch']}: {len(found.results) - failed} of "
        f"{len(found.results)} checks passed in {found.seconds:.0f} s",
        markup=False,
    )
    console.print(f"Report: {out / 'report.html'}", markup=False, soft_wrap=True)


def _faults(options: argparse.Namespace) -> int:
    seed = suite.fresh_seed() if options.seed is None else options.seed
    console = _console()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        planted = catch.catch_all(seed)
        caught = list(progress.track(planted, total=len(catch.FAULTS), description="planted faults"))
    table = Table("fault", "initializer", "caught by", "got", "expected", "samples", box=box.MARKDOWN)
    for each in caught:
        table.add_row(*map(escape, write.fault_row(each)))
    console.print(table)
    missed = sum(each.check is None for each in caught)
    console.print(f"{len(caught) - missed} of {len(caught)} planted faults caught, seed {seed}", markup=False)
    return 1 if missed else 0


def _calibrate(options: argparse.Namespace) -> int:
    console = _console()
    found = calibration.Calibration()
    seeds = [suite.fresh_seed() for _ in range(max(options.runs, options.fault_runs))]
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        runs = calibration.quick_runs(targets.load("jaxinit"), seeds[: options.runs], found)
        collections.deque(progress.track(runs, total=options.runs, description="quick runs"), maxlen=0)
        plantings = calibration.planted(seeds[: options.fault_runs], found)
        collections.deque(progress.track(plantings, total=options.fault_runs, description="planted faults"), maxlen=0)
    for name, tallies in (("false alarms", found.false_alarms), ("misses", found.misses)):
        table = Table("claim" if name == "false alarms" else "fault", "judged", name, box=box.MARKDOWN)
        for claim, tally in tallies.items():
            table.add_row(escape(claim), str(tally.judged), str(tally.wrong))
        console.print(table)
    wrong = [sum(tally.wrong for tally in tallies.values()) for tallies in (found.false_alarms, found.misses)]
    judged = sum(tally.judged for tally in found.false_alarms.values())
    console.print(
        f"{wrong[0]} false alarms in {judged} checks of {options.runs} runs; "
        f"{wrong[1]} misses in {options.fault_runs} times {len(catch.FAULTS)} planted faults",
        soft_wrap=True,
    )
    return 1 if any(wrong) else 0


def _diff(options: argparse.Namespace) -> int:
    try:
        before, after = difference.read(options.before), difference.read(options.after)
    except difference.ReportError as error:
        return _give_up(str(error))
    found = difference.changes(before, after)
    words = {None: "absent", True: "passed", False: "failed"}
    for change in found:
        print(f"{words[change.before]} -> {words[change.after]}  {shown(change.id)}")
    old, new = (shown(each.get("target")) for each in (before, after))
    print(f"{len(found)} verdicts differ between {old} and {new}")
    return 1 if found else 0
