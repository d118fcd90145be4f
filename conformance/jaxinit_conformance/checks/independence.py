"""Claims that entries, halves, arrays, keys and leaves of a model are independent."""

import math
from collections.abc import Iterator

import numpy as np

from ..reference.expected import Expected
from ..statistics import rounding
from ..statistics.deviations import standardized
from ..statistics.tests import Average, Binomial, Statistic
from .check import Measure, PlannedCheck, Result, Sample, StatisticalCheck, exact

DETECTED = {
    "neighbours": (0.02, 0.05),
    "halves": (0.02, 0.05),
    "leaves of a model": (0.02, 0.05),
    "keys": (0.5, 0.5),
}
"""The deviations that are detected, in fine cases and in the other ones."""


def statistical(sample: Sample, expected: Expected) -> list[StatisticalCheck]:
    """Return all checks of a fine case. Other cases are checked along axes that stack arrays."""
    case = sample.case
    axes = [axis for axis, letter in enumerate(case.axes) if case.fine or letter == "b"]
    found = [_neighbours(sample, expected, axis) for axis in axes]
    if case.fine:
        found += [_neighbours(sample, expected, None), _halves(sample, expected), _leaves(sample, expected)]
        found.append(_keys(sample, expected))
    return found


def same_key(sample: Sample) -> PlannedCheck:
    """Return the check that one key gives the same array each time."""
    return exact(sample.case.initializer, "same key", sample.case.label, lambda: _same_key(sample))


def _same_key(sample: Sample) -> Result:
    equal = sample.array(0) == sample.array(0)
    return Result(bool(equal.all()), f"{equal.mean():.2%} equal", "100.00% equal")


def differing(sample: Sample) -> Iterator[PlannedCheck]:
    """Yield the checks that another key, and another place in a stack, give another array."""
    case = sample.case
    yield exact(case.initializer, "keys", case.label, lambda: _differ(*sample.arrays(2)))
    if "b" in case.axes:
        yield exact(case.initializer, "stacked arrays", case.label, lambda: _differ(*sample.arrays(2)[0][:2]))


def _differ(first: np.ndarray, second: np.ndarray) -> Result:
    """Compare the values of two arrays, and the places of their zeros."""
    zeros = [array == 0 for array in (first, second)]
    repeated = float((first == second)[~zeros[0]].mean()), bool(zeros[0].any() and (zeros[0] == zeros[1]).all())
    observed = f"values equal: {repeated[0]:.2%}; zeros in the same places: {repeated[1]}"
    expected = "values equal: less than 1%; zeros in the same places: False"
    return Result(repeated[0] < 0.01 and not repeated[1], observed, expected)


def _check(sample: Sample, claim: str, measure: Measure, statistic: Statistic | None = None) -> StatisticalCheck:
    """Return a check of an average product of standardized values, or of another statistic."""
    detected = sample.case.choice(DETECTED[claim.split(" along ")[0]])
    return StatisticalCheck(claim, statistic or Average(1.0), detected, measure)


def _neighbours(sample: Sample, expected: Expected, axis: int | None) -> StatisticalCheck:
    """Correlate entries side by side along an axis, or in the arrays of neighbouring keys."""
    shape = sample.case.shape
    pairs = math.prod(shape) if axis is None else math.prod(shape) // shape[axis] * (shape[axis] - 1)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // pairs) + (axis is None)), expected)
        arrays = np.moveaxis(arrays, 0 if axis is None else axis + 1, 0)
        products = arrays[1:] * arrays[:-1]
        return abs(products.mean()), products.size

    return _check(sample, f"neighbours along {'keys' if axis is None else f'axis {axis}'}", measure)


def _halves(sample: Sample, expected: Expected) -> StatisticalCheck:
    """Correlate the first half of each array with the second."""
    size = math.prod(sample.case.shape)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // (size // 2))), expected).reshape(-1, size)
        products = arrays[:, : size // 2] * arrays[:, -(size // 2) :]
        return abs(products.mean()), products.size

    return _check(sample, "halves", measure)


def _leaves(sample: Sample, expected: Expected) -> StatisticalCheck:
    """Correlate two leaves of a model: neighbouring keys, and shapes that share a prefix.

    With one key such leaves share numbers, in torch as in JAX: the larger begins with the smaller.
    """
    longer, size = sample.longer(), math.prod(sample.case.shape)

    def measure(count: int) -> tuple[float, int]:
        leaves = -(-count // size)
        first = standardized(sample.arrays(leaves), expected).reshape(leaves, size)
        second = longer.arrays(leaves + 1)[1:].reshape(leaves, -1)[:, :size].astype(np.float64)
        # The longer leaf has other fans, so its scale is measured. That moves a correlation of 0 in second order only.
        return abs((first * (second - second.mean()) / second.std()).mean()), first.size

    return _check(sample, "leaves of a model", measure)


def _keys(sample: Sample, expected: Expected) -> StatisticalCheck:
    """Count the entries that are equal for two keys."""

    def measure(count: int) -> tuple[float, int]:
        arrays = sample.arrays(2 * -(-count // math.prod(sample.case.shape)))
        equal = arrays[0::2] == arrays[1::2]
        return float(equal.mean()), equal.size

    return _check(sample, "keys", measure, Binomial(rounding.coincidence(expected, sample.case.dtype)))
