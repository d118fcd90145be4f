"""Distributions as values: what one entry of an array is drawn from, in float64.

A distribution knows its `kind`, `mean`, `std` and `support`, and nothing of keys, shapes or
dtypes. Equal parameters make equal distributions. So `a.distribution(shape) ==
b.distribution(shape)` compares two initializers without drawing anything.
"""

import dataclasses
import functools
import math
from typing import ClassVar, Literal

import numpy as np

Kind = Literal["uniform", "triangular", "normal", "truncated_normal", "constant"]


@dataclasses.dataclass(frozen=True)
class _Symmetric:
    """Represent a bounded distribution that is symmetric around the middle of its support."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        return self.low / 2 + self.high / 2

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class Uniform(_Symmetric):
    """Represent U(low, high): density `1 / (high - low)` on `[low, high)`.

    Example:
        >>> Uniform(-1.0, 1.0).std
        0.5773502691896258
    """

    kind: ClassVar[Kind] = "uniform"

    @property
    def std(self) -> float:
        return (self.high / 2 - self.low / 2) / math.sqrt(3.0)


@dataclasses.dataclass(frozen=True)
class Triangular(_Symmetric):
    """Represent the sum of two independent U(low / 2, high / 2): a density that rises linearly, then falls.

    Example:
        >>> Triangular(-1.0, 1.0).std == Uniform(-0.5, 0.5).std * math.sqrt(2)
        True
    """

    kind: ClassVar[Kind] = "triangular"

    @property
    def std(self) -> float:
        return (self.high / 2 - self.low / 2) / math.sqrt(6.0)


@dataclasses.dataclass(frozen=True)
class Normal:
    """Represent N(mean, std²): density `exp(-((x - mean) / std)² / 2) / (std * sqrt(2 pi))`.

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
    """Represent N(loc, scale²) given that it falls in `[low, high]`. The bounds are absolute, not in sigmas.

    `mean` and `std` are those of the truncated variable. `loc` and `scale` are those before truncation.

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
        """Return the bounds as numbers of `scale` from `loc`."""
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
    """Represent a value that every entry has.

    Example:
        >>> Constant(0.25).std
        0.0
    """

    value: complex
    kind: ClassVar[Kind] = "constant"
    std: ClassVar[float] = 0.0

    @property
    def mean(self) -> complex:
        return self.value

    @property
    def support(self) -> tuple[complex, complex]:
        return self.value, self.value


# A finite bound must not become an infinite number of sigmas. The distance of the mean from a
# bound this far out is below the rounding error of the bound.
_FARTHEST = 2.0**60

Random = Uniform | Triangular | Normal | TruncatedNormal
Distribution = Random | Constant


def affine(distribution: Distribution, factor: float, divisor: float = 1.0, shift: float = 0.0) -> Distribution:
    """Return the distribution of `x * factor / divisor + shift`.

    Example:
        >>> affine(Uniform(-1.0, 3.0), -0.5)
        Uniform(low=-1.5, high=0.5)
    """

    def times(number: float) -> float:
        # Nothing remains of an infinite bound either.
        return number * factor / divisor if factor else 0.0

    def moved(number: float) -> float:
        return times(number) + shift  # a sum with 0.0 turns -0.0 into 0.0

    match distribution:
        case Uniform(low, high) | Triangular(low, high):
            return type(distribution)(*sorted((moved(low), moved(high))))
        case Normal(mean, std):
            return Normal(moved(mean), abs(times(std)))
        case TruncatedNormal(loc, scale, low, high):
            loc, scale, (low, high) = moved(loc), abs(times(scale)), sorted((moved(low), moved(high)))
            return TruncatedNormal(loc, scale, low, high) if scale else Constant(min(max(loc, low), high))
        case Constant(value):
            return Constant(complex(moved(value.real), times(value.imag)) if value.imag else moved(value.real))


@functools.cache
def _gauss_legendre(degree: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(degree)  # NumPy imports its polynomials when they are named


@functools.lru_cache
def _standard_moments(low: float, high: float) -> tuple[float, float]:
    """Return the mean, counted from the peak, and the std of N(0, 1) truncated to `[low, high]`.

    The closed form loses all its digits in a thin or far window, so this is Gauss-Legendre
    quadrature. At `reach` from the peak the density has fallen by e^-40.
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
