"""What rounding to a dtype makes of a distribution."""

import math

import jax.numpy as jnp
import numpy as np

from ..reference.expected import Expected

COARSEST = 2.0**-22
"""Two draws of a sound float32 kernel are equal with at most this probability, before they are rounded."""


def is_narrow(dtype: str) -> bool:
    """Whether all values of a floating dtype can be counted."""
    return bool(jnp.finfo(dtype).bits < 32)


def chances(expected: Expected, dtype: str) -> np.ndarray:
    """The probability of each finite value of a narrow dtype."""
    size = jnp.dtype(dtype).itemsize
    words = np.arange(2 ** (8 * size)).astype(f"u{size}").view(jnp.dtype(dtype))
    with np.errstate(invalid="ignore"):  # some words are signalling NaNs
        values = np.unique(words[np.isfinite(words)])
    below, upto = expected.rounded_cdf(values)
    found: np.ndarray = np.clip(upto - below, 0.0, 1.0)
    if expected.kind == "uniform":
        found[values.astype(np.float64) >= expected.high] = 0.0  # never reached
    return found


def coincidence(expected: Expected, dtype: str) -> float:
    """The probability that two draws are equal, or a bound of it."""
    if is_narrow(dtype):
        return float((chances(expected, dtype) ** 2).sum())
    spacing = expected.average(lambda x: expected.scipy.pdf(x) * np.abs(np.spacing(x.astype(dtype)).astype(np.float64)))
    return spacing + COARSEST


def ends(expected: Expected, dtype: str) -> float:
    """The probability of what a narrow dtype rounds to a bound, or may.

    torch itself lays it elsewhere: to the other end of a uniform, and as much again on the
    bounds of a truncated normal, from outside.
    """
    if not is_narrow(dtype) or not math.isfinite(expected.high - expected.low):
        return 0.0
    share = 0.5 if expected.kind == "uniform" else 1.0
    low, high = (np.asarray(bound).astype(dtype) for bound in (expected.low, expected.high))
    steps = [abs(float(end) - float(np.nextafter(end, other))) for end, other in ((low, high), (high, low))]
    below, above = (
        expected.scipy.cdf(expected.low + share * steps[0]),
        expected.scipy.sf(expected.high - share * steps[1]),
    )
    return float(max(below, above))
