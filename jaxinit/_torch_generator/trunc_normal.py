"""Truncated normal numbers, drawn as torch.nn.init.trunc_normal_ of torch 2.13 draws them.

Where the window holds more than 0.3 of the distribution, torch draws normal numbers, all
of them again until none is outside. Elsewhere it draws uniform numbers, and accepts each
with the probability density there over that at the peak.

The second way compares logarithms. torch takes them from MKL, whose code depends on the
vendor of the processor: float32 logarithms are an ulp from the nearest float32 for 0.1% of
the arguments on Intel and for 7.5% on AMD. Here they are the nearest. That changes a
decision less than once in 10**8 numbers.
"""

import math

import numpy as np

from jaxinit._sampling import dtypes
from jaxinit._torch_generator import normal, uniform
from jaxinit._torch_generator.mt19937 import CHUNK, Mersenne
from jaxinit.distributions import TruncatedNormal

# From this share of the distribution on, torch redraws instead of rejecting by density.
_LARGE_SHARE = 0.3


def fill(values: np.ndarray, stream: Mersenne, distribution: TruncatedNormal) -> None:
    """Draw a truncated normal number for every place of a flat array.

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


def _cdf(distribution: TruncatedNormal) -> tuple[float, float]:
    """Return the shares of the distribution below the window and below its upper end, as torch rounds them."""
    scaled = ((bound - distribution.loc) / distribution.scale / math.sqrt(2) for bound in distribution.support)
    low, high = ((1 + math.erf(bound)) / 2 for bound in scaled)
    return low, high


def _redraw(values: np.ndarray, stream: Mersenne, distribution: TruncatedNormal) -> None:
    least, greatest = (_entered(bound, values.dtype) for bound in distribution.support)
    outside = np.empty(values.shape, bool)
    normal.fill(values, stream, distribution.loc, distribution.scale)
    while _mark_outside(values, least, greatest, outside):
        normal.fill(values, stream, distribution.loc, distribution.scale, where=outside)


def _mark_outside(values: np.ndarray, least: np.ndarray, greatest: np.ndarray, outside: np.ndarray) -> bool:
    """Set `outside` where values are below `least` or above `greatest`, and return whether any is."""
    for start in range(0, values.size, CHUNK):
        part = values[start : start + CHUNK]
        np.logical_or(part < least, part > greatest, out=outside[start : start + CHUNK])
    return bool(outside.any())


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
    """Return the log of the density over that at its peak in the window, each step rounded as torch's steps are."""
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
    """Return a number as torch passes it to comparisons and sums, which is by way of float32 and in the array's
    dtype.
    """
    with np.errstate(over="ignore"):
        return np.asarray(number).astype(dtypes.compute_dtype(dtype)).astype(dtype)
