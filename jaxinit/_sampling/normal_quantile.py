"""Quantiles of the standard normal (ppf), accurate in both tails.

A quantile of u alone loses the tail near u = 1, where u rounds to 1. So the kernels pass
the mass on both sides of the answer, each computed without cancellation. Each function
uses the side that is accurate.
"""

import itertools
import math
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

# z / x against s = sqrt(-log(1 - x^2)), where x = P(|Z| < z): a ratio of polynomials in s - CENTER,
# lowest order first. Relative errors: float32 below 3.2e-8 for s <= 4.7 and 1.1e-7 for s <= 5.7,
# float64 below 1.6e-16 for s <= 7.5. Around CENTER the coefficients hardly cancel.
# The variable and the ratio z / x are those of Giles, Approximating the erfinv function,
# 2011. benchmarks/for_docs/normal_quantile.py fits these coefficients again.
CENTER = 1.5
RATIOS = {
    jnp.dtype("float32"): (
        (
            2.0357726438072037, 0.6858701674226673, 1.0122284920821885, 0.2768422709295844, 0.1725138397705823,
            0.021364768851377124, 0.006460935982928078, -0.0014182213334152764,
        ),
        (
            1.0, -0.18093479526536418, 0.4380302936608586, -0.02240390674483108, 0.039375073983469275,
            0.0007582859425857589, -0.000519674293553142, -1.970738863241313e-05,
        ),
    ),
    jnp.dtype("float64"): (
        (
            2.035772627252232, 0.6394972656296533, 1.760834149189786, 0.6670841883416397, 0.7062076413012779,
            0.28019618188569906, 0.17682255635155067, 0.06720380175598684, 0.030523212815415552,
            0.010603944453394302, 0.003781392735808141, 0.0011668779572952333, 0.0003388635922294829,
            9.053836374393206e-05, 2.1416096417702584e-05, 4.757839042989671e-06, 8.832817276840535e-07,
            1.4216908965514792e-07, 1.4012445226398668e-08,
        ),
        (
            1.0, -0.2037140641752576, 0.8175516106824942, -0.02375887301800382, 0.24328397550048442,
            0.03758450050170457, 0.03962759674518765, 0.01285114203901892, 0.00518435945464217,
            0.0018835077405648336, 0.0005823871058839039, 0.00017682530325092099, 4.767621053651918e-05,
            1.1679711850647558e-05, 2.6393469697188717e-06, 5.110640953399271e-07, 8.585487775478062e-08,
            9.906492769775278e-09,
        ),
    ),
}  # fmt: skip

# log(2) in two parts, of which the first is so short that its multiples are exact.
_LOG_2 = {
    jnp.dtype("float32"): (0.693359375, -0.00021219444005469057),
    jnp.dtype("float64"): (0.6931471803691238, 1.9082149292705877e-10),
}
# (log(1 + f) - f) / f^2 from 1 + f = sqrt(1/2) to sqrt(2): a polynomial, lowest order first.
# Errors, relative to log(1 + f): float32 below 5.5e-8, float64 below 4e-17. Fitted by the same script.
LOG = {
    jnp.dtype("float32"): (
        -0.49999997132727997, 0.33333670610157023, -0.2500114767763388, 0.19972049709984188, -0.16588488531898676,
        0.1483478683882001, -0.14159647010229592, 0.08787265491105985,
    ),
    jnp.dtype("float64"): (
        -0.5, 0.3333333333333326, -0.24999999999992914, 0.2000000000003205, -0.16666666668629757, 0.1428571428268799,
        -0.1249999978954668, 0.11111111107647632, -0.10000011277649974, 0.09090921328672855, -0.0833299913609137,
        0.076916546465268, -0.07148420480023412, 0.06682375886233116, -0.062025600107261776, 0.05686585537339873,
        -0.05669643772565927, 0.06444421108963665, -0.0594377125876568, 0.026259864395059444,
    ),
}  # fmt: skip

# From here on the continued fraction below is short enough, and s above stays under 7.5
# for every tail that 32 (float32) or 64 (float64) random bits can reach from a nearer bound.
FAR = 4.0
_HAZARD_TERMS = {jnp.dtype("float32"): 10, jnp.dtype("float64"): 32}
_NEWTON_STEPS = {jnp.dtype("float32"): 3, jnp.dtype("float64"): 4}

Real = TypeVar("Real", float, jax.Array)


def _polynomial(coefficients: tuple[float, ...], s: jax.Array) -> jax.Array:
    """Return the polynomial by Estrin's scheme. Horner's has as few products, and each waits for the last."""
    terms, power = [jnp.asarray(coefficient, s.dtype) for coefficient in coefficients], s
    while len(terms) > 1:
        pairs = itertools.zip_longest(terms[::2], terms[1::2])
        terms = [low if high is None else unfused(high * power) + low for low, high in pairs]
        power = power * power
    return terms[0]


def unfused(product: jax.Array) -> jax.Array:
    """Return the product, rounded before it is added to anything.

    LLVM contracts a product and a sum into one instruction with one rounding, in some loops
    and not in others. So a value would depend on the shape of the block it is computed in.
    A maximum with the lowest finite number changes no value here, and cannot be dropped.
    """
    # lax.reduce_precision and lax.optimization_barrier are dropped before LLVM sees them.
    return jnp.maximum(product, jnp.finfo(product.dtype).min)


def abs_normal_ppf(outside: jax.Array, inside: jax.Array) -> jax.Array:
    """Return the z >= 0 with `outside = P(|Z| > z)` and `inside = P(|Z| < z)`, which sum to 1."""
    # In the middle the product can round to above 1.
    s = jnp.sqrt(jnp.abs(log(outside * (1 + inside))))
    above, below = (_polynomial(coefficients, s - CENTER) for coefficients in RATIOS[s.dtype])
    return inside * above / below


def log(x: jax.Array) -> jax.Array:
    """Return log(x) for x > 0 and not subnormal, the same in every loop. XLA's log differs between loops by an ulp.

    With x = (1 + f) * 2**k and 1 + f from sqrt(1/2) to sqrt(2), a polynomial gives log(1 + f).
    """
    digits, word = jnp.finfo(x.dtype).nmant, {4: jnp.int32, 8: jnp.int64}[x.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(x, word)
    exponent = (bits - jnp.asarray(np.sqrt(x.dtype.type(0.5)).view(word), word)) >> jnp.asarray(digits, word)
    f = jax.lax.bitcast_convert_type(bits - (exponent << jnp.asarray(digits, word)), x.dtype) - 1
    k, (most, rest) = exponent.astype(x.dtype), _LOG_2[x.dtype]
    return k * most + (f + (unfused(f * f * _polynomial(LOG[x.dtype], f)) + unfused(k * rest)))


def log1p(x: jax.Array) -> jax.Array:
    """Return log(1 + x) for x >= -1/2."""
    # The quotient gives back what rounding takes from 1 + x (Kahan). XLA would fold (1 + x) - 1, but not a maximum.
    w = jnp.maximum(1 + x, 0.25)
    return jnp.where(w == 1, x, log(w) * x / jnp.where(w == 1, 1, w - 1))


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
    excess = unfused(2 * straight / (1 + jnp.sqrt(1 + unfused(2 * straight * per_near))))
    for _ in range(_NEWTON_STEPS[log_ratio.dtype]):
        slope = hazard(near + excess, terms)
        error = unfused(excess * (near + excess / 2)) + log(slope * per_hazard) - log_ratio
        excess = excess - error / slope
    return excess
