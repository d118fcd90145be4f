"""The distribution of one entry, with the scipy distribution of equal numbers. It needs no torch."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import ml_dtypes
import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Expected:
    """Represent the distribution of one entry: the kind, and the numbers that the scipy distribution is built from."""

    kind: Literal["uniform", "triangular", "normal", "truncated_normal", "constant"]
    loc: float
    scale: float
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def stated(cls, distribution: Any) -> "Expected":
        """Return the distribution that an initializer of jaxinit states by `distribution(shape)`."""
        low, high = distribution.support
        if distribution.kind == "truncated_normal":
            return cls(distribution.kind, distribution.loc, distribution.scale, low, high)
        if distribution.kind in ("uniform", "triangular", "constant"):
            return cls(distribution.kind, low, high - low, low, high)
        return cls("normal", distribution.mean, distribution.std)

    @classmethod
    def of_sum(cls, parts: "Sequence[Expected]") -> "Expected | None":
        """Return the distribution of a sum of independent entries: of one, or of two of the same uniform."""
        match parts:
            case [one]:
                return one
            case [one, other] if one == other and one.kind == "uniform":
                return cls("triangular", 2 * one.low, 2 * one.scale, 2 * one.low, 2 * one.high)
        return None

    def distance(self, other: "Expected | None") -> float:
        """Return the difference to another distribution as a share of the scale, or infinity for another kind."""
        if other is None or other.kind != self.kind:
            return math.inf
        pairs = zip(
            (self.loc, self.scale, self.low, self.high), (other.loc, other.scale, other.low, other.high), strict=True
        )
        return max(abs(a - b) for a, b in pairs if a != b) / (self.scale or 1.0) if self != other else 0.0

    @functools.cached_property
    def scipy(self) -> Any:
        if self.kind == "uniform":
            return stats.uniform(self.low, self.high - self.low)
        if self.kind == "triangular":
            return stats.triang(0.5, self.low, self.high - self.low)
        if self.kind == "normal":
            return stats.norm(self.loc, self.scale)
        window = (self.low - self.loc) / self.scale, (self.high - self.loc) / self.scale
        return stats.truncnorm(*window, self.loc, self.scale)

    @functools.cached_property
    def mean(self) -> float:
        return self.average(lambda x: x)

    @functools.cached_property
    def std(self) -> float:
        return math.sqrt(self.average(lambda x: (x - self.mean) ** 2))

    def moment(self, order: int) -> float:
        """Return the standardized central moment."""
        return self.average(lambda x: ((x - self.mean) / self.std) ** order)

    def rounded_cdf(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return P(X < v) and P(X <= v) for X rounded to the dtype of sorted `values`, and kept in the support."""
        with np.errstate(over="ignore"):  # beyond the largest value is infinity, or nothing
            following, preceding = (
                np.nextafter(values, np.asarray(bound).astype(values.dtype)).astype(np.float64)
                for bound in (_beyond(values.dtype), -_beyond(values.dtype))
            )
        exact = values.astype(np.float64)
        below = np.where(preceding < self.low, 0.0, self.scipy.cdf((preceding + exact) / 2))
        upto = np.where(following >= self.high, 1.0, self.scipy.cdf((exact + following) / 2))
        return below, upto

    def average(self, f: Callable[[np.ndarray], np.ndarray]) -> float:
        """Return the expectation of f, by Gauss-Legendre quadrature over all but 1e-40 of the mass."""
        low, high = self.scipy.support()
        low, high = max(low, self.scipy.isf(1 - 1e-16) - 4 * self.scale), min(high, self.scipy.isf(1e-40))
        nodes, weights = _gauss_legendre(400)
        x = (low + high) / 2 + (high - low) / 2 * nodes
        mass = weights * self.scipy.pdf(x)
        return float((mass * f(x)).sum() / mass.sum())


def is_distribution(value: Any) -> bool:
    """Return whether a value has the attributes that `Expected.stated` reads."""
    return all(hasattr(value, name) for name in ("kind", "mean", "std", "support"))


def _beyond(dtype: np.dtype) -> float:
    """Return infinity, or the largest value of a dtype without infinity."""
    return math.inf if np.isinf(np.asarray(math.inf).astype(dtype)) else float(ml_dtypes.finfo(dtype).max)


_gauss_legendre = functools.cache(np.polynomial.legendre.leggauss)


def constant(value: float) -> Expected:
    """Return the distribution of a constant."""
    return Expected("constant", value, 0.0, value, value)
