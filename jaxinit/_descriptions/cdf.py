"""Distribution functions in float64, and those of entries that were rounded to a dtype."""

import math

import jax.numpy as jnp
import numpy as np

from jaxinit.distributions import Random, Triangular, TruncatedNormal, Uniform

_erfc = np.frompyfunc(math.erfc, 1, 1)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(60)


def cdf(distribution: Random, x: np.ndarray) -> np.ndarray:
    """Return P(X <= x) for each x.

    Example:
        >>> from jaxinit._descriptions.cdf import cdf
        >>> from jaxinit.distributions import Normal, Uniform
        >>> cdf(Uniform(-1.0, 3.0), np.array([-2.0, 0.0, 3.0])), cdf(Normal(0.0, 1.0), np.array([0.0]))
        (array([0.  , 0.25, 1.  ]), array([0.5]))
    """
    if isinstance(distribution, TruncatedNormal):
        return _truncated_normal(distribution, x)
    if isinstance(distribution, Uniform | Triangular):
        low, high = distribution.support
        share = np.clip((x / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0)
        if isinstance(distribution, Uniform):
            return np.asarray(share)
        return np.where(share < 0.5, 2 * share * share, 1 - 2 * (1 - share) ** 2)
    return _normal((x - distribution.mean) / distribution.std)


def _normal(z: np.ndarray) -> np.ndarray:
    return np.asarray(_erfc(-z / math.sqrt(2.0)), np.float64) / 2


def _truncated_normal(distribution: TruncatedNormal, x: np.ndarray) -> np.ndarray:
    """Return the share of the mass that is below x.

    A difference of two values of the normal's distribution function loses all digits in a thin or far window.
    """
    mass = _mass(*distribution.window, (x - distribution.loc) / distribution.scale)
    return np.asarray(np.minimum(mass[:-1] / mass[-1], 1.0))


def log_mass(distribution: TruncatedNormal) -> float:
    """Return the logarithm of the share of the normal that the truncation keeps.

    Example:
        >>> from jaxinit._descriptions.cdf import log_mass
        >>> from jaxinit.distributions import TruncatedNormal
        >>> round(math.exp(log_mass(TruncatedNormal(0.0, 1.0, -2.0, 2.0))), 6)
        0.9545
    """
    low, high = distribution.window
    peak = min(max(0.0, low), high)
    return math.log(_mass(low, high, np.array([]))[-1]) - (peak * peak + math.log(2 * math.pi)) / 2


def _mass(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """Return the mass of the standard normal in [low, x] and in [low, high], relative to the density at the peak."""
    peak = min(max(0.0, low), high)
    # The density at the distance d from the peak is exp(-d^2 / 2 - d * peak) times that of the peak.
    reach = 80.0 / (abs(peak) + math.sqrt(peak * peak + 80.0))
    start, end = max(low, peak - reach), min(high, peak + reach)
    half = (np.append(np.clip(x, start, end), end) - start)[:, None] / 2
    distance = (start - peak) + half * (1 + _NODES)
    return np.asarray((half * _WEIGHTS * np.exp(-distance * (distance / 2 + peak))).sum(1))


def rounded_cdf(distribution: Random, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(X < v) and P(X <= v) for X that was rounded to the dtype of `values` and kept in the support."""
    dtype, exact = values.dtype, values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = np.asarray(math.inf).astype(dtype)
        if not np.isinf(beyond):  # some float8 have no infinity
            beyond = np.asarray(float(jnp.finfo(dtype).max)).astype(dtype)
        following = np.nextafter(values, beyond).astype(np.float64)
        preceding = np.nextafter(values, -beyond).astype(np.float64)
    low, high = distribution.support
    below = np.where(preceding < low, 0.0, cdf(distribution, preceding / 2 + exact / 2))
    upto = np.where(following >= high, 1.0, cdf(distribution, exact / 2 + following / 2))
    return below, upto
