"""The entries of one array: moments, distinct values, and whether a distribution fits them."""

import dataclasses
import functools
import math

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from scipy import stats

from ..reference.expected import Expected
from ..statistics.deviations import kolmogorov_distance
from ..statistics.tests import ChiSquare, Kolmogorov, Rates, UniformExtremes

ARITHMETIC = 2.0**-21
"""The rounding error of a bound that was computed in float32, as a share of the width."""

_SAMPLES, _CHUNK = 2**17, 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """The finite entries of an array, the number of distinct ones, and the error rates of one test."""

    finite: np.ndarray
    distinct: int
    rates: Rates

    @functools.cached_property
    def moments(self) -> tuple[float, float, float, float]:
        return moments(self.finite)

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        return (float(self.finite.min()), float(self.finite.max())) if self.finite.size else (math.nan, math.nan)

    @functools.cached_property
    def narrow(self) -> np.ndarray:
        return narrowed(self.finite)

    @functools.cached_property
    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct values in increasing order with their counts. Of many entries a random part is used."""
        part = self.narrow
        if part.size > _SAMPLES:
            # A fixed seed: equal files give equal descriptions.
            part = part[np.random.default_rng(0).choice(part.size, _SAMPLES, replace=False, shuffle=False)]
        return np.unique(part, return_counts=True)

    def is_centred(self) -> bool:
        """Return whether the mean may be 0, by Student's t."""
        mean, std, *_ = self.moments
        freedom = self.finite.size - 1
        return abs(mean) * math.sqrt(freedom) <= std * float(stats.t.isf(self.rates.false_alarm / 2, freedom))

    def fits(self, expected: Expected) -> bool:
        """Return whether chance explains the scale, the extremes and the distribution function."""
        return self._scale_fits(expected) and self._ends_fit(expected) and self._shape_fits(expected)

    def _scale_fits(self, expected: Expected) -> bool:
        """Return whether chance explains the scale. Chi-square is exact for a normal, cautious for a bounded one."""
        mean, std, *_ = self.moments
        ratio = math.hypot(std, mean - expected.mean) / expected.std
        grid = jnp.finfo(self.narrow.dtype)
        rounding = max(float(grid.eps), float(grid.smallest_subnormal) / expected.std) ** 2
        return abs(ratio - 1) <= ChiSquare().threshold(self.finite.size, self.rates) + rounding

    def _ends_fit(self, expected: Expected) -> bool:
        """Return whether the extremes reach as far as those of so many entries, and no further."""
        middle = sum(self.ends) / 2
        ends = middle + (np.array(self.ends) - middle) * (1 - ARITHMETIC)
        below, upto = expected.rounded_cdf(ends.astype(self.narrow.dtype))
        short, outside = max(below[0], 1 - upto[1]), min(upto[0], 1 - below[1])
        size = self.finite.size
        return bool(short <= UniformExtremes().threshold(size, self.rates) and outside > self.rates.false_alarm / size)

    def _shape_fits(self, expected: Expected) -> bool:
        seen, counts = self.counts
        distance = kolmogorov_distance(counts, *expected.rounded_cdf(seen))
        return distance <= Kolmogorov().threshold(int(counts.sum()), self.rates)

    def likelihood(self, expected: Expected) -> float:
        """Return the logarithm of the probability of the rounded entries."""
        seen, counts = self.counts
        below, upto = expected.rounded_cdf(seen)
        # The cdf is rounded to 2**-53, so a smaller probability is noise. Zero would rule out a candidate.
        return float(counts @ np.log(np.maximum(upto - below, 2.0**-56)))


def moments(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return mean, standard deviation, skewness and kurtosis (3 for a normal) in float64, or NaN without entries.

    Example:
        >>> moments(np.array([1.0, 1.0, -1.0, -1.0]))
        (0.0, 1.0, 0.0, 1.0)
    """
    if not values.size:
        return math.nan, math.nan, math.nan, math.nan
    scale = exponent(values)
    (mean,) = _averages(values, scale, 0.0, 1.0, 1)
    std = math.sqrt(_averages(values, scale, mean, 1.0, 2)[0]) if values.min() < values.max() else 0.0
    skewness, kurtosis = _averages(values, scale, mean, std, 3, 4) if std else (math.nan, math.nan)
    with np.errstate(over="ignore"):  # an average may round up past the largest value
        return float(np.ldexp(mean, scale)), float(np.ldexp(std, scale)), skewness, kurtosis


def exponent(values: np.ndarray) -> int:
    """Return the exponent of the least power of two above all magnitudes, to scale powers of entries.

    Example:
        >>> exponent(np.array([-3.0, 1.0]))
        2
    """
    return math.frexp(max(abs(float(values.min())), abs(float(values.max()))))[1]


def histogram(finite: np.ndarray) -> str:
    """Return twelve bars from the least entry to the largest, or nothing for equal entries."""
    if not finite.size or float(finite.min()) == float(finite.max()):
        return ""
    values = np.ldexp(finite.astype(np.float64), -exponent(finite))
    values -= values.min()
    counts = np.histogram(values / values.max(), bins=12, range=(0, 1))[0]
    return "".join("▁▂▃▄▅▆▇█"[round(7 * count / counts.max())] for count in counts)


def _averages(values: np.ndarray, scale: int, about: float, unit: float, *orders: int) -> list[float]:
    """Return the averages of powers of (x / 2**scale - about) / unit, a chunk at a time."""
    sums = np.zeros(len(orders))
    with np.errstate(over="ignore"):
        for start in range(0, values.size, _CHUNK):
            chunk = (np.ldexp(values[start : start + _CHUNK].astype(np.float64), -scale) - about) / unit
            sums += [(chunk**order).sum() for order in orders]
    averages: list[float] = (sums / values.size).tolist()
    return averages


def distinct(values: np.ndarray) -> int:
    """Return the number of distinct entries. Bits are compared, which sort faster than bfloat16."""
    if values.dtype.itemsize > 8:
        return int(np.unique(values).size)
    one_zero = np.where(values == 0, np.zeros((), values.dtype), values)
    return int(np.unique(one_zero.view(f"u{values.dtype.itemsize}")).size)


def narrowed(values: np.ndarray) -> np.ndarray:
    """Return the values in bfloat16 or float16 if that is exact, else in at most 32 bits."""
    with np.errstate(over="ignore", invalid="ignore"):
        for dtype in (ml_dtypes.bfloat16, np.float16):
            few, narrow = values[:1000], np.dtype(dtype)  # the first entries almost always decide
            if values.itemsize > 2 and (few.astype(narrow) == few).all() and (values.astype(narrow) == values).all():
                return values.astype(narrow)
        return values.astype(np.float32) if values.itemsize > 4 else values
