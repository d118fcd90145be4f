"""How far drawn values lie from a distribution, as one number that is 0 for a perfect match."""

import math

import numpy as np

from ..reference.expected import Expected

EPS = 2.0**-23
"""The machine epsilon of float32."""


def standardized(values: np.ndarray, expected: Expected) -> np.ndarray:
    """Return (values - mean) / std, in float64."""
    result: np.ndarray = (values.astype(np.float64) - expected.mean) / expected.std
    return result


def mean(values: np.ndarray, expected: Expected) -> float:
    """Return the distance of the mean, in standard deviations."""
    return float(abs(standardized(values, expected).mean()))


def scale(values: np.ndarray, expected: Expected) -> float:
    """Return the relative distance of the standard deviation about the expected mean."""
    return abs(math.sqrt((standardized(values, expected) ** 2).mean()) - 1)


def bounds(values: np.ndarray, expected: Expected) -> float:
    """Return how far the extremes stop short of the bounds, as a share of the width."""
    wide = values.astype(np.float64)
    return float(max(wide.min() - expected.low, expected.high - wide.max()) / (expected.high - expected.low))


def shape(values: np.ndarray, expected: Expected) -> float:
    """Return the distance of the distribution functions, rounding included."""
    distinct, counts = np.unique(values, return_counts=True)
    return kolmogorov_distance(counts, *expected.rounded_cdf(distinct))


def outside(values: np.ndarray, expected: Expected) -> float:
    """Return the share of the values outside the support, give or take the rounding of the bounds.

    A uniform never reaches the upper bound. A bound that was computed in float32 may be off by
    one ulp, and one sample of hundreds then shows it.
    """
    rounded = (float(np.asarray(bound).astype(values.dtype)) for bound in (expected.low, expected.high))
    low, high = min(expected.low, next(rounded)), max(expected.high, next(rounded))
    seen = values.astype(np.float64)
    above = seen >= high if expected.kind == "uniform" else seen > high + EPS * abs(high)
    return float(((seen < low - EPS * abs(low)) | above | ~np.isfinite(seen)).mean())


def between(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest distance of the empirical distribution functions of two sorted samples."""
    seen = np.concatenate([a, b])
    shares = (np.searchsorted(each, seen, side="right") / each.size for each in (a, b))
    return float(np.abs(np.subtract(*shares)).max())


def kolmogorov_distance(values: np.ndarray, below: np.ndarray, upto: np.ndarray) -> float:
    """Return the largest distance between the empirical and the claimed distribution function.

    Args:
        values: the counts of the distinct values, in increasing order of the values.
        below: the claimed probability of less than each value.
        upto: the claimed probability of at most each value.
    """
    reached = np.cumsum(values) / values.sum()
    before = np.concatenate([[0.0], reached[:-1]])
    return float(max(np.abs(reached - upto).max(), np.abs(before - below).max()))
