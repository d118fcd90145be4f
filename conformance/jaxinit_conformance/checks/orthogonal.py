"""Claims about orthogonal matrices: lengths, right angles, and the Haar distribution."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from ..axes import to_torch
from ..statistics.deviations import kolmogorov_distance
from ..statistics.tests import Average, Kolmogorov
from .check import PlannedCheck, Result, Sample, StatisticalCheck, close, exact
from .independence import differing

ROUNDING = {"float32": 1e-5, "float64": 1e-12}
HAAR_SHAPE, HAAR_SIGN, LARGE_HAAR_SHAPE = 0.05, 0.1, 0.3
"""The deviations that are detected: of a corner entry, of the mean sign, and of a corner of a large matrix."""


def checks(sample: Sample) -> Iterator[PlannedCheck]:
    """Yield the checks of a case: rows or columns, whichever are fewer, have length `gain` and right angles."""
    case = sample.case
    if "b" not in case.axes:
        yield from _marginals(sample, LARGE_HAAR_SHAPE)
    yield exact(case.initializer, "orthonormal", case.label, lambda: _orthonormal(sample))
    yield from differing(sample)


def haar(sample: Sample) -> Iterator[PlannedCheck]:
    """Yield the checks of a small matrix: it is uniform over all (semi-)orthogonal matrices."""
    yield from _marginals(sample, HAAR_SHAPE)
    rows, *rest = sample.case.torch_shape
    if rows == math.prod(rest):
        yield _determinant(sample).planned(sample.case)


def haar_coordinate(size: int, gain: float = 1.0) -> Any:
    """Return scipy's distribution of an entry of `gain` times an orthogonal matrix whose longer side is `size`.

    An entry is a coordinate of a random unit vector, so its square has a beta distribution.
    """
    return stats.beta((size - 1) / 2, (size - 1) / 2, loc=-gain, scale=2 * gain)


def _matrices(sample: Sample, count: int) -> np.ndarray:
    weights = to_torch(sample.arrays(count), sample.case.axes).astype(np.float64)
    return weights.reshape(len(weights), weights.shape[1], -1)


def _orthonormal(sample: Sample) -> Result:
    case, matrices = sample.case, _matrices(sample, 2)
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.transpose(0, 2, 1)
    products = matrices @ matrices.transpose(0, 2, 1) / case.keywords.get("gain", 1.0) ** 2
    return close(float(np.abs(products - np.eye(products.shape[-1])).max()), ROUNDING[case.dtype])


def _marginals(sample: Sample, detected: float) -> Iterator[PlannedCheck]:
    """Yield a check of the entry in each corner. A missing sign after the QR shows in the first."""
    rows, *rest = sample.case.torch_shape
    columns = math.prod(rest)
    coordinate = haar_coordinate(max(rows, columns), sample.case.keywords.get("gain", 1.0))
    for row, column in sorted({(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)}):
        yield _marginal(sample, row, column, coordinate, detected).planned(sample.case)


def _marginal(sample: Sample, row: int, column: int, coordinate: Any, detected: float) -> StatisticalCheck:
    def measure(count: int) -> tuple[float, int]:
        values, counts = np.unique(_matrices(sample, count)[:count, row, column], return_counts=True)
        claimed = coordinate.cdf(values)
        return kolmogorov_distance(counts, claimed, claimed), count

    corner = [0 if index == 0 else -1 for index in (row, column)]
    return StatisticalCheck(f"Haar marginal {corner}", Kolmogorov(), detected, measure)


def _determinant(sample: Sample) -> StatisticalCheck:
    """Compare the numbers of rotations and reflections, which are equally likely."""

    def measure(count: int) -> tuple[float, int]:
        return abs(np.sign(np.linalg.det(_matrices(sample, count)[:count])).mean()), count

    return StatisticalCheck("determinant sign", Average(1.0), HAAR_SIGN, measure)
