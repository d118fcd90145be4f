"""Claims about initializers whose entries are independent draws of one distribution."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..reference import torch_init
from ..reference.expected import Expected, is_distribution
from ..statistics import deviations, rounding
from ..statistics.deviations import standardized
from ..statistics.tests import Average, Binomial, ChiSquare, DistinctValues, Kolmogorov, Statistic, UniformExtremes
from . import independence
from .check import PlannedCheck, Result, Sample, StatisticalCheck, close, exact

DETECTED = {
    "mean": (0.005, 0.02),
    "scale": (0.01, 0.02),
    "bounds": (2e-5, 3e-4),
    "shape": (0.01, 0.02),
    "shape beside torch": (0.03, 0.05),
    "moment 2": (0.02, 0.05),
    "moment 3": (0.05, 0.1),
    "moment 4": (0.2, 0.5),
    "distinct values": (0.2, 0.2),
    "tails": (1.0, 0.7),
    "support": (2e-5, 1e-4),
}
"""The deviations that are detected, in fine cases and in the other ones."""

TAILS = 5e-5, 1e-3
"""The share of the values that are counted as tails, in fine cases and in the other ones."""


def checks(sample: Sample) -> Iterator[PlannedCheck]:
    """Yield every check of a case."""
    case = sample.case
    expected = torch_init.expected(case.initializer, case.keywords, case.torch_shape)
    stated = _stated(sample)
    if stated is not None:
        yield exact(case.initializer, "distribution", case.label, lambda: _same_distribution(stated, expected))
    yield from claims(sample, expected)
    if case.fine:
        yield _beside_torch(sample).planned(case)


def claims(sample: Sample, expected: Expected) -> Iterator[PlannedCheck]:
    """Yield the checks that the draws are independent, and distributed as `expected`."""
    case = sample.case
    is_wide, is_normal = not rounding.is_narrow(case.dtype), expected.kind == "normal"
    ends = rounding.ends(expected, case.dtype)

    def check(claim: str, statistic: Statistic, distance: Callable[..., float], slack: float = 0.0) -> StatisticalCheck:
        return _of_values(sample, claim, statistic, lambda values: distance(values, expected), slack)

    shift = ends * (expected.high - expected.low) / expected.std if ends else 0.0
    # The largest samples first: the others are parts of them.
    found = [
        check("mean", Average(1.0, slack=shift), deviations.mean, shift),
        check("shape", Kolmogorov(slack=ends), deviations.shape, ends),
        check("support", Binomial(0.0), deviations.outside),
        *([_tails(sample, expected)] if is_normal else []),
        *([check("scale", ChiSquare(), deviations.scale)] if is_normal and is_wide else []),
        *([check("bounds", UniformExtremes(), deviations.bounds)] if expected.kind == "uniform" and is_wide else []),
        *independence.statistical(sample, expected),
    ]
    if case.fine and jnp.finfo(case.dtype).nmant >= 7 and not ends:  # rounding hardly moves these moments
        found += [_moment(sample, expected, order) for order in (2, 3, 4)]
    if not is_wide:
        found.append(_distinct(sample, expected))
    elif case.fine:
        found += _unrepeated(sample, expected)
    yield from (one.planned(case) for one in found)
    if case.fine:
        yield independence.same_key(sample)


def _stated(sample: Sample) -> Any:
    """Return the distribution that an initializer states, or None."""
    ask = getattr(sample.init(), "distribution", None)
    stated = ask(sample.case.shape) if callable(ask) else None
    return stated if is_distribution(stated) else None


def _same_distribution(stated: Any, expected: Expected) -> Result:
    """Compare the numbers that an initializer states with those recovered from torch's draws."""
    if stated.kind != expected.kind:
        return Result(False, stated.kind, expected.kind)
    pairs = [(stated.mean, expected.mean), (stated.std, expected.std)]
    pairs += [(a, b) for a, b in zip(stated.support, (expected.low, expected.high), strict=True) if a != b]
    # The moments of a truncated normal come from a quadrature here, since torch states none.
    allowed = 1e-12 if expected.kind == "truncated_normal" else 1e-14
    return close(max(abs(a - b) for a, b in pairs) / expected.scale, allowed)


def _of_values(
    sample: Sample, claim: str, statistic: Statistic, distance: Callable[[np.ndarray], float], slack: float = 0.0
) -> StatisticalCheck:
    """Return a check of all values in no order. A true claim may be off by `slack`."""

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return distance(values), values.size

    return StatisticalCheck(claim, statistic, sample.case.choice(DETECTED[claim]) + slack, measure)


def _moment(sample: Sample, expected: Expected, order: int) -> StatisticalCheck:
    first, second, third = (expected.moment(times * order) for times in (1, 2, 3))
    spread = math.sqrt(second - first**2)
    skewness = (third - 3 * first * second + 2 * first**3) / spread**3
    statistic = Average(spread, skewness, growth=0.0 if order % 2 else 1 / first)

    def distance(values: np.ndarray) -> float:
        return float(abs((standardized(values, expected) ** order).mean() - first))

    return _of_values(sample, f"moment {order}", statistic, distance)


def _beside_torch(sample: Sample) -> StatisticalCheck:
    """Compare the distribution function with that of as many draws of torch."""

    def measure(count: int) -> tuple[float, int]:
        samples = [np.sort(each) for each in (sample.values(count)[:count], sample.torch_values(count))]
        shares = (np.searchsorted(each, np.concatenate(samples), side="right") / count for each in samples)
        return float(np.abs(np.subtract(*shares)).max()), count

    claim = "shape beside torch"
    return StatisticalCheck(claim, Kolmogorov(sides=2), sample.case.choice(DETECTED[claim]), measure)


def _distinct(sample: Sample, expected: Expected) -> StatisticalCheck:
    """Count distinct values of a narrow dtype, relative to the number that is expected."""
    statistic = DistinctValues(rounding.chances(expected, sample.case.dtype))

    def distance(values: np.ndarray) -> float:
        return abs(np.unique(values).size / statistic.expected(values.size) - 1)

    return _of_values(sample, "distinct values", statistic, distance)


def _unrepeated(sample: Sample, expected: Expected) -> list[StatisticalCheck]:
    """Return a check of the share of entries that repeat an earlier one, unless chance repeats many."""
    size = math.prod(sample.case.shape)
    repeats = rounding.coincidence(expected, sample.case.dtype) * size / 2
    if repeats >= 0.05:
        return []

    def distance(values: np.ndarray) -> float:
        return float(np.mean([1 - np.unique(array).size / size for array in values.reshape(-1, size)]))

    return [_of_values(sample, "distinct values", Binomial(repeats), distance)]


def _tails(sample: Sample, expected: Expected) -> StatisticalCheck:
    """Count the outermost values, relative to the number that is expected."""
    tail = sample.case.choice(TAILS) / 2
    ends = np.array([expected.scipy.ppf(tail), expected.scipy.isf(tail)]).astype(jnp.dtype(sample.case.dtype))
    below, upto = expected.rounded_cdf(ends)
    share = float(upto[0] + 1 - below[1])
    spread, skewness = math.sqrt((1 - share) / share), (1 - 2 * share) / math.sqrt(share * (1 - share))

    def distance(values: np.ndarray) -> float:
        return float(abs(((values <= ends[0]) | (values >= ends[1])).mean() / share - 1))

    # A share that is larger by a factor has a variance that is larger by the same factor.
    return _of_values(sample, "tails", Average(spread, skewness, growth=0.5), distance)
