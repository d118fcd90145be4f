"""Which dtypes can hold what, and how a value enters one: rounded once, inside the support."""

import math

import jax.numpy as jnp
import numpy as np

from jaxinit.distributions import Normal, Random, Triangular, TruncatedNormal, Uniform


def require_inexact(dtype: np.dtype) -> None:
    """Refuses dtypes that torch does not draw either, and those that lack a sign."""
    if not jnp.issubdtype(dtype, jnp.inexact) or float(jnp.finfo(dtype).min) >= 0:
        raise ValueError(f"`dtype` must be a signed floating or complex dtype for random values, got {dtype}")


def require_drawn_by_torch(dtype: np.dtype) -> None:
    """Refuses dtypes that torch's generator does not fill."""
    if dtype.name not in _DRAWN_BY_TORCH:
        raise ValueError(f"`dtype` must be one of {', '.join(_DRAWN_BY_TORCH)}, got {dtype}")


_DRAWN_BY_TORCH = ("float32", "float64", "float16", "bfloat16")


def working(dtype: np.dtype) -> np.dtype:
    """The real dtype in which values of `dtype` are drawn."""
    return np.dtype(np.float64 if dtype in (np.float64, np.complex128) else np.float32)


def operand(number: float, real: np.dtype, distribution: Random) -> np.generic:
    """A number of a distribution as a kernel takes it: a whole number as a word, others in `real`."""
    if isinstance(number, int):
        return np.uint64(number) if real == np.float64 else np.uint32(number)
    if abs(number) > float(jnp.finfo(real).max):
        raise ValueError(f"`dtype` must reach the values of the distribution, got {real} for {distribution}")
    return np.float64(number) if real == np.float64 else np.float32(number)


def require_room(distribution: Random, dtype: np.dtype) -> None:
    """Refuses a dtype whose values end before the distribution is under way."""
    most = float(jnp.finfo(dtype).max)
    match distribution:
        case Uniform(low, high) | Triangular(low, high):
            fits = -most <= low and high <= most
        case Normal(mean, std):
            fits = max(abs(mean), std) <= most
        case TruncatedNormal(_, _, low, high):
            fits = low <= most and high >= -most
    if not fits:
        raise ValueError(f"`dtype` must reach the values of the distribution, got {dtype} for {distribution}")


def inside(distribution: Random, dtype: np.dtype) -> tuple[float, float]:
    """The least and the greatest value of `dtype` that lie in the support.

    Rounding is monotonic, so a value clipped to these before it is rounded stays in the
    support after. Where `dtype` has no value there, both are the lower bound, rounded.
    """
    info = jnp.finfo(dtype)
    low, high = (min(max(bound, float(info.min)), float(info.max)) for bound in distribution.support)
    least, greatest = (np.asarray(bound).astype(info.dtype) for bound in (low, high))
    if float(least) < low:
        least = np.nextafter(least, info.max.astype(info.dtype))
    # The upper end of a uniform is open, in wide dtypes also for who compares with it rounded.
    is_open = isinstance(distribution, Uniform) and (info.bits >= 32 or float(greatest) == distribution.high)
    if float(greatest) > high or (is_open and high == distribution.support[1]):
        greatest = np.nextafter(greatest, info.min.astype(info.dtype))
    if least > greatest:
        least = greatest = np.asarray(low).astype(info.dtype)
    return float(least), float(greatest)


def cast(value: complex, dtype: np.dtype) -> np.ndarray:
    """A constant in `dtype`: truncated for integers as in torch, refused where it does not fit."""
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
