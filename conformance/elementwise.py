"""Claims about initializers whose entries are independent draws of one distribution."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from conformance import distances, reference, rounding
from conformance.checks import Check, Evidence, Promise, Sample, close, exact
from conformance.distances import standardized
from conformance.statistics import Average, DistinctValues, Kolmogorov, NormalScale, Seldom, UniformEnds

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
    "neighbours": (0.02, 0.05),
    "halves": (0.02, 0.05),
    "leaves of a model": (0.02, 0.05),
    "distinct values": (0.2, 0.2),
    "tails": (1.0, 0.7),
    "support": (2e-5, 1e-4),
    "keys": (0.5, 0.5),
}
TAILS = 5e-5, 1e-3
"""The share of the values, those furthest out, that are counted as tails, likewise."""


def checks(sample: Sample) -> Iterator[Check]:
    """Every claim that this case stands for."""
    case = sample.case
    expected = reference.expected(case.initializer, case.keywords, case.torch_shape)
    stated = _stated(sample)
    if stated is not None:
        yield exact(case.initializer, "distribution", case.label, lambda: _same_distribution(stated, expected))
    yield from claims(sample, expected)
    if case.fine:
        yield _beside_torch(sample).check(case)


def claims(sample: Sample, expected: reference.Expected) -> Iterator[Check]:
    """Claims about independent draws of `expected`, whoever claims it."""
    case = sample.case
    wide = not rounding.is_narrow(case.dtype)
    # The largest samples first: those of the others are parts of them.
    promises = [_mean(sample, expected), _shape(sample, expected), _support(sample, expected)]
    if expected.kind == "normal":
        promises.append(_tails(sample, expected))
    if expected.kind == "normal" and wide:
        promises.append(_scale(sample, expected))
    if expected.kind == "uniform" and wide:
        promises.append(_bounds(sample, expected))
    correlated = [axis for axis, letter in enumerate(case.axes) if case.fine or letter == "b"]
    promises += [_neighbours(sample, expected, axis) for axis in correlated]
    if case.fine and jnp.finfo(case.dtype).nmant >= 7 and not rounding.ends(expected, case.dtype):
        promises += [_moment(sample, expected, order) for order in (2, 3, 4)]  # which rounding hardly moves
    if case.fine:
        promises += [_neighbours(sample, expected, None), _halves(sample, expected), _leaves(sample, expected)]
        promises.append(_keys(sample, expected))
        yield exact(case.initializer, "same key", case.label, lambda: _same_key(sample))
    if not wide:
        promises.append(_distinct(sample, expected))
    elif case.fine and _repeats(sample, expected) < 0.05:
        promises.append(_unrepeated(sample, expected))
    yield from (promise.check(case) for promise in promises)


def _promised(claim: str, sample: Sample) -> float:
    return _of(PROMISED[claim], sample)


def _of(pair: tuple[float, float], sample: Sample) -> float:
    """Of what holds for fine cases and what holds for the others."""
    return pair[0 if sample.case.fine else 1]


def _stated(sample: Sample) -> Any:
    """The distribution that an initializer states of itself; None where it has no such method."""
    ask = getattr(sample.init(), "distribution", None)
    stated = ask(sample.case.shape) if callable(ask) else None
    return stated if reference.is_distribution(stated) else None


def _same_distribution(stated: Any, expected: reference.Expected) -> Evidence:
    """The numbers that an initializer states of itself against those recovered from torch's draws."""
    if stated.kind != expected.kind:
        return Evidence(False, stated.kind, expected.kind)
    pairs = [(stated.mean, expected.mean), (stated.std, expected.std)]
    pairs += [(a, b) for a, b in zip(stated.support, (expected.low, expected.high), strict=True) if a != b]
    # torch states no moments of a truncated normal; those of `expected` come from a quadrature.
    allowed = 1e-12 if expected.kind == "truncated_normal" else 1e-14
    return close(max(abs(a - b) for a, b in pairs) / expected.scale, allowed)


def _values(
    sample: Sample, expected: reference.Expected, distance: Callable[[np.ndarray, reference.Expected], float]
) -> Callable[[int], tuple[float, int]]:
    """Measures the distance of all entries, in no order."""

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return distance(values, expected), values.size

    return measure


def _mean(sample: Sample, expected: reference.Expected) -> Promise:
    slack = rounding.ends(expected, sample.case.dtype)
    slack *= (expected.high - expected.low) / expected.std if slack else 0.0
    measure = _values(sample, expected, distances.mean)
    return Promise("mean", Average(1.0, slack=slack), _promised("mean", sample) + slack, measure)


def _shape(sample: Sample, expected: reference.Expected) -> Promise:
    slack = rounding.ends(expected, sample.case.dtype)
    measure = _values(sample, expected, distances.shape)
    return Promise("shape", Kolmogorov(slack=slack), _promised("shape", sample) + slack, measure)


def _scale(sample: Sample, expected: reference.Expected) -> Promise:
    return Promise("scale", NormalScale(), _promised("scale", sample), _values(sample, expected, distances.scale))


def _bounds(sample: Sample, expected: reference.Expected) -> Promise:
    return Promise("bounds", UniformEnds(), _promised("bounds", sample), _values(sample, expected, distances.bounds))


def _support(sample: Sample, expected: reference.Expected) -> Promise:
    """The share of values that lie outside, where none may."""
    return Promise("support", Seldom(0.0), _promised("support", sample), _values(sample, expected, distances.outside))


