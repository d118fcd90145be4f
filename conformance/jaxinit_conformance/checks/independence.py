"""Claims that entries, halves, arrays, keys and models' leaves have nothing to do with each other."""

import math
from collections.abc import Iterator

import numpy as np

from ..reference.expected import Expected
from ..statistics import rounding
from ..statistics.deviations import standardized
from ..statistics.tests import Average, Binomial
from .check import PlannedCheck, Result, Sample, StatisticalCheck, exact

# Deviations that are sure to be caught: by fine cases, and by the others.
PROMISED = {
    "neighbours": (0.02, 0.05),
    "halves": (0.02, 0.05),
    "leaves of a model": (0.02, 0.05),
    "keys": (0.5, 0.5),
}


def statistical(sample: Sample, expected: Expected) -> list[StatisticalCheck]:
    """All of them of fine cases; of the others, only that stacked arrays are independent."""
    case = sample.case
    axes = [axis for axis, letter in enumerate(case.axes) if case.fine or letter == "b"]
    found = [_neighbours(sample, expected, axis) for axis in axes]
    if case.fine:
        found += [_neighbours(sample, expected, None), _halves(sample, expected), _leaves(sample, expected)]
        found.append(_keys(sample, expected))
    return found


def same_key(sample: Sample) -> PlannedCheck:
    """A key gives the same array each time."""
    return exact(sample.case.initializer, "same key", sample.case.label, lambda: _same_key(sample))


def _neighbours(sample: Sample, expected: Expected, axis: int | None) -> StatisticalCheck:
    """Correlation of entries side by side along an axis, or in the arrays of neighbouring keys."""
    shape = sample.case.shape
    pairs = math.prod(shape) if axis is None else math.prod(shape) // shape[axis] * (shape[axis] - 1)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // pairs) + (axis is None)), expected)
        arrays = np.moveaxis(arrays, 0 if axis is None else axis + 1, 0)
        products = arrays[1:] * arrays[:-1]
        return abs(products.mean()), products.size

    where = "keys" if axis is None else f"axis {axis}"
    return StatisticalCheck(
        f"neighbours along {where}", Average(1.0), sample.case.choice(PROMISED["neighbours"]), measure
    )


def _halves(sample: Sample, expected: Expected) -> StatisticalCheck:
    """Correlation of the first half of each array with the second."""
    size = math.prod(sample.case.shape)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // (size // 2))), expected).reshape(-1, size)
        products = arrays[:, : size // 2] * arrays[:, -(size // 2) :]
        return abs(products.mean()), products.size

    return StatisticalCheck("halves", Average(1.0), sample.case.choice(PROMISED["halves"]), measure)


def _leaves(sample: Sample, expected: Expected) -> StatisticalCheck:
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

    return StatisticalCheck(
        "leaves of a model", Average(1.0), sample.case.choice(PROMISED["leaves of a model"]), measure
    )


def _keys(sample: Sample, expected: Expected) -> StatisticalCheck:
    """The share of entries that are equal from one key to the next."""

    def measure(count: int) -> tuple[float, int]:
        arrays = sample.arrays(2 * -(-count // math.prod(sample.case.shape)))
        equal = arrays[0::2] == arrays[1::2]
        return float(equal.mean()), equal.size

    statistic = Binomial(rounding.coincidence(expected, sample.case.dtype))
    return StatisticalCheck("keys", statistic, sample.case.choice(PROMISED["keys"]), measure)


def _same_key(sample: Sample) -> Result:
    first, again = (sample.array(0) for _ in range(2))
    return Result(bool((first == again).all()), f"{(first == again).mean():.2%} equal", "100.00% equal")


def differing(sample: Sample) -> Iterator[PlannedCheck]:
    """Another key gives another array, and so does another place in a stack."""
    case = sample.case
    yield exact(case.initializer, "keys", case.label, lambda: _differ(*sample.arrays(2)))
    if "b" in case.axes:
        yield exact(case.initializer, "stacked arrays", case.label, lambda: _differ(*sample.arrays(2)[0][:2]))


def _differ(first: np.ndarray, second: np.ndarray) -> Result:
    """Hundreds of entries of two arrays differ, and so do the places of their zeros."""
    zeros = [array == 0 for array in (first, second)]
    repeated = float((first == second)[~zeros[0]].mean()), bool(zeros[0].any() and (zeros[0] == zeros[1]).all())
    seen = f"values equal: {repeated[0]:.2%}; zeros in the same places: {repeated[1]}"
    wanted = "values equal: less than 1%; zeros in the same places: False"
    return Result(repeated[0] < 0.01 and not repeated[1], seen, wanted)
