"""Mistakes on record, planted one at a time, each of which the suite must catch."""

import contextlib
import dataclasses
import multiprocessing
import re
from collections.abc import Callable, Iterator
from concurrent import futures

from .. import suite
from ..checks.check import Evidence, Subject
from ..statistics.tests import RATES
from . import initializer_faults, module_faults, replay_faults
from .fault import Fault

CHECK_RATES = RATES.over(suite.QUICK_CHECKS)
"""Those of one check of a quick run."""

FAULTS = (*initializer_faults.FAULTS, *module_faults.FAULTS, *replay_faults.FAULTS)


@dataclasses.dataclass(frozen=True)
class Catch:
    """How a fault fared: what the failed check that caught it is about, or None for both."""

    fault: Fault
    check: Subject | None
    evidence: Evidence | None


def catch(fault: Fault, seed: int) -> Catch:
    """Runs the quick checks of the fault's claims until one fails."""
    with suite.wide_numbers():
        checks, _ = suite.plan(fault.target(), seed, quick=True)
        for check in checks:
            if not re.match(f"{re.escape(fault.initializer)}: ({fault.claims}) ", check.id):
                continue
            evidence = suite.evaluate(check, CHECK_RATES)
            if not evidence.passed:
                return Catch(fault, check.subject, evidence)
    return Catch(fault, None, None)


def catch_all(seed: int) -> Iterator[Catch]:
    """Every planted fault."""
    return (catch(fault, seed) for fault in FAULTS)


@contextlib.contextmanager
def caught_beside(seed: int) -> Iterator[Callable[[], list[Catch]]]:
    """Plants every fault in a process of its own while this lasts; what is yielded waits for it."""
    spawn = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    with futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        found = pool.submit(_findings, seed)
        yield lambda: [Catch(fault, *finding) for fault, finding in zip(FAULTS, found.result(), strict=True)]


def _findings(seed: int) -> list[tuple[Subject | None, Evidence | None]]:
    """What can be sent to another process: a fault is made of functions without a name."""
    return [(caught.check, caught.evidence) for caught in catch_all(seed)]
