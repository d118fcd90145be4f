"""How random bits become values: one kernel for uniforms, one for normals, two more for hard windows.

A kernel is elementwise over an array of random words. Its parameters are computed here in
float64, once a distribution. Integers are compared with the words. The others have the
words' own width.

A truncated normal uses the kernel of the normal where its window reaches the peak. A
window so thin that the density is nearly straight has a kernel of its own, and so has a
window far out in a tail: there the normal's kernel would lose its digits.

Every product that is added to something is `unfused`, and no array is divided by a number.
The compiler may fuse a product into a sum and may multiply by a reciprocal. It does so in
one program and not in another, which would change bits.

A kernel is one loop. XLA starts another loop, and draws the bits again there, at a quotient
that is used twice. A quotient that is `unfused` first is used once.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._sampling import normal_quantile
from jaxinit._sampling.normal_quantile import unfused
from jaxinit.distributions import Normal, Random, TruncatedNormal, Uniform

Kernel = Callable[..., jax.Array]
Params = tuple[int | float, ...]


def select(distribution: Random, real: np.dtype) -> tuple[Kernel, Params]:
    """Return the kernel of a distribution for values of dtype `real`, and its parameters, integers first."""
    words = 2 ** (8 * real.itemsize)
    match distribution:
        case Uniform(low, high):
            return _uniform, _uniform_params(low, high - low, 2 ** (jnp.finfo(real).nmant + 1))
        case Normal(mean, std):
            return _normal, _normal_params(mean, std, -math.inf, math.inf, words)
        case TruncatedNormal():
            return _truncated(distribution, float(jnp.finfo(real).eps) ** 0.25, words)
    raise TypeError(f"no kernel draws from {distribution}")


def _uniform_params(low: float, width: float, grid: int) -> Params:
    """Return the grid point that is zero, the width and the origin.

    Where zero is a grid point, values are counted from it: one rounding, and U(-b, b) is symmetric.
    """
    zero = -low / width * grid if width else math.inf
    if 0 <= zero <= grid and zero == int(zero):
        return int(zero), width, 0.0
    return 0, width, low


def _uniform(bits: jax.Array, zero: jax.Array, width: jax.Array, origin: jax.Array) -> jax.Array:
    """Return origin + width * (point - zero) / grid, where the point is the top 24 bits of the word (float64: 53)."""
    digits = jnp.finfo(width.dtype).nmant + 1
    signed = jnp.int64 if width.dtype == jnp.float64 else jnp.int32
    top = bits >> jnp.asarray(8 * bits.dtype.itemsize - digits, bits.dtype)
    point = top.astype(signed) - zero.astype(signed)
    return unfused(point.astype(width.dtype) * 2.0**-digits * width) + origin


def _both_tails(z: float) -> tuple[float, float]:
    """Return P(|Z| > z) and P(|Z| < z)."""
    return math.erfc(z / math.sqrt(2.0)), math.erf(z / math.sqrt(2.0))


def _normal_params(loc: float, scale: float, near: float, far: float, words: int) -> Params:
    """Split the words between the two sides of the peak, in proportion to their mass."""
    start, left, right = (_both_tails(max(end, 0.0)) for end in (near, -near, far))
    split = min(round(words * (left[1] / (left[1] + right[1]))), words - 1)
    outside = left[0], (start[0] - left[0]) / max(split, 1), right[0], (start[0] - right[0]) / (words - split)
    inside = start[1], (left[1] - start[1]) / max(split, 1), (right[1] - start[1]) / (words - split)
    return split, loc, scale, *outside, *inside


def _normal(
    bits: jax.Array,
    split: jax.Array,
    loc: jax.Array,
    scale: jax.Array,
    left_outside: jax.Array,
    left_outside_step: jax.Array,
    right_outside: jax.Array,
    right_outside_step: jax.Array,
    start_inside: jax.Array,
    left_inside_step: jax.Array,
    right_inside_step: jax.Array,
) -> jax.Array:
    """Return normal values: words below `split` fall left of the peak, the others right.

    Within its side, the distance of a word to either end is counted in steps. With both
    distances known, neither the middle nor a tail loses a bit.
    """
    is_left = bits < split
    from_near = jnp.where(is_left, split - 1 - bits, bits - split).astype(loc.dtype) + 0.5
    from_far = jnp.where(is_left, bits, ~bits).astype(loc.dtype) + 0.5
    outside_step = jnp.where(is_left, left_outside_step, right_outside_step)
    inside_step = jnp.where(is_left, left_inside_step, right_inside_step)
    outside = jnp.where(is_left, left_outside, right_outside) + unfused(from_far * outside_step)
    inside = start_inside + unfused(from_near * inside_step)
    z = normal_quantile.abs_normal_ppf(outside, inside)
    return loc + unfused(jnp.where(is_left, -scale, scale) * z)


def _truncated(distribution: TruncatedNormal, thin: float, words: int) -> tuple[Kernel, Params]:
    """Return the kernel that is accurate in this window, mirrored so that the far end is positive."""
    near, far = distribution.window
    bound, scale, width = distribution.low, distribution.scale, distribution.high - distribution.low
    if near + far < 0:
        near, far, bound, scale, width = -far, -near, distribution.high, -scale, -width
    if max(abs(near), 1.0) * (far - near) < thin:
        return _thin, (bound, width, *_thin_series(near, far - near))
    if near >= normal_quantile.FAR:
        log_ratio = normal_quantile.log_tail_ratio(near, far - near)
        start = near, 1 / near, 1 / normal_quantile.hazard(near)
        return _far, (bound, scale, *start, math.exp(-log_ratio), -math.expm1(-log_ratio))
    return _normal, _normal_params(distribution.loc, scale, near, far, words)


def _shares(bits: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the word as a fraction u of all words, and 1 - u without cancellation."""
    per_word = 2.0 ** (-8 * bits.dtype.itemsize)
    return (bits.astype(real.dtype) + 0.5) * per_word, ((~bits).astype(real.dtype) + 0.5) * per_word


def _thin_series(near: float, width: float) -> tuple[float, float, float]:
    """Return the quantile over a thin window as a cubic in u. The next term is of order (near * width)^3."""
    slope, curvature = near * width, width * width
    mass = 1 - slope / 2 + (slope * slope - curvature) / 6
    return mass, slope / 2 * mass**2, (slope * slope / 3 + curvature / 6) * mass**3


def _thin(
    bits: jax.Array, bound: jax.Array, width: jax.Array, linear: jax.Array, square: jax.Array, cube: jax.Array
) -> jax.Array:
    """Return truncated normal values on a window so thin that the density is nearly straight."""
    u, _ = _shares(bits, bound)
    return bound + unfused(width * (u * (linear + unfused(u * (square + unfused(u * cube))))))


def _far(
    bits: jax.Array,
    bound: jax.Array,
    scale: jax.Array,
    near: jax.Array,
    per_near: jax.Array,
    per_hazard: jax.Array,
    ratio: jax.Array,
    lost: jax.Array,
) -> jax.Array:
    """Return truncated normal values far out in a tail.

    The mass beyond the far end is `ratio = 1 - lost` of the mass beyond the near end.
    """
    u, rest = _shares(bits, bound)
    log_ratio = -jnp.where(
        u * lost < 0.5, normal_quantile.log1p(-unfused(u * lost)), normal_quantile.log(rest + unfused(u * ratio))
    )
    return bound + unfused(scale * normal_quantile.tail_ppf(near, per_near, per_hazard, log_ratio))
