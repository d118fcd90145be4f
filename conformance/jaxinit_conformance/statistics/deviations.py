"""How far drawn values lie from a distribution: one number for each way to look, 0 for a perfect match."""

import math

import numpy as np

from ..reference.expected import Expected
from .tests import kolmogorov_distance

LAST_BIT = 2.0**-23
"""Of a float32 number, relative."""


def standardized(values: np.ndarray, expected: Expected) -> np.ndarray:
    result: np.ndarray = (values.astype(np.float64) - expected.mean) / expected.std
    return result


def mean(values: np.ndarray, expected: Expected) -> float:
    """In standard deviations."""
    return float(abs(standardized(values, expected).mean()))


def scale(values: np.ndarray, expected: Expected) -> float:
    """Of the standard deviation about the expected mean, relative."""
    return abs(math.sqrt((standardized(values, expected) ** 2).mean()) - 1)


def bounds(values: np.ndarray, expected: Expected) -> float:
    """By which the extremes stop short of the bounds, as a share of the width."""
    wide = values.astype(np.float64)
    return float(max(wide.min() - expected.low, expected.high - wide.max()) / (expected.high - expected.low))


def shape(values: np.ndarray, expected: Expected) -> float:
    """Between the distribution functions, rounding included."""
    distinct, counts = np.unique(values, return_counts=True)
    return kolmogorov_distance(counts, *expected.rounded_cdf(distinct))


def outside(values: np.ndarray, expected: Expected) -> float:
    """The share that lies outside, give or take the rounding of the bounds.

    The upper end of a uniform is never reached. Bounds worked out in float32 may be off by
    a last bit of it, which shows in one sample of hundreds.
    """
    rounded = (float(np.asarray(bound).astype(values.dtype)) for bound in (expected.low, expected.high))
    low, high = min(expected.low, next(rounded)), max(expected.high, next(rounded))
    seen = values.astype(np.float64)
    above = seen >= high if expected.kind == "uniform" else seen > high + LAST_BIT * abs(high)
    return float(((seen < low - LAST_BIT * abs(low)) | above | ~np.isfinite(seen)).mean())
