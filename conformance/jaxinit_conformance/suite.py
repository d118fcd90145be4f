"""One run: plan the checks, split the error rates over them, evaluate each, and collect the report."""

import contextlib
import dataclasses
import functools
import operator
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import jax

from . import adapters
from .checks import constants, elementwise, interface, orthogonal, sparse
from .checks.cases import everything
from .checks.check import Check, PlannedCheck, Result, Sample
from .reference import torch_init
from .replay.claims import checks as replay_checks
from .statistics.tests import RATES, Rates
from .targets import Target

SEEDS = range(2**31)
"""The seeds that a run accepts."""

QUICK_CHECKS = 300
"""No fewer than the statistical checks of a quick run. A planted fault is judged at the rates of one of so many."""

SECTIONS: dict[str, Callable[[Sample], Iterator[PlannedCheck]]] = {
    "elementwise": elementwise.checks,
    "exact": constants.checks,
    "orthogonal": orthogonal.checks,
    "haar": orthogonal.haar,
    "sparse": sparse.checks,
}


@dataclasses.dataclass(frozen=True)
class Report:
    """Represent the results of a run."""

    target: str
    versions: dict[str, str]
    seed: int
    quick: bool
    select: str
    rates: Rates
    results: list[tuple[Check, Result]]
    samples: list[Sample]
    seconds: float

    @property
    def failures(self) -> list[tuple[Check, Result]]:
        return [(check, result) for check, result in self.results if not result.passed]

    @property
    def conforms(self) -> bool:
        return not self.failures

    @property
    def verdict(self) -> str:
        """Return the heading of the report. Only a run of all checks can say that the target conforms."""
        passed = "passes the selected checks against" if self.select else "conforms to"
        verdict = f"{self.target} {passed if self.conforms else 'deviates from'} torch {self.versions['torch']}"
        scope = ["quick run"] * self.quick + [f"only checks that match {self.select!r}"] * bool(self.select)
        return f"{verdict} ({', '.join(scope)})" if scope else verdict

    def as_json(self) -> dict[str, Any]:
        """Return the content of report.json."""
        failed = len(self.failures)
        return {
            "target": self.target,
            "versions": self.versions,
            "seed": self.seed,
            "quick": self.quick,
            "select": self.select,
            "false_alarm": self.rates.false_alarm,
            "miss": self.rates.miss,
            "checks": [
                {
                    "id": check.id,
                    "initializer": check.initializer,
                    "claim": check.claim,
                    "case": check.case,
                    **dataclasses.asdict(result),
                }
                for check, result in self.results
            ],
            "summary": {"passed": len(self.results) - failed, "failed": failed, "seconds": round(self.seconds, 1)},
        }


def fresh_seed() -> int:
    """Return a random seed."""
    return secrets.randbelow(len(SEEDS))


def valid_seed(seed: int | None) -> int:
    """Return the seed, or a fresh one for None.

    Raises:
        TypeError: `seed` is not an integer.
        ValueError: `seed` is out of range.
    """
    if seed is None:
        return fresh_seed()
    rule = f"`seed` must be an integer from 0 to {SEEDS[-1]}, got {seed!r}"
    if not hasattr(seed, "__index__"):
        raise TypeError(rule)
    if operator.index(seed) not in SEEDS:
        raise ValueError(rule)
    return operator.index(seed)


def plan(target: Target, seed: int, quick: bool = False) -> tuple[list[PlannedCheck], list[Sample]]:
    """Return the checks of a run, and the samples that they share."""
    samples: list[Sample] = []
    checks = list(interface.checks(target))
    for section, cases in everything(quick, target.knows_layouts).items():
        for case in cases:
            if not target.has(case.initializer):
                continue
            # A key of its own, so that a case draws the same arrays whichever other cases run.
            key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{case.initializer} {case.label}".encode()))
            samples.append(Sample(target, case, key))
            checks.extend(_planned(section, samples[-1]))
    checks.extend(_of_modules(target, seed, quick))
    checks.extend(replay_checks(target, seed, quick))
    return checks, samples


def _of_modules(target: Target, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Yield the checks of whole modules, for a target that has some. Only these need flax."""
    if target.nnx:
        from .modules.claims import checks

        yield from checks(target.nnx, seed, quick)


def _planned(section: str, sample: Sample) -> list[PlannedCheck]:
    """Return the checks of a case, or one that fails if the initializer cannot be built."""
    try:
        return list(SECTIONS[section](sample))
    except Exception as error:  # what a target raises is a finding, not the end of the run
        result = _refused(error)
        return [PlannedCheck(sample.case.initializer, "callable", sample.case.label, lambda _: result)]


def _refused(error: Exception) -> Result:
    return Result(False, f"{type(error).__name__}: {error}".splitlines()[0][:300], "no exception")


def run(
    target: Target,
    seed: int,
    quick: bool = False,
    select: str = "",
    progress: Callable[[int, int, Check, Result], None] | None = None,
) -> Report:
    """Check `target` against the installed torch.

    Args:
        target: what `targets.load` returns.
        seed: the seed of all draws. Any seed must pass.
        quick: whether to run fewer cases, at the same error rates.
        select: a regular expression. Only checks whose id matches are run.
        progress: called after each check with the number of checks done, the number of all, the check and its result.
    """
    start = time.perf_counter()
    with jax.enable_x64(True):
        planned, samples = plan(target, seed, quick)
        # Over all checks, so that a selected check is judged as in a whole run.
        rates = RATES.over(sum(check.statistical for check in planned))
        checks = [check for check in planned if re.search(select, check.id)]
        del planned
        results = []
        total = len(checks)
        while checks:  # popped one by one, which frees the arrays that a check holds
            check = checks.pop(0)
            results.append((check.identity, evaluate(check, rates)))
            if progress is not None:
                progress(len(results), total, *results[-1])
    drawn = [sample for sample in samples if sample.is_drawn]
    seconds = time.perf_counter() - start
    return Report(target.name, versions(target.name), seed, quick, select, RATES, results, drawn, seconds)


def evaluate(check: PlannedCheck, rates: Rates) -> Result:
    """Return the result of one check, which fails if the target raises."""
    try:
        return check.evaluate(rates)
    except Exception as error:  # as above
        return _refused(error)


# Cached, since it reads the records of every installed package.
_packages = functools.cache(metadata.packages_distributions)


def versions(target: str) -> dict[str, str]:
    """Return the versions of torch, of the package of the target, and of the packages that draw."""
    adapted = [library.package for name, library in adapters.LIBRARIES.items() if name == target]
    own = adapted or _packages().get(target.partition(".")[0].partition(":")[0], [])
    found = {"torch": str(torch_init.version)}
    for package in (*own, "jaxinit", "jax", "jaxlib", "flax", "numpy", "scipy"):
        with contextlib.suppress(metadata.PackageNotFoundError):  # flax may be absent
            found.setdefault(package, metadata.version(package))
    return found
