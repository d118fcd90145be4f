"""The commands that run the suite: `jaxinit report`, `faults` and `calibrate`."""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from . import suite
from .checks.check import Check, Result
from .console import CannotRun, console, print_line, print_table, printable
from .faults import calibration, catch
from .reference import torch_init
from .report.write import check_folder, fault_row, write_report
from .suite import Report
from .targets import Target, TargetError, load


def report(target: str, out: Path, select: str, seed: int | None, quick: bool) -> int:
    """Run the suite on a target, and write the four files of its report."""
    seed = suite.fresh_seed() if seed is None else seed
    with _writing(out):
        check_folder(out)
    try:
        found, caught = _run(load(target), seed, quick, select)
    except TargetError as error:
        raise CannotRun(error) from None
    if not found.results:
        raise CannotRun(f"no check matches --select {select!r}")
    with _writing(out):
        write_report(found, caught, out)
    _conclude(found, out)
    if missed := [each.fault for each in caught if each.check is None]:
        raise CannotRun(f"the suite missed the planted fault {missed[0].name!r} in {missed[0].initializer}")
    return 0 if found.conforms else 1


def _run(target: Target, seed: int, quick: bool, select: str) -> tuple[Report, list[catch.Catch]]:
    """Run the checks, and plant the faults beside a run of all checks."""
    importlib.import_module("flax")  # without it, the sections on whole models would be left out in silence
    print_line(f"Checking {target.name} against torch {torch_init.version}, seed {seed}")
    if select:
        return _checked(target, seed, quick, select), []
    with catch.caught_beside(seed) as wait:
        return _checked(target, seed, quick, select), wait()


def _checked(target: Target, seed: int, quick: bool, select: str) -> Report:
    """Run the checks with a bar on a terminal, and print each failure."""
    with _progress() as progress:
        bar = progress.add_task("planning", total=None)

        def step(done: int, total: int, check: Check, result: Result) -> None:
            progress.update(bar, completed=done, total=total, description=check.initializer)
            if not result.passed:
                line = f"FAILED {check.id}: got {printable(result.observed)}, expected {result.expected}"
                progress.console.print(line, markup=False, soft_wrap=True)

        return suite.run(target, seed, quick, select, step)


def _progress() -> Progress:
    out = console()
    return Progress(console=out, disable=not out.is_terminal, transient=True)


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Raise CannotRun if a file of the report cannot be written."""
    try:
        yield
    except OSError as error:
        rule = f"--out must be a folder that reports can be written to, got {str(out)!r}"
        raise CannotRun(f"{rule}: {error.filename or out}: {error.strerror or error}") from None


def _conclude(found: Report, out: Path) -> None:
    passed = len(found.results) - len(found.failures)
    counted = f"{passed} of {len(found.results)} checks passed in {found.seconds:.0f} s"
    print_line(f"{printable(found.verdict)}: {counted}")
    print_line(f"Report: {out / 'report.html'}")


def faults(seed: int | None) -> int:
    """Plant every fault once, and print what caught it."""
    seed = suite.fresh_seed() if seed is None else seed
    with _progress() as progress:
        planted = catch.catch_all(seed)
        caught = list(progress.track(planted, total=len(catch.FAULTS), description="planted faults"))
    print_table(["fault", "initializer", "caught by", "got", "expected", "samples"], map(fault_row, caught))
    missed = sum(each.check is None for each in caught)
    print_line(f"{len(caught) - missed} of {len(caught)} planted faults caught, seed {seed}")
    return 1 if missed else 0


def calibrate(runs: int, fault_runs: int) -> int:
    """Count false alarms over quick runs and misses over planted faults, from fresh seeds."""
    found = calibration.Calibration()
    seeds = [suite.fresh_seed() for _ in range(max(runs, fault_runs))]
    with _progress() as progress:
        _exhaust(progress, calibration.quick_runs(load("jaxinit"), seeds[:runs], found), runs, "quick runs")
        _exhaust(progress, calibration.planted(seeds[:fault_runs], found), fault_runs, "planted faults")
    for about, error, tallies in (("claim", "false alarms", found.false_alarms), ("fault", "misses", found.misses)):
        rows = [[name, str(tally.judged), str(tally.wrong)] for name, tally in tallies.items()]
        print_table([about, "judged", error], rows)
    alarms, misses = (sum(each.wrong for each in tally.values()) for tally in (found.false_alarms, found.misses))
    judged = sum(tally.judged for tally in found.false_alarms.values())
    print_line(
        f"{alarms} false alarms in {judged} checks of {runs} runs; "
        f"{misses} misses in {fault_runs} times {len(catch.FAULTS)} planted faults"
    )
    return 1 if alarms or misses else 0


def _exhaust(progress: Progress, steps: Iterator[Any], total: int, description: str) -> None:
    for _ in progress.track(steps, total=total, description=description):
        pass
