"""Claims about orthogonal matrices: their angles, and that they are uniformly distributed."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from ..axes import to_torch
from ..statistics.tests import Average, Kolmogorov, kolmogorov_distance
from .check import PlannedCheck, Result, Sample, StatisticalCheck, close, exact
from .independence import differing

HAAR_SHAPE, HAAR_SIGN, LARGE_HAAR_SHAPE = 0.05, 0.1, 0.3


def orthogonal(sample: Sample) -> Iterator[PlannedCheck]:
    """Rows or columns, whichever are fewer, have length `gain` and right angles."""
    case = sample.case
    if "b" not in case.axes:
        yield from _marginals(sample, LARGE_HAAR_SHAPE)
    yield exact(case.initializer, "orthonormal", case.label, lambda: _orthonormal(sample))
    yield from differing(sample)


def _orthonormal(sample: Sample) -> Result:
    case = sample.case
    weights = to_torch(sample.arrays(2), case.axes).astype(np.float64)
    matrices = weights.reshape(len(weights), weights.shape[1], -1)
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.transpose(0, 2, 1)
    products = matrices @ matrices.transpose(0, 2, 1) / case.keywords.get("gain", 1.0) ** 2
    return close(float(np.abs(products - np.eye(products.shape[-1])).max()), ROUNDING[case.dtype])


def haar(sample: Sample) -> Iterator[PlannedCheck]:
    """Uniform over all (semi-)orthogonal matrices: each entry is a coordinate of a random unit vector."""
    yield from _marginals(sample, HAAR_SHAPE)
    rows, *rest = sample.case.torch_shape
    if rows == math.prod(rest):
        yield _determinant(sample).planned(sample.case)


def _marginals(sample: Sample, promised: float) -> Iterator[PlannedCheck]:
    """The entries in the corners."""
    rows, *rest = sample.case.torch_shape
    columns = math.prod(rest)
    for row, column in sorted({(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)}):
        yield _haar_marginal(sample, row, column, max(rows, columns), promised).planned(sample.case)


def _matrices(sample: Sample, count: int) -> np.ndarray:
    weights = to_torch(sample.arrays(count), sample.case.axes).astype(np.float64)
    return weights.reshape(len(weights), weights.shape[1], -1)[:count]


def haar_coordinate(size: int, gain: float = 1.0) -> Any:
    """The distribution, scipy's, of an entry of an orthogonal matrix whose longer side is `size`, times `gain`."""
    return stats.beta((size - 1) / 2, (size - 1) / 2, loc=-gain, scale=2 * gain)


def _haar_marginal(sample: Sample, row: int, column: int, size: int, promised: float) -> StatisticalCheck:
    coordinate = haar_coordinate(size, sample.case.keywords.get("gain", 1.0))

    def measure(count: int) -> tuple[float, int]:
        values, counts = np.unique(_matrices(sample, count)[:, row, column], return_counts=True)
        claimed = coordinate.cdf(values)
        return kolmogorov_distance(counts, claimed, claimed), count

    corner = [0 if index == 0 else -1 for index in (row, column)]
    return StatisticalCheck(f"Haar marginal {corner}", Kolmogorov(), promised, measure)


def _determinant(sample: Sample) -> StatisticalCheck:
    """Rotations and reflections are equally likely."""

    def measure(count: int) -> tuple[float, int]:
        return abs(np.sign(np.linalg.det(_matrices(sample, count))).mean()), count

    return StatisticalCheck("determinant sign", Average(1.0), HAAR_SIGN, measure)


ROUNDING = {"float32": 1e-5, "float64": 1e-12}
