"""Measuring both error rates of the suite, over seeds and over planted faults."""

import collections
import dataclasses
from collections.abc import Iterator

from .. import suite
from ..targets import Target
from . import catch


@dataclasses.dataclass
class Tally:
    """Represent how often a claim was judged, and how often the verdict was wrong."""

    judged: int = 0
    wrong: int = 0


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Hold tallies of true claims that failed, and of planted faults that were missed, by name."""

    false_alarms: dict[str, Tally] = dataclasses.field(default_factory=lambda: collections.defaultdict(Tally))
    misses: dict[str, Tally] = dataclasses.field(default_factory=lambda: collections.defaultdict(Tally))


def quick_runs(target: Target, seeds: list[int], into: Calibration) -> Iterator[int]:
    """Run the quick suite once for each seed, and yield each seed when done."""
    for seed in seeds:
        report = suite.run(target, seed, quick=True)
        for check, result in report.results:
            into.false_alarms[check.claim].judged += 1
            into.false_alarms[check.claim].wrong += not result.passed
        yield seed


def planted(seeds: list[int], into: Calibration) -> Iterator[int]:
    """Plant every fault once for each seed, and yield each seed when done."""
    for seed in seeds:
        for caught in catch.catch_all(seed):
            tally = into.misses[f"{caught.fault.name} ({caught.fault.initializer})"]
            tally.judged += 1
            tally.wrong += caught.check is None
        yield seed
