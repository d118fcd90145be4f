"""Which values a dtype can hold, and how a value is rounded into one without leaving the support."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxinit.distributions import Normal, Random, TruncatedNormal, Uniform


def require_inexact(dtype: np.dtype) -> None:
    """Raise ValueError for a dtype without fractions or without a sign."""
    if not jnp.issubdtype(dtype, jnp.inexact) or float(jnp.finfo(dtype).min) >= 0:
        raise ValueError(f"`dtype` must be a signed floating or complex dtype for random values, got {dtype}")


def require_drawn_by_torch(dtype: np.dtype) -> None:
    """Raise ValueError for a dtype that torch's generator does not fill."""
    if dtype.name not in _DRAWN_BY_TORCH:
        raise ValueError(f"`dtype` must be one of {', '.join(_DRAWN_BY_TORCH)}, got {dtype}")


_DRAWN_BY_TORCH = ("float32", "float64", "float16", "bfloat16", "complex64", "complex128")


def component(distribution: Random, dtype: np.dtype) -> Random:
    """Return what torch draws the real and the imaginary part of a complex entry from."""
    match distribution:
        case Uniform():
            return distribution
        case Normal(mean, std):
            return Normal(mean, std / math.sqrt(2.0))
    raise ValueError(f"`dtype` must be real for a {distribution.kind} distribution, as in torch, got {dtype}")


def compute_dtype(dtype: np.dtype) -> np.dtype:
    """Return the real dtype in which values of `dtype` are drawn, before they are rounded once."""
    return np.dtype(np.float64 if dtype in (np.float64, np.complex128) else np.float32)


def as_words(numbers: Sequence[float], real: np.dtype, distribution: Random) -> np.ndarray:
    """Return the parameters of a kernel as words: an integer as it is, and the bits of any other number in `real`."""
    word = np.dtype(f"uint{8 * real.itemsize}")
    for number in numbers:
        if not isinstance(number, int) and abs(number) > float(jnp.finfo(real).max):
            raise ValueError(f"`dtype` must be wide enough for the distribution, got {real} for {distribution}")
    return np.array([number if isinstance(number, int) else real.type(number).view(word) for number in numbers], word)


def check_range(distribution: Random, dtype: np.dtype) -> None:
    """Raise ValueError for a dtype too narrow for the distribution."""
    most = float(jnp.finfo(dtype).max)
    match distribution:
        case Uniform(low, high):
            fits = -most <= low and high <= most
        case Normal(mean, std):
            fits = max(abs(mean), std) <= most
        case TruncatedNormal(_, _, low, high):
            fits = low <= most and high >= -most
    if not fits:
        raise ValueError(f"`dtype` must be wide enough for the distribution, got {dtype} for {distribution}")
    least = float(jnp.finfo(dtype).smallest_subnormal)
    # The moments of a truncated normal need a quadrature. No window makes them smaller than this share of its size.
    if isinstance(distribution, TruncatedNormal) and min(distribution.scale, distribution.high - distribution.low) > (
        least * 2.0**64
    ):
        return
    size = max(abs(distribution.mean), distribution.std)
    if 0 < size < least / 4:  # nearly every draw would be rounded to zero
        raise ValueError(
            f"`dtype` must have values as small as the distribution's, got {dtype}, whose least is {least}, "
            f"for {distribution}"
        )


def clip_range(distribution: Random, dtype: np.dtype) -> tuple[float, float]:
    """Return the least and the greatest value of `dtype` that lie in the support.

    Rounding is monotonic. So a value that is clipped to these stays in the support when it is
    rounded. Where `dtype` has no value in the support, both are the lower bound, rounded.
    """
    info = jnp.finfo(dtype)
    low, high = (min(max(bound, float(info.min)), float(info.max)) for bound in distribution.support)
    least, greatest = (np.asarray(bound).astype(info.dtype) for bound in (low, high))
    if float(least) < low:
        least = np.nextafter(least, info.max.astype(info.dtype))
    # The upper end of a uniform is open. In wide dtypes it stays open when `high` itself is rounded.
    is_open = isinstance(distribution, Uniform) and (info.bits >= 32 or float(greatest) == distribution.high)
    if float(greatest) > high or (is_open and high == distribution.support[1]):
        greatest = np.nextafter(greatest, info.min.astype(info.dtype))
    if least > greatest:
        least = greatest = np.asarray(low).astype(info.dtype)
    return float(least), float(greatest)


def cast(value: complex, dtype: np.dtype) -> np.ndarray:
    """Return a constant in `dtype`: truncated for integers as in torch, refused where it does not fit."""
    if isinstance(value, complex) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"`val` must be real for dtype {dtype}, got {value}")
    if jnp.issubdtype(dtype, jnp.integer) and not _fits_integer(value.real, dtype):
        raise ValueError(f"`val` must fit in dtype {dtype}, got {value}")
    with np.errstate(over="ignore"):
        result = np.asarray(value).astype(dtype)
    if jnp.issubdtype(dtype, jnp.inexact) and np.isfinite(complex(value)) and not np.isfinite(result):
        raise ValueError(f"`val` must fit in dtype {dtype}, got {value}")
    return result


def _fits_integer(value: float, dtype: np.dtype) -> bool:
    info = jnp.iinfo(dtype)
    return math.isfinite(value) and info.min <= int(value) <= info.max
