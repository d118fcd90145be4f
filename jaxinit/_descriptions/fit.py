"""Whether chance explains how far an array lies from a distribution.

All bounds are exact for any number of entries, or cautious:

- the distribution function: Dvoretzky, Kiefer and Wolfowitz, with the constant of Massart (1990),
- the scale, by the mean square about the expected mean: a bound of Laurent and Massart (2000, lemma 1) from above, for
  entries whose tails are no heavier than a normal's, and Bernstein's for sums of positive terms from below,
- the extremes: n entries are all in some interval of probability q with probability n q^(n-1) at most, and one of them
  is in a set of probability p with probability n p at most.

So a true distribution is refused with probability at most `TESTS * rate`.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np

from jaxinit._descriptions.cdf import log_mass, rounded_cdf
from jaxinit._descriptions.sample import Sample
from jaxinit.distributions import Constant, Distribution, Normal, Random, Triangular, TruncatedNormal, Uniform

FALSE_ALARM = 1e-6
"""The probability that any part of a model is marked though it was drawn from the expected distribution."""
MISS = 1e-6
TESTS = 6  # the shape, a scale too large or small, the range of the extremes, and each of them outside

_ROUNDING = 2.0**-21
"""The rounding error of a bound that was computed in float32, as a share of the width."""


def misfit(sample: Sample, distribution: Distribution, rate: float) -> float:
    """Return the largest test statistic as a share of its limit. Chance explains values up to 1.

    Example:
        >>> from jaxinit._descriptions.fit import misfit
        >>> from jaxinit._descriptions.sample import Sample
        >>> from jaxinit.distributions import Normal
        >>> entries = jaxinit.normal(std=0.02)(jax.random.key(0), (1000,))
        >>> [misfit(Sample.of(np.asarray(entries)), Normal(0.0, std), 1e-7) < 1 for std in (0.02, 0.03)]
        [True, False]
    """
    if isinstance(distribution, Constant):
        value = float(np.asarray(distribution.value.real).astype(sample.dtype))
        return 0.0 if sample.ends == (value, value) else math.inf
    if not sample.size or not sample.is_floating:
        return math.inf
    worst = 0.0
    with np.errstate(over="ignore"):
        for test in (_scale, _ends, _shape):  # the cheapest first
            worst = max(worst, test(sample, distribution, rate))
            if worst > 1:
                break
    return worst


def _scale(sample: Sample, distribution: Random, rate: float) -> float:
    if _is_skewed(distribution):
        return 0.0  # its tails may be heavier than a normal's
    mean, std = sample.moments
    spread = math.hypot(std, mean - distribution.mean)
    if not 0 < distribution.std < math.inf or not spread:
        return math.inf
    limits = _Limits.of(sample.size, rate)
    off = min(spread / distribution.std, 1e100) ** 2 - 1
    grid = jnp.finfo(sample.narrow)
    # Rounding adds a variance of its own.
    slack = 2 * max(float(grid.eps), float(grid.smallest_subnormal) / distribution.std) ** 2
    return max(off / (limits.above + slack), -off / (limits.below + slack))


def _is_skewed(distribution: Distribution) -> bool:
    if not isinstance(distribution, TruncatedNormal):
        return False
    return abs(distribution.mean - distribution.loc) > 1e-9 * distribution.std


def _ends(sample: Sample, distribution: Random, rate: float) -> float:
    ends = np.array(sample.ends)
    middle = ends[0] / 2 + ends[1] / 2
    ends = middle + (ends - middle) * (1 - _ROUNDING)
    with np.errstate(over="ignore"):
        below, upto = rounded_cdf(distribution, ends.astype(sample.narrow))
    missed, outside = below[0] + 1 - upto[1], min(upto[0], 1 - below[1])
    # The limit of `outside` is a least probability, not a most.
    return max(float(missed) / _missed(sample.size, rate), 0.0 if sample.size * outside > rate else math.inf)


def _missed(size: int, rate: float) -> float:
    """Return the probability that lies beyond the two extremes of `size` entries with probability `rate` at most."""
    return -math.expm1(math.log(rate / size) / (size - 1)) if size > 1 else 1.0


def _shape(sample: Sample, distribution: Random, rate: float) -> float:
    values, less, upto = sample.points
    expected_less, expected_upto = rounded_cdf(distribution, values.astype(sample.narrow))
    distance = max(np.abs(less - expected_less).max(), np.abs(upto - expected_upto).max())
    return float(distance) / distance_limit(sample.ordered.size, rate)


def log_likelihood(sample: Sample, distribution: Distribution) -> float:
    """Return the logarithm of the density of the entries, which are inside of the support.

    Except for a triangular distribution it follows from the mean and the std.
    """
    if isinstance(distribution, Uniform):
        return -sample.size * math.log(distribution.high / 2 - distribution.low / 2) - sample.size * math.log(2.0)
    if isinstance(distribution, Triangular):
        middle, half = distribution.mean, distribution.high - distribution.mean
        heights = 1 - np.abs(sample.finite.astype(np.float64) - middle) / half
        return float(np.log(np.maximum(heights, 2.0**-30)).sum()) - sample.size * math.log(half)
    if isinstance(distribution, Normal):
        loc, scale, kept = distribution.mean, distribution.std, 0.0
    elif isinstance(distribution, TruncatedNormal):
        loc, scale, kept = distribution.loc, distribution.scale, log_mass(distribution)
    else:
        return 0.0
    mean, std = sample.moments
    square = min(math.hypot(std / scale, (mean - loc) / scale), 1e100) ** 2
    return -sample.size * (square / 2 + math.log(scale) + math.log(2 * math.pi) / 2 + kept)


def distance_limit(size: int, rate: float) -> float:
    """Return the distance of the distribution functions that `size` entries exceed with probability `rate`."""
    return math.sqrt(math.log(2 / rate) / (2 * size))


def scale_limit(size: int, rate: float) -> float:
    """Return the share by which the std of `size` normal numbers is off with probability `rate` at most."""
    if size < 1:
        return 1.0
    return max(math.sqrt(1 + _Limits.of(size, rate / 2).above) - 1, 1 - math.sqrt(_least_mean_square(size, rate / 2)))


@dataclasses.dataclass(frozen=True)
class _Limits:
    """Represent how far a mean square may be from the variance, as a share of it."""

    above: float
    below: float

    @classmethod
    def of(cls, size: int, rate: float) -> "_Limits":
        exponent = -math.log(rate) / size
        return cls(2 * math.sqrt(exponent) + 2 * exponent, math.sqrt(6 * exponent))


def detectable(size: int, distribution: Distribution, rate: float) -> float:
    """Return the share by which another scale must differ so that it is found with probability 1 - MISS.

    It is infinite where no test is of the scale: without entries, and for normals cut at one side more than the other.

    Example:
        >>> from jaxinit._descriptions.fit import detectable
        >>> from jaxinit.distributions import Constant, Normal, Uniform
        >>> [round(detectable(2**18, each, 1e-7), 5) for each in (Normal(0.0, 1.0), Uniform(-1.0, 1.0), Constant(0.0))]
        [0.01681, 0.00011, 0.0]
    """
    if distribution.kind == "constant":
        return 0.0
    if not size or _is_skewed(distribution):
        return math.inf
    if distribution.kind == "uniform":
        # A wider one is found as soon as one entry is outside, a narrower one by where the extremes end.
        return max(math.expm1(-math.log(MISS) / size), _missed(size, rate)) + _ROUNDING
    limit = _Limits.of(size, rate)
    larger = math.sqrt((1 + limit.above) / _least_mean_square(size, MISS)) - 1
    smaller = 1 - math.sqrt(max(0.0, 1 - limit.below) / (1 + _Limits.of(size, MISS).above))
    return max(larger, smaller)


def _least_mean_square(size: int, rate: float) -> float:
    """Return what the mean square of standard normals is below with probability `rate` at most, by Chernoff's bound."""
    # The bound is (t * exp(1 - t)) ** (size / 2). Halving finds t to 30 bits.
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if (math.log(middle) + 1 - middle) * size / 2 <= math.log(rate) else (low, middle)
    return max(low, 2.0**-30)
