"""Mistakes on record, planted one at a time, each of which the suite must catch."""

import dataclasses
import re
from collections.abc import Iterator

from conformance import initializer_faults, module_faults, replay_faults, suite
from conformance.checks import Evidence, Subject
from conformance.fault import Fault
from conformance.statistics import Rates

FAULTS = (*initializer_faults.FAULTS, *module_faults.FAULTS, *replay_faults.FAULTS)


@dataclasses.dataclass(frozen=True)
class Catch:
    """How a fault fared: what the failed check that caught it is about, or None for both."""

    fault: Fault
    check: Subject | None
    evidence: Evidence | None


def catch(fault: Fault, seed: int, rates: Rates) -> Catch:
    """Runs the quick checks of the fault's claims until one fails."""
    with suite.wide_numbers():
        checks, _ = suite.plan(
            fault.target(), seed, quick=True, select=f"^{re.escape(fault.initializer)}: ({fault.claims}) "
        )
        for check in checks:
            evidence = suite.evaluate(check, rates)
            if not evidence.passed:
                return Catch(fault, check.subject, evidence)
    return Catch(fault, None, None)


def catch_all(seed: int, rates: Rates) -> Iterator[Catch]:
    """Every planted fault, at the rates of one check of a run."""
    return (catch(fault, seed, rates) for fault in FAULTS)
