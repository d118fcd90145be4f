"""Distributions as values: what one entry of an array is drawn from, in float64.

A distribution knows its `kind`, `mean`, `std` and `support`, and nothing of keys, shapes
or dtypes. Equal numbers make equal distributions, so two initializers are compared by
`a.distribution(shape) == b.distribution(shape)`, without drawing anything.
"""

import dataclasses
import functools
import math
from typing import ClassVar, Literal

import numpy as np

Kind = Literal["uniform", "triangular", "normal", "truncated_normal", "constant"]


@dataclasses.dataclass(frozen=True)
class Uniform:
    """U(low, high): density `1 / (high - low)` on `[low, high)`.

    Example:
        >>> Uniform(-1.0, 1.0).std
        0.5773502691896258
    """

    low: float
    high: float
    kind: ClassVar[Kind] = "uniform"

    @property
    def mean(self) -> float:
        return self.low / 2 + self.high / 2

    @property
    def std(self) -> float:
        return (self.high / 2 - self.low / 2) / math.sqrt(3.0)

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class Triangular:
    """The sum of two independent U(low / 2, high / 2): a density that rises to the middle and falls again.

    Example:
        >>> Triangular(-1.0, 1.0).std == Uniform(-0.5, 0.5).std * math.sqrt(2)
        True
    """

    low: float
    high: float
    kind: ClassVar[Kind] = "triangular"

    @property
    def mean(self) -> float:
        return self.low / 2 + self.high / 2

    @property
    def std(self) -> float:
        return (self.high / 2 - self.low / 2) / math.sqrt(6.0)

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class Normal:
    """N(mean, std²): density `exp(-((x - mean) / std)² / 2) / (std * sqrt(2 pi))`.

    Example:
        >>> Normal(0.0, 0.02).support
        (-inf, inf)
    """

    mean: float
    std: float
    kind: ClassVar[Kind] = "normal"

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf


@dataclasses.dataclass(frozen=True)
class TruncatedNormal:
    """N(loc, scale²) given that it falls in `[low, high]`; the bounds are absolute, not in sigmas.

    `mean` and `std` are those of the truncated variable; `loc` and `scale` are its parent's.

    Example:
        >>> round(TruncatedNormal(0.0, 1.0, -2.0, 2.0).std, 6)
        0.879626
    """

    loc: float
    scale: float
    low: float
    high: float
    kind: ClassVar[Kind] = "truncated_normal"

    @property
    def window(self) -> tuple[float, float]:
        """The bounds in parent sigmas from the parent's mean."""
        low, high = (self.low - self.loc) / self.scale, (self.high - self.loc) / self.scale
        return min(low, _FARTHEST), max(high, -_FARTHEST)

    @property
    def mean(self) -> float:
        near, far = self.window
        peak = self.low if near > 0 else self.high if far < 0 else self.loc
        return peak + self.scale * _standard_moments(near, far)[0]

    @property
    def std(self) -> float:
        return self.scale * _standard_moments(*self.window)[1]

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class Constant:
    """Every entry is `value`.

    Example:
        >>> Constant(0.25).std
        0.0
    """

    value: complex
    kind: ClassVar[Kind] = "constant"

    @property
    def mean(self) -> complex:
        return self.value

    @property
    def std(self) -> float:
        return 0.0

    @property
    def support(self) -> tuple[complex, complex]:
        return self.value, self.value


# So that a finite bound never overflows to an infinite number of sigmas; the offset from
# a bound this far out is below its rounding error.
_FARTHEST = 2.0**60

Random = Uniform | Triangular | Normal | TruncatedNormal
Distribution = Random | Constant


_gauss_legendre = functools.cache(np.polynomial.legendre.leggauss)


@functools.lru_cache
def _standard_moments(low: float, high: float) -> tuple[float, float]:
    """Mean, counted from the peak, and std of N(0, 1) truncated to `[low, high]`.

    By Gauss-Legendre quadrature: the closed form cancels to nothing in a thin or far
    window. Beyond `reach` from the peak the density is e^-40 of what it is there.
    """
    peak = min(max(0.0, low), high)
    reach = 80.0 / (abs(peak) + math.sqrt(peak * peak + 80.0))
    low, high = max(low - peak, -reach), min(high - peak, reach)
    nodes, weights = _gauss_legendre(200)
    middle, offsets = (low + high) / 2, (high - low) / 2 * nodes
    distance = middle + offsets
    mass = weights * np.exp(-distance * (distance / 2 + peak))
    mass /= mass.sum()
    mean = float(mass @ offsets)
    return middle + mean, math.sqrt(float(mass @ (offsets - mean) ** 2))