def _moment(sample: Sample, expected: reference.Expected, order: int) -> Promise:
    first, second, third = (expected.moment(times * order) for times in (1, 2, 3))
    spread = math.sqrt(second - first**2)
    skewness = (third - 3 * first * second + 2 * first**3) / spread**3

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return abs((standardized(values, expected) ** order).mean() - first), values.size

    statistic = Average(spread, skewness, growth=0.0 if order % 2 else 1 / first)
    return Promise(f"moment {order}", statistic, _promised(f"moment {order}", sample), measure)


def _beside_torch(sample: Sample) -> Promise:
    """Two samples of one size, the other being torch's own; their distance at every seen value."""

    def measure(count: int) -> tuple[float, int]:
        ours, theirs = np.sort(sample.values(count)[:count]), np.sort(sample.torch_values(count))
        seen = np.concatenate([ours, theirs])
        shares = (np.searchsorted(each, seen, side="right") / count for each in (ours, theirs))
        return float(np.abs(np.subtract(*shares)).max()), count

    return Promise("shape beside torch", Kolmogorov(sides=2), _promised("shape beside torch", sample), measure)


def _neighbours(sample: Sample, expected: reference.Expected, axis: int | None) -> Promise:
    """Correlation of entries side by side along an axis, or in the arrays of neighbouring keys."""
    shape = sample.case.shape
    pairs = math.prod(shape) if axis is None else math.prod(shape) // shape[axis] * (shape[axis] - 1)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // pairs) + (axis is None)), expected)
        arrays = np.moveaxis(arrays, 0 if axis is None else axis + 1, 0)
        products = arrays[1:] * arrays[:-1]
        return abs(products.mean()), products.size

    where = "keys" if axis is None else f"axis {axis}"
    return Promise(f"neighbours along {where}", Average(1.0), _promised("neighbours", sample), measure)


def _halves(sample: Sample, expected: reference.Expected) -> Promise:
    """Correlation of the first half of each array with the second."""
    size = math.prod(sample.case.shape)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // (size // 2))), expected).reshape(-1, size)
        products = arrays[:, : size // 2] * arrays[:, -(size // 2) :]
        return abs(products.mean()), products.size

    return Promise("halves", Average(1.0), _promised("halves", sample), measure)


def _leaves(sample: Sample, expected: reference.Expected) -> Promise:
    """Correlation of two leaves of a model: neighbouring keys, shapes that share a prefix.

    (Under one key such leaves do share numbers, in torch as in JAX: the smaller is where the larger begins.)
    """
    longer, size = sample.longer(), math.prod(sample.case.shape)

    def measure(count: int) -> tuple[float, int]:
        leaves = -(-count // size)
        first = standardized(sample.arrays(leaves), expected).reshape(leaves, size)
        second = longer.arrays(leaves + 1)[1:].reshape(leaves, -1)[:, :size].astype(np.float64)
        # Its fans are others, and so is its scale: measured, which changes a correlation of 0 in second order only.
        return abs((first * (second - second.mean()) / second.std()).mean()), first.size

    return Promise("leaves of a model", Average(1.0), _promised("leaves of a model", sample), measure)


def _distinct(sample: Sample, expected: reference.Expected) -> Promise:
    """How many different values are seen, against the number that the rounded distribution has in store."""
    statistic = DistinctValues(rounding.chances(expected, sample.case.dtype))

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return abs(np.unique(values).size / statistic.expected(values.size) - 1), values.size

    return Promise("distinct values", statistic, _promised("distinct values", sample), measure)


def _repeats(sample: Sample, expected: reference.Expected) -> float:
    """The share of an array's entries that repeat an earlier one, at most."""
    return rounding.coincidence(expected, sample.case.dtype) * math.prod(sample.case.shape) / 2


def _unrepeated(sample: Sample, expected: reference.Expected) -> Promise:
    """The share of the entries that repeat an earlier one of their array."""

    def measure(count: int) -> tuple[float, int]:
        arrays = sample.arrays(-(-count // math.prod(sample.case.shape)))
        return float(np.mean([1 - np.unique(array).size / array.size for array in arrays])), arrays.size

    statistic = Seldom(_repeats(sample, expected))
    return Promise("distinct values", statistic, _promised("distinct values", sample), measure)


def _tails(sample: Sample, expected: reference.Expected) -> Promise:
    """How many values lie furthest out, relative to how many ought to."""
    tail = _of(TAILS, sample) / 2
    ends = np.array([expected.scipy.ppf(tail), expected.scipy.isf(tail)]).astype(jnp.dtype(sample.case.dtype))
    below, upto = expected.rounded_cdf(ends)
    share = float(upto[0] + 1 - below[1])
    spread, skewness = math.sqrt((1 - share) / share), (1 - 2 * share) / math.sqrt(share * (1 - share))

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        seen = ((values <= ends[0]) | (values >= ends[1])).mean()
        return abs(seen / share - 1), values.size

    # Where there are more by a share of d, their variance is larger by the same.
    return Promise("tails", Average(spread, skewness, growth=0.5), _promised("tails", sample), measure)


def _keys(sample: Sample, expected: reference.Expected) -> Promise:
    """The share of entries that are equal from one key to the next."""

    def measure(count: int) -> tuple[float, int]:
        arrays = sample.arrays(2 * -(-count // math.prod(sample.case.shape)))
        equal = arrays[0::2] == arrays[1::2]
        return float(equal.mean()), equal.size

    statistic = Seldom(rounding.coincidence(expected, sample.case.dtype))
    return Promise("keys", statistic, _promised("keys", sample), measure)


def _same_key(sample: Sample) -> Evidence:
    first, again = (sample.array(0) for _ in range(2))
    return Evidence(bool((first == again).all()), f"{(first == again).mean():.2%} equal", "100.00% equal")
