"""Checks of arguments. Each returns the value in its one canonical form.

A message names the argument in backticks, the rule, the value received and,
for a closed set, the values allowed.
"""

import math
import operator
import sys
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_traced(value: Any) -> bool:
    """Return whether `value` is traced: an argument of a function under transformation, without a number."""
    return isinstance(value, jax.core.Tracer)


def is_staged() -> bool:
    """Return whether the code runs under a trace that makes a program: `jit` or `scan`, but not `vmap` alone."""
    return is_traced(jax.lax.full((), 0.0))


_MOST_DIMENSIONS = 64  # of a NumPy array


def is_array(value: Any) -> bool:
    """Return whether `value` is an array with axes, of any library, or a variable that holds one."""
    shape = getattr(value, "shape", ())
    return isinstance(shape, tuple) and bool(shape) and hasattr(value, "dtype")


def shown(value: Any) -> str:
    """Return how a message shows `value`: an array by its shape, because its entries are long and say nothing."""
    return f"an array of shape {tuple(value.shape)}" if is_array(value) else repr(value)


def number(name: str, value: Any) -> float:
    """Return `value` as a float. Ints, NumPy scalars and concrete 0-d arrays pass, booleans and NaN do not."""
    if is_traced(value):
        raise TypeError(f"`{name}` must be known when the initializer is built, got the traced value {value}")
    try:
        # Booleans, complex numbers, texts and dates convert to float, but are not real numbers.
        if np.asarray(value).dtype.kind in "bcUSmM" or np.ndim(value) != 0:
            raise TypeError
        result = float(value) + 0.0  # turns -0.0 into 0.0
    except (TypeError, ValueError):
        if is_array(value):
            rule = f"`{name}` must be a real number, got {shown(value)}"
            raise TypeError(f"{rule}. An initializer fills no array: call it with a key and a shape") from None
        raise TypeError(f"`{name}` must be a real number, got {value!r}") from None
    except OverflowError:
        raise TypeError(f"`{name}` must be a real number that fits in a float, got {value!r}") from None
    if math.isnan(result):
        raise ValueError(f"`{name}` must be a number, got nan")
    return result


def finite(name: str, value: Any) -> float:
    """Return `value` as `number` does, and refuse infinities."""
    result = number(name, value)
    if math.isinf(result):
        raise ValueError(f"`{name}` must be finite, got {result}")
    return result


def within(name: str, value: Any, low: float, high: float = math.inf, *, is_open: bool = False) -> float:
    """Return `value` as `finite` does, and refuse it outside [low, high], or at `low` where this end is open."""
    result = finite(name, value)
    if not low <= result <= high or (is_open and result == low):
        rule = f"between {low:g} and {high:g}" if math.isfinite(high) else f"at least {low:g}"
        raise ValueError(f"`{name}` must be {f'above {low:g}' if is_open else rule}, got {result}")
    return result


def ordered(low_name: str, low: float, high_name: str, high: float) -> None:
    """Raise ValueError if the interval is empty."""
    if low > high:
        raise ValueError(f"`{low_name}` must not exceed `{high_name}`, got {low_name}={low} and {high_name}={high}")


def integer(name: str, value: Any) -> int:
    """Return `value` as an int. Booleans and floats do not pass."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be an integer, got {value!r}") from None


def size(name: str, value: Any, least: int = 0) -> int:
    """Return `value` as an int of at least `least`."""
    result = integer(name, value)
    if result < least:
        raise ValueError(f"`{name}` must be at least {least}, got {result}")
    return result


def choice(name: str, value: Any, allowed: Collection[str], hint: str = "") -> str:
    """Return `value` if it is one of `allowed`. `hint` ends the message."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}, got {value!r}{hint}")
    return value


def dimensions(shape: Sequence[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple of non-negative ints."""
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable) or getattr(shape, "ndim", 1) != 1:
        raise TypeError(f"`shape` must be a sequence of integers, got {shape!r}")
    result = tuple([integer("shape", size) for size in shape])
    if result and min(result) < 0:
        raise ValueError(f"`shape` must not have a negative size, got {result}")
    if len(result) > _MOST_DIMENSIONS:
        raise ValueError(f"`shape` must have at most {_MOST_DIMENSIONS} dimensions, got {len(result)}")
    return result


def parse_dtype(dtype: Any) -> np.dtype:
    """Return NumPy's object for `dtype`, a dtype of numbers or the name of one."""
    if isinstance(dtype, (jax.Array, np.ndarray)):
        raise TypeError(f"`dtype` must be a dtype or the name of one, got an array of {dtype.dtype}")
    try:
        parsed: np.dtype = jnp.dtype(dtype)
    except (TypeError, SyntaxError):  # NumPy parses a text such as ","
        raise TypeError(f"`dtype` must be a dtype or the name of one, got {dtype!r}") from None
    if not (jnp.issubdtype(parsed, jnp.number) or jnp.issubdtype(parsed, jnp.bool_)):
        raise TypeError(f"`dtype` must be a dtype of numbers, got {parsed}")
    if parsed.name.startswith("float6_") or not parsed.isnative or parsed in (np.longdouble, np.clongdouble):
        raise TypeError(f"`dtype` must be a dtype that XLA can compute with, got {parsed.str} ({parsed.name})")
    return parsed


def resolve_dtype(dtype: Any, stacklevel: int = 3) -> np.dtype:
    """Return `dtype` as JAX would store it: the default float for None, 32 bits wide while x64 is off."""
    asked = parse_dtype(float if dtype is None else dtype)
    stored = jax.dtypes.canonicalize_dtype(asked)
    # None and Python's own types mean JAX's default. NumPy would call them equal to its 64-bit dtypes.
    is_default = dtype is None or dtype is float or dtype is complex or dtype is int
    if stored != asked and not is_default:
        warnings.warn(f"`dtype` {asked} needs jax_enable_x64; {stored} is used instead", stacklevel=stacklevel)
    return stored


def is_key(value: Any) -> bool:
    """Return whether `value` can only be a PRNG key: a typed key array, or a vector of uint32."""
    if not isinstance(value, (jax.Array, np.ndarray)):
        return False
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key) or (value.dtype == np.uint32 and value.ndim > 0)


def is_rngs(value: Any) -> bool:
    """Return whether `value` is flax's `nnx.Rngs` or one of its streams. jaxinit works without flax."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, nnx.Rngs | nnx.RngStream)


def check_key(key: Any, name: str = "key") -> None:
    """Raise TypeError or ValueError unless `key` is one PRNG key, typed or legacy."""
    if not is_key(key):
        raise TypeError(f"`{name}` must be a JAX PRNG key such as jax.random.key(0), got {shown(key)}")
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if key.ndim != (0 if typed else 1):
        raise ValueError(f"`{name}` must be a single key (use jax.vmap for a batch), got keys of shape {key.shape}")
