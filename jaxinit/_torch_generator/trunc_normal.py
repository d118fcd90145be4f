"""Truncated normal numbers as torch.nn.init.trunc_normal_ draws them, now and before.

Now: where the window holds more than 0.3 of the distribution, normal numbers, all drawn
again until none is outside; elsewhere uniform ones, each accepted with the probability
density there over that at the peak. Before: the inverse of the distribution function.

Whether torch draws again hangs on single bits, so normal numbers are torch's exactly. Its
log differs from the rounded one in a last bit once in a thousand; that this decides
happens once in 10**11 numbers.
"""

import math

import numpy as np

from jaxinit._sampling import dtypes, normal_quantile
from jaxinit._torch_generator import normal, uniform
from jaxinit._torch_generator.mt19937 import Mersenne
from jaxinit.distributions import TruncatedNormal

# From this share of the distribution on, torch redraws instead of rejecting by density.
_LARGE_SHARE = 0.3


def by_rejection(values: np.ndarray, stream: Mersenne, distribution: TruncatedNormal) -> None:
    """Fills a flat array as torch 2.13 does.

    Raises:
        ValueError: the window is infinite and holds at most 0.3 of the distribution, where torch fails too.
    """
    near, far = _cdf(distribution)
    if far - near > _LARGE_SHARE:
        _redraw(values, stream, distribution)
        return
    if not all(map(math.isfinite, distribution.support)):
        raise ValueError(
            f"`a` and `b` must be finite where they hold at most {_LARGE_SHARE} of the normal distribution,"
            f" got a={distribution.low} and b={distribution.high}"
        )
    _reject(values, stream, distribution)


def by_inverse(values: np.ndarray, stream: Mersenne, distribution: TruncatedNormal) -> None:
    """Fills a flat array as torch 2.11 does; its erfinv may differ in a last bit."""
    near, far = _cdf(distribution)
    uniform.fill(values, stream, 2 * near - 1, 2 * far - 1)
    real = dtypes.compute_dtype(values.dtype)
    values[...] = _erfinv(values.astype(np.float64)).astype(real)
    values[...] = values.astype(real) * real.type(distribution.scale * math.sqrt(2))
    values[...] = values.astype(real) + _entered(distribution.loc, values.dtype).astype(real)
    np.clip(values, *(_entered(bound, values.dtype) for bound in distribution.support), out=values)


def _cdf(distribution: TruncatedNormal) -> tuple[float, float]:
    """The shares of the distribution below the window and below its upper end, as torch rounds them."""
    scaled = ((bound - distribution.loc) / distribution.scale / math.sqrt(2) for bound in distribution.support)
    low, high = ((1 + math.erf(bound)) / 2 for bound in scaled)
    return low, high


def _redraw(values: np.ndarray, stream: Mersenne, distribution: TruncatedNormal) -> None:
    least, greatest = (_entered(bound, values.dtype) for bound in distribution.support)
    normal.fill(values, stream, distribution.loc, distribution.scale, exact=True)
    while (outside := (values < least) | (values > greatest)).any():
        normal.fill(values, stream, distribution.loc, distribution.scale, exact=True, where=outside)


def _reject(values: np.ndarray, stream: Mersenne, distribution: TruncatedNormal) -> None:
    pending = np.ones(values.shape, bool)
    candidates, levels = np.empty_like(values), np.empty_like(values)
    while pending.any():
        uniform.fill(candidates, stream, *distribution.support)
        np.copyto(values, candidates, where=pending)
        uniform.fill(levels, stream, 0.0, 1.0)
        pending &= _log(levels) > _log_density(candidates, distribution)


def _log(levels: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        log: np.ndarray = np.log(levels.astype(np.float64))
    return log.astype(dtypes.compute_dtype(levels.dtype)).astype(levels.dtype)


def _log_density(x: np.ndarray, distribution: TruncatedNormal) -> np.ndarray:
    """log of the density over that at its peak in the window, each step rounded as torch's steps are."""
    real = dtypes.compute_dtype(x.dtype)
    peak = max(distribution.low, min(distribution.loc, distribution.high))
    log_peak = -0.5 * ((peak - distribution.loc) / distribution.scale) ** 2
    offset = (x.astype(real) - _entered(distribution.loc, x.dtype).astype(real)).astype(x.dtype)
    scaled = (offset.astype(real) / real.type(distribution.scale)).astype(x.dtype)
    square = (scaled.astype(real) * scaled.astype(real)).astype(x.dtype)
    halved = (square.astype(real) * real.type(-0.5)).astype(x.dtype)
    log_ratio: np.ndarray = halved.astype(real) - _entered(log_peak, x.dtype).astype(real)
    return log_ratio.astype(x.dtype)


def _entered(number: float, dtype: np.dtype) -> np.ndarray:
    """A number as torch passes it to comparisons and sums, which is by way of float32 and in the array's dtype."""
    with np.errstate(over="ignore"):
        return np.asarray(number).astype(dtypes.compute_dtype(dtype)).astype(dtype)


def _erfinv(x: np.ndarray) -> np.ndarray:
    """The inverse of erf, with relative error below 7e-9."""
    inside = np.abs(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.sqrt(-np.log1p(-inside * inside))
        z = inside * _polynomial(normal_quantile.NUMERATOR, s) / _polynomial(normal_quantile.DENOMINATOR, s)
    result: np.ndarray = np.copysign(np.where(inside < 1, z, np.inf) / math.sqrt(2), x)
    return result


def _polynomial(coefficients: tuple[float, ...], s: np.ndarray) -> np.ndarray:
    value: np.ndarray = np.polynomial.polynomial.polyval(s, np.asarray(coefficients))
    return value
