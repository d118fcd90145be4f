"""A distribution after it was rounded to a dtype."""

import math

import jax.numpy as jnp
import numpy as np

from ..reference.expected import Expected

COARSEST = 2.0**-22
"""The largest probability that two draws of a good float32 sampler are equal."""


def is_narrow(dtype: str) -> bool:
    """Return whether a floating dtype has so few values that all can be listed."""
    return bool(jnp.finfo(dtype).bits < 32)


def chances(expected: Expected, dtype: str) -> np.ndarray:
    """Return the probability of each finite value of a narrow dtype."""
    size = jnp.dtype(dtype).itemsize
    bits = np.arange(2 ** (8 * size)).astype(f"u{size}").view(jnp.dtype(dtype))
    with np.errstate(invalid="ignore"):  # some bit patterns are signalling NaNs
        values = np.unique(bits[np.isfinite(bits)])
    below, upto = expected.rounded_cdf(values)
    found: np.ndarray = np.clip(upto - below, 0.0, 1.0)
    if expected.kind == "uniform":
        found[values.astype(np.float64) >= expected.high] = 0.0  # a uniform never reaches the upper bound
    return found


def coincidence(expected: Expected, dtype: str) -> float:
    """Return the probability that two draws are equal, or a bound of it."""
    if is_narrow(dtype):
        return float((chances(expected, dtype) ** 2).sum())
    # Both draws fall into one interval of rounding: the integral of pdf(x)^2 times the ulp of x.
    spacing = expected.average(lambda x: expected.scipy.pdf(x) * np.abs(np.spacing(x.astype(dtype)).astype(np.float64)))
    return spacing + COARSEST


def ends(expected: Expected, dtype: str) -> float:
    """Return the probability that a value is rounded to a bound of the support.

    torch moves these values: to the lower bound of a uniform, and in a truncated normal it
    adds as many that were outside. See docs/background/quirks.md.
    """
    if not is_narrow(dtype) or not math.isfinite(expected.high - expected.low):
        return 0.0
    # torch rounds a uniform to nearest, which is half an ulp. A truncated normal has values from both sides of a bound.
    share = 0.5 if expected.kind == "uniform" else 1.0
    low, high = (np.asarray(bound).astype(dtype) for bound in (expected.low, expected.high))
    steps = [abs(float(end) - float(np.nextafter(end, other))) for end, other in ((low, high), (high, low))]
    below, above = (
        expected.scipy.cdf(expected.low + share * steps[0]),
        expected.scipy.sf(expected.high - share * steps[1]),
    )
    return float(max(below, above))
