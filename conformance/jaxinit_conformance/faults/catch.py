"""Planting faults one at a time, and looking for the check that catches each."""

import contextlib
import dataclasses
import multiprocessing
import re
from collections.abc import Callable, Iterator
from concurrent import futures

import jax

from .. import suite
from ..checks.check import Check, Result
from ..statistics.tests import RATES
from . import distributions, independence, interface, matrices, modules, replay
from .fault import PLANTED, Fault

CHECK_RATES = RATES.over(suite.QUICK_CHECKS)
"""The error rates of one check of a quick run."""

FILES = (distributions, independence, matrices, interface, modules, replay)
FAULTS = tuple(fault for file in FILES for fault in PLANTED[file.__name__])


@dataclasses.dataclass(frozen=True)
class Catch:
    """Represent the check that caught a fault and its result, or None if none did."""

    fault: Fault
    check: Check | None
    result: Result | None


def catch(fault: Fault, seed: int) -> Catch:
    """Run the quick checks of the fault's claims until one fails."""
    wanted = re.compile(f"{re.escape(fault.initializer)}: ({fault.claims}) ")
    with jax.enable_x64(True):
        checks, _ = suite.plan(fault.target(), seed, quick=True)
        for check in checks:
            if wanted.match(check.id) and not (result := suite.evaluate(check, CHECK_RATES)).passed:
                return Catch(fault, check.identity, result)
    return Catch(fault, None, None)


def catch_all(seed: int) -> Iterator[Catch]:
    """Plant every fault."""
    return (catch(fault, seed) for fault in FAULTS)


@contextlib.contextmanager
def caught_beside(seed: int) -> Iterator[Callable[[], list[Catch]]]:
    """Plant every fault in another process, and yield a function that waits for what caught them."""
    spawn = multiprocessing.get_context("spawn")  # JAX has threads, and a forked child would lack them
    with futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        found = pool.submit(_findings, seed)
        yield lambda: [Catch(fault, *finding) for fault, finding in zip(FAULTS, found.result(), strict=True)]


def _findings(seed: int) -> list[tuple[Check | None, Result | None]]:
    """Return what can be sent to another process: faults hold functions that cannot be pickled."""
    return [(caught.check, caught.result) for caught in catch_all(seed)]
