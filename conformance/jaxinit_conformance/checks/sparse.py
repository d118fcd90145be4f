"""Claims about sparse: as many zeros in every column, at positions alike and unrelated, and normals elsewhere."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from ..axes import to_torch
from ..reference import torch_init
from ..statistics.tests import Average, Binomial, ChiSquare, Kolmogorov, Pearson, kolmogorov_distance
from .cases import Case
from .check import PlannedCheck, Result, Sample, StatisticalCheck, exact
from .independence import differing

SPARSE_POSITIONS, SPARSE_COLUMNS, SPARSE_ROWS = 0.05, 0.05, 0.2
SPARSE_FURTHER, SPARSE_SHAPE, SPARSE_SCALE = 0.5, 0.03, 0.03
# The chance that a float32 normal is 0: torch's is where its radius is, 2^-24, or its sine, for half of them.
NORMAL_IS_ZERO = 2.0**-23


def sparse(sample: Sample) -> Iterator[PlannedCheck]:
    """Zeros: as many in every column, at positions alike and unrelated; other entries normal."""
    case = sample.case
    rows = case.torch_shape[0]
    zeros = math.ceil(case.keywords["sparsity"] * rows)
    # The largest samples first: those of the others are parts of them.
    yield _positions(sample, rows, zeros).planned(case)
    yield _columns(sample, rows, zeros).planned(case)
    yield _rows(sample, rows, zeros).planned(case)
    yield exact(case.initializer, "zeros in each column", case.label, lambda: _zeros_in_columns(sample, zeros))
    yield _further(sample, rows, zeros).planned(case)
    yield from differing(sample)
    std = sparse_std(case)
    yield _normals(sample, std).planned(case)
    yield StatisticalCheck("scale", ChiSquare(), SPARSE_SCALE, lambda count: _scale(sample, std, count)).planned(case)


def sparse_std(case: Case) -> float:
    """The standard deviation of the entries that are not zero."""
    std: float = case.keywords.get("std", torch_init.parameters("sparse")["std"])
    return std


def _weights(sample: Sample, columns: int) -> np.ndarray:
    """Weights with at least so many columns altogether, each `(out, in)`."""
    arrays = -(-columns // (math.prod(sample.case.shape) // sample.case.torch_shape[0]))
    weights = sample.arrays(max(arrays, 40))  # no fewer, so that all claims share one program
    return to_torch(weights, sample.case.axes)


def _zeros_in_columns(sample: Sample, zeros: int) -> Result:
    seen = (_weights(sample, 1000) == 0).sum(axis=1)
    return Result(bool((seen >= zeros).all()), f"fewest {seen.min()}", f"{zeros}", samples=int(seen.size))


def _further(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Arrays with more zeros than that: only where a normal is 0, which neighbours may well be together."""

    def measure(count: int) -> tuple[float, int]:
        seen = (to_torch(sample.arrays(count), sample.case.axes) == 0).sum(axis=1)
        return float((seen > zeros).any(axis=1).mean()), count

    normals = math.prod(sample.case.shape) // rows * (rows - zeros)
    return StatisticalCheck("zeros beyond them", Binomial(normals * NORMAL_IS_ZERO), SPARSE_FURTHER, measure)


def _positions(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Zeros in each row, over all columns; a fixed number a column makes them less spread than independent ones."""
    share = zeros / rows

    def measure(count: int) -> tuple[float, int]:
        zero = _weights(sample, count) == 0
        columns = zero.shape[0] * zero.shape[2]
        excess = zero.sum(axis=(0, 2)) / columns - share
        return float((excess**2).sum() / (share * (1 - share)) * (rows - 1) / rows), columns

    return StatisticalCheck("zeros over rows", Pearson(rows), SPARSE_POSITIONS, measure)


def _columns(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Correlation of the zeros of neighbouring columns; hypergeometric, so of variance 1 / (rows - 1)."""
    share = zeros / rows

    def measure(count: int) -> tuple[float, int]:
        weights = _weights(sample, 2 * count)
        zero = ((weights == 0) - share) / math.sqrt(share * (1 - share))
        correlations = (zero[:, :, 1:] * zero[:, :, :-1]).mean(axis=1)
        return abs(correlations.mean()), correlations.size

    return StatisticalCheck("zeros of neighbouring columns", Average(1 / math.sqrt(rows - 1)), SPARSE_COLUMNS, measure)


def _rows(sample: Sample, rows: int, zeros: int) -> StatisticalCheck:
    """Zeros beside zeros within a column, relative to how many there ought to be.

    Exact moments: the zeros of a column fall into as many runs as `zeros` draws from its gaps take different
    ones, which is hypergeometric.
    """
    runs = stats.hypergeom(rows, rows - zeros + 1, zeros)
    expected = zeros - float(runs.mean())
    spread, skewness = float(runs.std()) / expected, abs(float(runs.stats("s")))

    def measure(count: int) -> tuple[float, int]:
        zero = _weights(sample, count) == 0
        columns = zero.shape[0] * zero.shape[2]
        beside = int((zero[:, 1:] & zero[:, :-1]).sum()) / columns
        return abs(beside / expected - 1), columns

    return StatisticalCheck("zeros of neighbouring rows", Average(spread, skewness), SPARSE_ROWS, measure)


def _normals(sample: Sample, std: float) -> StatisticalCheck:
    """The distribution of the entries that are not zero."""

    def measure(count: int) -> tuple[float, int]:
        values, counts = np.unique(_nonzero(sample, count), return_counts=True)
        claimed = stats.norm(0.0, std).cdf(values)
        return kolmogorov_distance(counts, claimed, claimed), int(counts.sum())

    return StatisticalCheck("shape", Kolmogorov(), SPARSE_SHAPE, measure)


def _nonzero(sample: Sample, count: int) -> np.ndarray:
    """At least so many entries that are not zero."""
    share = 1 - sample.case.keywords["sparsity"]
    weights = _weights(sample, int(count / share / sample.case.torch_shape[0]) + 1000).astype(np.float64)
    values: np.ndarray = weights[weights != 0]
    return values


def _scale(sample: Sample, std: float, count: int) -> tuple[float, int]:
    values = _nonzero(sample, count)
    return abs(math.sqrt((values**2).mean()) / std - 1), int(values.size)
