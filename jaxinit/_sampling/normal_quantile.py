"""Quantiles of the standard normal (ppf), accurate in both tails.

A quantile of u alone loses the tail near u = 1, where u rounds to 1. So the kernels pass
the mass on both sides of the answer, each computed without cancellation. Each function
uses the side that is accurate.
"""

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax

# z / x against s = sqrt(-log(1 - x^2)), where x = P(|Z| < z): a ratio of polynomials in s,
# lowest order first, with relative error below 2.3e-9 for s <= 4.7 and 7e-9 for s <= 7.5.
# The variable and the ratio z / x are those of Giles, Approximating the erfinv function,
# 2011. benchmarks/normal_quantile.py fits these coefficients again.
NUMERATOR = (
    1.2533141390683882, -1.030461952112466, 0.8364047430312757, -0.38211793573606034, 0.16554703455377048,
    -0.04264995350879505, 0.00917672527941057, 0.0001658204123094816, -0.000348241067753108, 0.00011777744679818045,
)  # fmt: skip
DENOMINATOR = (
    1.0, -0.8221894974917502, 0.4055509969683204, -0.08960239651677922, 0.012726306199975545,
    0.0005554094438251, 0.0006510334379746445, -0.000265238905731171, 8.37150237832004e-05,
)  # fmt: skip

# From here on the continued fraction below is short enough, and s above stays under 7.5
# for every tail that 32 (float32) or 64 (float64) random bits can reach from a nearer bound.
FAR = 4.0
_HAZARD_TERMS = {jnp.dtype("float32"): 10, jnp.dtype("float64"): 32}
_NEWTON_STEPS = {jnp.dtype("float32"): 3, jnp.dtype("float64"): 4}

Real = TypeVar("Real", float, jax.Array)


def _polynomial(coefficients: tuple[float, ...], s: jax.Array) -> jax.Array:
    result = jnp.full_like(s, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result = result * s + jnp.asarray(coefficient, s.dtype)
    return result


def abs_normal_ppf(outside: jax.Array, inside: jax.Array) -> jax.Array:
    """Return the z >= 0 with `outside = P(|Z| > z)` and `inside = P(|Z| < z)`, which sum to 1.

    float64 adds one Newton step, which squares the error.
    """
    # In the middle the product can round to above 1.
    s = jnp.sqrt(jnp.maximum(-jnp.log(outside * (1 + inside)), 0))
    # The division comes last: a sum with a product leaves the compiler only one way to fuse.
    z = inside * _polynomial(NUMERATOR, s) / _polynomial(DENOMINATOR, s)
    if z.dtype == jnp.float64:
        root_half = math.sqrt(0.5)
        excess = jnp.where(outside < 0.5, lax.erfc(z * root_half) - outside, inside - lax.erf(z * root_half))
        z = z + excess * jnp.exp(z * z / 2) * math.sqrt(math.pi / 2)
    return z


def hazard(z: Real, terms: int = 32) -> Real:
    """Return phi(z) / P(Z > z), density over upper tail, for z >= FAR, by Laplace's continued fraction."""
    result = z
    for term in range(terms, 0, -1):
        result = z + term / result
    return result


def log_tail_ratio(near: float, width: float) -> float:
    """Return log(P(Z > near) / P(Z > near + width)), for near >= FAR."""
    return near * width + width * width / 2 + math.log(hazard(near + width) / hazard(near))


def tail_ppf(near: jax.Array, per_near: jax.Array, per_hazard: jax.Array, log_ratio: jax.Array) -> jax.Array:
    """Return the d >= 0 with `log_ratio = log(P(Z > near) / P(Z > near + d))`, for near >= FAR.

    `per_near` and `per_hazard` are the reciprocals of `near` and of the hazard there.
    Newton's method solves for d on the logarithm. So no tail is too thin, and d keeps its
    relative accuracy however far out `near` is.
    """
    terms = _HAZARD_TERMS[log_ratio.dtype]
    straight = log_ratio * per_near
    excess = 2 * straight / (1 + jnp.sqrt(1 + 2 * straight * per_near))
    for _ in range(_NEWTON_STEPS[log_ratio.dtype]):
        slope = hazard(near + excess, terms)
        error = excess * (near + excess / 2) + jnp.log(slope * per_hazard) - log_ratio
        excess = excess - error / slope
    return excess
