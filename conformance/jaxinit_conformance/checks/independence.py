"""Claims that entries, halves, arrays, keys and models' leaves have nothing to do with each other."""

import math

import numpy as np

from ..reference import torch_init
from ..statistics import rounding
from ..statistics.deviations import standardized
from ..statistics.tests import Average, Seldom
from .check import Check, Evidence, Promise, Sample, exact

# Deviations that are sure to be caught: by fine cases, and by the others.
PROMISED = {
    "neighbours": (0.02, 0.05),
    "halves": (0.02, 0.05),
    "leaves of a model": (0.02, 0.05),
    "keys": (0.5, 0.5),
}


def promises(sample: Sample, expected: torch_init.Expected) -> list[Promise]:
    """All of them of fine cases; of the others, only that stacked arrays are independent."""
    case = sample.case
    axes = [axis for axis, letter in enumerate(case.axes) if case.fine or letter == "b"]
    found = [_neighbours(sample, expected, axis) for axis in axes]
    if case.fine:
        found += [_neighbours(sample, expected, None), _halves(sample, expected), _leaves(sample, expected)]
        found.append(_keys(sample, expected))
    return found


def same_key(sample: Sample) -> Check:
    """A key gives the same array each time."""
    return exact(sample.case.initializer, "same key", sample.case.label, lambda: _same_key(sample))


def _neighbours(sample: Sample, expected: torch_init.Expected, axis: int | None) -> Promise:
    """Correlation of entries side by side along an axis, or in the arrays of neighbouring keys."""
    shape = sample.case.shape
    pairs = math.prod(shape) if axis is None else math.prod(shape) // shape[axis] * (shape[axis] - 1)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // pairs) + (axis is None)), expected)
        arrays = np.moveaxis(arrays, 0 if axis is None else axis + 1, 0)
        products = arrays[1:] * arrays[:-1]
        return abs(products.mean()), products.size

    where = "keys" if axis is None else f"axis {axis}"
    return Promise(f"neighbours along {where}", Average(1.0), sample.case.choice(PROMISED["neighbours"]), measure)


def _halves(sample: Sample, expected: torch_init.Expected) -> Promise:
    """Correlation of the first half of each array with the second."""
    size = math.prod(sample.case.shape)

    def measure(count: int) -> tuple[float, int]:
        arrays = standardized(sample.arrays(-(-count // (size // 2))), expected).reshape(-1, size)
        products = arrays[:, : size // 2] * arrays[:, -(size // 2) :]
        return abs(products.mean()), products.size

    return Promise("halves", Average(1.0), sample.case.choice(PROMISED["halves"]), measure)


def _leaves(sample: Sample, expected: torch_init.Expected) -> Promise:
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

    return Promise("leaves of a model", Average(1.0), sample.case.choice(PROMISED["leaves of a model"]), measure)


def _keys(sample: Sample, expected: torch_init.Expected) -> Promise:
    """The share of entries that are equal from one key to the next."""

    def measure(count: int) -> tuple[float, int]:
        arrays = sample.arrays(2 * -(-count // math.prod(sample.case.shape)))
        equal = arrays[0::2] == arrays[1::2]
        return float(equal.mean()), equal.size

    statistic = Seldom(rounding.coincidence(expected, sample.case.dtype))
    return Promise("keys", statistic, sample.case.choice(PROMISED["keys"]), measure)


def _same_key(sample: Sample) -> Evidence:
    first, again = (sample.array(0) for _ in range(2))
    return Evidence(bool((first == again).all()), f"{(first == again).mean():.2%} equal", "100.00% equal")
