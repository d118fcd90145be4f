"""Claims about initializers whose entries are independent draws of one distribution."""

import math
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from conformance import distances, reference
from conformance.checks import Check, Evidence, Promise, Sample, close, exact
from conformance.distances import standardized
from conformance.statistics import Average, DistinctValues, Kolmogorov, NormalScale, Statistic, UniformEnds

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
    "tails": (0.7, 0.7),
}
TAILS = 1e-3
"""The share of the values, those furthest out, that are counted as tails."""


def checks(sample: Sample) -> Iterator[Check]:
    """Every claim that this case stands for."""
    case = sample.case
    expected = reference.expected(case.initializer, case.keywords, case.torch_shape)
    if hasattr(sample.init(), "distribution"):
        yield exact(case.initializer, "distribution", case.label, lambda: _same_distribution(sample, expected))
    yield from claims(sample, expected)
    if case.fine:
        yield _beside_torch(sample).check(case)


def claims(sample: Sample, expected: reference.Expected) -> Iterator[Check]:
    """Claims about independent draws of `expected`, whoever claims it."""
    case = sample.case
    wide = jnp.finfo(case.dtype).bits >= 32
    # The largest samples first: those of the others are parts of them.
    promises = [_mean(sample, expected), _shape(sample, expected)]
    if expected.kind == "normal":
        promises.append(_scale(sample, expected) if wide else _tails(sample, expected))
    if expected.kind == "uniform" and wide:
        promises.append(_bounds(sample, expected))
    if case.fine:
        promises += [_moment(sample, expected, order) for order in (2, 3, 4)]
        promises += [_neighbours(sample, expected, axis) for axis in (None, *range(len(case.shape)))]
        promises += [_halves(sample, expected), _leaves(sample, expected)]
        yield exact(case.initializer, "keys", case.label, lambda: _keys(sample))
    if not wide:
        promises.append(_distinct(sample, expected))
    yield from (promise.check(case) for promise in promises)
    yield exact(case.initializer, "support", case.label, lambda: _support(sample, expected))


def _promised(claim: str, sample: Sample) -> float:
    return PROMISED[claim][0 if sample.case.fine else 1]


def _same_distribution(sample: Sample, expected: reference.Expected) -> Evidence:
    """The numbers that an initializer states of itself against those recovered from torch's draws."""
    stated = sample.init().distribution(sample.case.shape)
    if stated.kind != expected.kind:
        return Evidence(False, stated.kind, expected.kind)
    pairs = [(stated.mean, expected.mean), (stated.std, expected.std)]
    pairs += [(a, b) for a, b in zip(stated.support, (expected.low, expected.high), strict=True) if a != b]
    # torch states no moments of a truncated normal; those of `expected` come from a quadrature.
    allowed = 1e-12 if expected.kind == "truncated_normal" else 1e-14
    return close(max(abs(a - b) for a, b in pairs) / expected.scale, allowed)


def _promise(
    claim: str, statistic: Statistic, distance: Callable[[np.ndarray, reference.Expected], float]
) -> Callable[[Sample, reference.Expected], Promise]:
    """A claim about the distance of all entries, in no order."""

    def promise(sample: Sample, expected: reference.Expected) -> Promise:
        def measure(count: int) -> tuple[float, int]:
            values = sample.values(count)
            return distance(values, expected), values.size

        return Promise(claim, statistic, _promised(claim, sample), measure)

    return promise


_mean = _promise("mean", Average(1.0), distances.mean)
_scale = _promise("scale", NormalScale(), distances.scale)
_bounds = _promise("bounds", UniformEnds(), distances.bounds)
_shape = _promise("shape", Kolmogorov(), distances.shape)


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
    below, upto = expected.rounded_cdf(_grid(sample.case.dtype))
    statistic = DistinctValues(np.clip(upto - below, 0.0, 1.0))

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        return abs(np.unique(values).size / statistic.expected(values.size) - 1), values.size

    return Promise("distinct values", statistic, _promised("distinct values", sample), measure)


def _tails(sample: Sample, expected: reference.Expected) -> Promise:
    """How many values lie furthest out, relative to how many ought to; a value that holds more counts whole."""
    grid = _grid(sample.case.dtype)
    below, upto = expected.rounded_cdf(grid)
    first, last = int(np.argmax(upto >= TAILS / 2)), int(np.flatnonzero(1 - below >= TAILS / 2)[-1])
    share = float(upto[first] + 1 - below[last])
    spread, skewness = math.sqrt((1 - share) / share), (1 - 2 * share) / math.sqrt(share * (1 - share))

    def measure(count: int) -> tuple[float, int]:
        values = sample.values(count)
        seen = ((values <= grid[first]) | (values >= grid[last])).mean()
        return abs(seen / share - 1), values.size

    # Where there are more by a share of d, their variance is larger by the same.
    return Promise("tails", Average(spread, skewness, growth=0.5), _promised("tails", sample), measure)


def _grid(dtype: str) -> np.ndarray:
    """All finite values of a narrow dtype, sorted."""
    size = jnp.dtype(dtype).itemsize
    words = np.arange(2 ** (8 * size)).astype(f"u{size}").view(jnp.dtype(dtype))
    with np.errstate(invalid="ignore"):  # some words are signalling NaNs
        return np.unique(words[np.isfinite(words)])


def _support(sample: Sample, expected: reference.Expected) -> Evidence:
    values = sample.values(1)
    outside = distances.outside(values, expected)
    return Evidence(outside == 0, f"{outside} outside", "0 outside", samples=int(values.size))


def _keys(sample: Sample) -> Evidence:
    """One key gives one array, another key another."""
    first, again, other = (sample.array(index) for index in (0, 0, 1))
    same, repeated = bool((first == again).all()), float((first == other).mean())
    seen = f"same key equal: {same}; another key: {repeated:.2%} equal"
    return Evidence(same and repeated < 0.01, seen, "same key equal: True; another key: less than 1% equal")
