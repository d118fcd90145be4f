"""Claims about sparse: the number and the places of zeros in each column, and the normal values elsewhere."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from ..axes import to_torch
from ..reference import torch_init
from ..statistics.deviations import kolmogorov_distance
from ..statistics.tests import Average, Binomial, ChiSquare, Kolmogorov, Pearson
from .cases import Case
from .check import PlannedCheck, Result, Sample, StatisticalCheck, exact
from .independence import differing

POSITIONS, COLUMNS, ROWS, BEYOND, SHAPE, SCALE = 0.05, 0.05, 0.2, 0.5, 0.03, 0.03
"""The deviations that are detected."""

NORMAL_IS_ZERO = 2.0**-23
"""The chance that a float32 normal of torch is 0: its radius or its sine is, in half of the draws."""


def checks(sample: Sample) -> Iterator[PlannedCheck]:
    """Yield every check of a case."""
    case = sample.case
    rows = case.torch_shape[0]
    zeros = math.ceil(case.keywords["sparsity"] * rows)
    # The largest samples first: the others are parts of them.
    yield _positions(sample, rows, zeros).planned(case)
    yield _columns(sample, rows, zeros).planned(case)
    yield _rows(sample, rows, zeros).planned(case)
    yield exact(case.initializer, "zeros in each column", case.label, lambda: _zeros_in_columns(sample, zeros))
    yield _beyond(sample, rows, zeros).planned(case)
    yield from differing(sample)
    yield _shape(sample).planned(case)
    yield _scale(sample).planned(case)


def sparse_std(case: Case) -> float:
    """Return the standard deviation of the entries that are not zero."""
    std: float = case.keywords.get("std", torch_init.parameters("sparse")["std"])
    return std


def _weights(sample: Sample, columns: int) -> np.ndarray:
    """Return weights `(out, in)` that have at least so many columns together."""
    arrays = -(-columns // (math.prod(sample.case.shape) // sample.case.torch_shape[0]))
    return to_torch(sample.arrays(max(arrays, 40)), sample.case.axes)  # all claims share one compiled program


def _zeros_in_columns(sample: Sample, zeros: int) -> Result:
    seen = (_weights(sample, 1000) == 0).sum(axis=1)
    return Result(bool((seen >= zeros).all()), f"fewest {seen.min()}", f"{zeros}", samples=int(seen.size))


def _beyond(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Count the arrays with more zeros than that. A normal value is 0 too, though seldom."""

    def measure(count: int) -> tuple[float, int]:
        seen = (to_torch(sample.arrays(count), sample.case.axes) == 0).sum(axis=1)
        return float((seen > zeros).any(axis=1).mean()), count

    normals = math.prod(sample.case.shape) // rows * (rows - zeros)
    return StatisticalCheck("zeros beyond them", Binomial(normals * NORMAL_IS_ZERO), BEYOND, measure)


def _positions(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Count the zeros of each row. A fixed number a column makes them less spread than independent ones."""
    share = zeros / rows

    def measure(count: int) -> tuple[float, int]:
        zero = _weights(sample, count) == 0
        columns = zero.shape[0] * zero.shape[2]
        excess = zero.sum(axis=(0, 2)) / columns - share
        return float((excess**2).sum() / (share * (1 - share)) * (rows - 1) / rows), columns

    return StatisticalCheck("zeros over rows", Pearson(rows), POSITIONS, measure)


def _columns(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Correlate the zeros of neighbouring columns, which is hypergeometric with variance 1 / (rows - 1)."""
    share = zeros / rows

    def measure(count: int) -> tuple[float, int]:
        zero = ((_weights(sample, 2 * count) == 0) - share) / math.sqrt(share * (1 - share))
        correlations = (zero[:, :, 1:] * zero[:, :, :-1]).mean(axis=1)
        return abs(correlations.mean()), correlations.size

    return StatisticalCheck("zeros of neighbouring columns", Average(1 / math.sqrt(rows - 1)), COLUMNS, measure)


def _rows(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Count zeros beside zeros within a column, relative to the number that is expected.

    The zeros of a column make as many runs as `zeros` draws of its gaps take different ones.
    That number is hypergeometric, so its moments are exact.
    """
    runs = stats.hypergeom(rows, rows - zeros + 1, zeros)
    expected = zeros - float(runs.mean())
    statistic = Average(float(runs.std()) / expected, abs(float(runs.stats("s"))))

    def measure(count: int) -> tuple[float, int]:
        zero = _weights(sample, count) == 0
        columns = zero.shape[0] * zero.shape[2]
        return abs(int((zero[:, 1:] & zero[:, :-1]).sum()) / columns / expected - 1), columns

    return StatisticalCheck("zeros of neighbouring rows", statistic, ROWS, measure)


def _nonzero(sample: Sample, count: int) -> np.ndarray:
    """Return at least so many entries that are not zero, in units of their standard deviation."""
    share = 1 - sample.case.keywords["sparsity"]
    weights = _weights(sample, int(count / share / sample.case.torch_shape[0]) + 1000).astype(np.float64)
    values: np.ndarray = weights[weights != 0] / sparse_std(sample.case)
    return values


def _shape(sample: Sample) -> StatisticalCheck:
    def measure(count: int) -> tuple[float, int]:
        values, counts = np.unique(_nonzero(sample, count), return_counts=True)
        claimed = stats.norm.cdf(values)
        return kolmogorov_distance(counts, claimed, claimed), int(counts.sum())

    return StatisticalCheck("shape", Kolmogorov(), SHAPE, measure)


def _scale(sample: Sample) -> StatisticalCheck:
    def measure(count: int) -> tuple[float, int]:
        values = _nonzero(sample, count)
        return abs(math.sqrt((values**2).mean()) - 1), int(values.size)

    return StatisticalCheck("scale", ChiSquare(), SCALE, measure)
