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
from ..statistics.tests import Average, Binomial, ChiSquare, DistinctValues, Kolmogorov, UniformExtremes
from . import independence
from .check import PlannedCheck, Result, Sample, StatisticalCheck, close, exact

# Deviations that are sure to be caught: by fine cases, and by the others.
PROMISED = {
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
TAILS = 5e-5, 1e-3
"""The share of the values, those furthest out, that are counted as tails, likewise."""


def checks(sample: Sample) -> Iterator[PlannedCheck]:
    """Every claim that this case stands for."""
    case = sample.case
    expected = torch_init.expected(case.initializer, case.keywords, case.torch_shape)
    stated = _stated(sample)
    if stated is not None:
        yield exact(case.initializer, "distribution", case.label, lambda: _same_distribution(stated, expected))
    yield from claims(sample, expected)
    if case.fine:
        yield _beside_torch(sample).planned(case)


def claims(sample: Sample, expected: Expected) -> Iterator[PlannedCheck]:
    """Claims about independent draws of `expected`, whoever claims it."""
    case = sample.case
    wide = not rounding.is_narrow(case.dtype)
    # The largest samples first: those of the others are parts of them.
    found = [_mean(sample, expected), _shape(sample, expected), _support(sample, expected)]
    if expected.kind == "normal":
        found.append(_tails(sample, expected))
    if expected.kind == "normal" and wide:
        found.append(_scale(sample, expected))
    if expected.kind == "uniform" and wide:
        found.append(_bounds(sample, expected))
    found += independence.statistical(sample, expected)
    if case.fine and jnp.finfo(case.dtype).nmant >= 7 and not rounding.ends(expected, case.dtype):
        found += [_moment(sample, expected, order) for order in (2, 3, 4)]  # which rounding hardly moves
    if not wide:
        found.append(_distinct(sample, expected))
    elif case.fine:
        found += _unrepeated(sample, expected)
    yield from (check.planned(case) for check in found)
    if case.fine:
        yield independence.same_key(sample)


def _stated(sample: Sample) -> Any:
    """The distribution that an initializer states of itself; None where it has no such method."""
    ask = getattr(sample.init(), "distribution", None)
    stated = ask(sample.case.shape) if callable(ask) else None
    return stated if is_distribution(stated) else None


def _same_distribution(stated: Any, expected: Expected) -> Result:
    """The numbers that an initializer states of itself against those recovered from torch's draws."""
    if stated.kind != expected.kind:
        return Result(False, stated.kind, expected.kind)
    pairs = [(stated.mean, expected.mean), (stated.std, expected.std)]
    pairs += [(a, b) for a, b in zip(stated.support, (expected.low, expected.high), strict=True) if a != b]
    # torch states no moments of a truncated normal; those of `expected` come from a quadrature.
    allowed = 1e-12 if expected.kind == "truncated_normal" else 1e-14
    return close(max(abs(a - b) for a, b in pairs) / expected.scale, allowed)


def _values(
    sample: Sample, expected: Expected, distance: Callable[[np.ndarray, Expected], float]
) -> Callable[[int], tuple[float, int]]:
    """Measures the distance of all entries, in no order."""

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return distance(values, expected), values.size

    return measure


def _mean(sample: Sample, expected: Expected) -> StatisticalCheck:
    slack = rounding.ends(expected, sample.case.dtype)
    slack *= (expected.high - expected.low) / expected.std if slack else 0.0
    measure = _values(sample, expected, deviations.mean)
    return StatisticalCheck("mean", Average(1.0, slack=slack), sample.case.choice(PROMISED["mean"]) + slack, measure)


def _shape(sample: Sample, expected: Expected) -> StatisticalCheck:
    slack = rounding.ends(expected, sample.case.dtype)
    measure = _values(sample, expected, deviations.shape)
    return StatisticalCheck("shape", Kolmogorov(slack=slack), sample.case.choice(PROMISED["shape"]) + slack, measure)


def _scale(sample: Sample, expected: Expected) -> StatisticalCheck:
    return StatisticalCheck(
        "scale", ChiSquare(), sample.case.choice(PROMISED["scale"]), _values(sample, expected, deviations.scale)
    )


def _bounds(sample: Sample, expected: Expected) -> StatisticalCheck:
    return StatisticalCheck(
        "bounds",
        UniformExtremes(),
        sample.case.choice(PROMISED["bounds"]),
        _values(sample, expected, deviations.bounds),
    )


def _support(sample: Sample, expected: Expected) -> StatisticalCheck:
    """The share of values that lie outside, where none may."""
    return StatisticalCheck(
        "support", Binomial(0.0), sample.case.choice(PROMISED["support"]), _values(sample, expected, deviations.outside)
    )


def _moment(sample: Sample, expected: Expected, order: int) -> StatisticalCheck:
    first, second, third = (expected.moment(times * order) for times in (1, 2, 3))
    spread = math.sqrt(second - first**2)
    skewness = (third - 3 * first * second + 2 * first**3) / spread**3

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return abs((standardized(values, expected) ** order).mean() - first), values.size

    statistic = Average(spread, skewness, growth=0.0 if order % 2 else 1 / first)
    return StatisticalCheck(f"moment {order}", statistic, sample.case.choice(PROMISED[f"moment {order}"]), measure)


def _beside_torch(sample: Sample) -> StatisticalCheck:
    """Two samples of one size, the other being torch's own; their distance at every seen value."""

    def measure(count: int) -> tuple[float, int]:
        ours, theirs = np.sort(sample.values(count)[:count]), np.sort(sample.torch_values(count))
        seen = np.concatenate([ours, theirs])
        shares = (np.searchsorted(each, seen, side="right") / count for each in (ours, theirs))
        return float(np.abs(np.subtract(*shares)).max()), count

    return StatisticalCheck(
        "shape beside torch", Kolmogorov(sides=2), sample.case.choice(PROMISED["shape beside torch"]), measure
    )


def _distinct(sample: Sample, expected: Expected) -> StatisticalCheck:
    """How many different values are seen, against the number that the rounded distribution has in store."""
    statistic = DistinctValues(rounding.chances(expected, sample.case.dtype))

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return abs(np.unique(values).size / statistic.expected(values.size) - 1), values.size

    return StatisticalCheck("distinct values", statistic, sample.case.choice(PROMISED["distinct values"]), measure)


def _unrepeated(sample: Sample, expected: Expected) -> list[StatisticalCheck]:
    """The share of the entries that repeat an earlier one of their array; no claim where chance repeats many."""
    size = math.prod(sample.case.shape)
    repeats = rounding.coincidence(expected, sample.case.dtype) * size / 2
    if repeats >= 0.05:
        return []

    def measure(count: int) -> tuple[float, int]:
        arrays = sample.arrays(-(-count // size))
        return float(np.mean([1 - np.unique(array).size / array.size for array in arrays])), arrays.size

    promised = sample.case.choice(PROMISED["distinct values"])
    return [StatisticalCheck("distinct values", Binomial(repeats), promised, measure)]


def _tails(sample: Sample, expected: Expected) -> StatisticalCheck:
    """How many values lie furthest out, relative to how many ought to."""
    tail = sample.case.choice(TAILS) / 2
    ends = np.array([expected.scipy.ppf(tail), expected.scipy.isf(tail)]).astype(jnp.dtype(sample.case.dtype))
    below, upto = expected.rounded_cdf(ends)
    share = float(upto[0] + 1 - below[1])
    spread, skewness = math.sqrt((1 - share) / share), (1 - 2 * share) / math.sqrt(share * (1 - share))

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        seen = ((values <= ends[0]) | (values >= ends[1])).mean()
        return abs(seen / share - 1), values.size

    # Where there are more by a share of d, their variance is larger by the same.
    return StatisticalCheck(
        "tails", Average(spread, skewness, growth=0.5), sample.case.choice(PROMISED["tails"]), measure
    )
