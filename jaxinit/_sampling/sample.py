"""From a JAX key to an array.

The bits are those of `jax.random.bits` for the key. The parameters of a distribution enter
the compiled program as operands, not as constants. So layers of one shape share a program
whatever their fans. On a CPU eager calls share one program for all shapes. They agree with
`jit`, `vmap` and sharded ones to the bit, since an entry depends on the key and its index.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._sampling import dtypes, eager, kernels
from jaxinit._sampling.bits import Word, bits, bits_at
from jaxinit._sampling.sharding import OutSharding, jit_sharded, resolve
from jaxinit.distributions import Constant, Distribution, Normal, Random, Uniform


def sample(
    distribution: Distribution,
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    out_sharding: OutSharding = None,
) -> jax.Array:
    """Draw independent entries of `distribution`, rounded once to `dtype` and never outside the support.

    Raises:
        ValueError: `dtype` is too narrow for the distribution, or no dtype for random values.
    """
    sharding = resolve(out_sharding, len(shape))
    if isinstance(distribution, Constant):
        value = dtypes.cast(distribution.value, dtype)
        if sharding is None and jax.default_backend() == "cpu" and eager.is_eager():
            return eager.constant(value, shape)
        return jit_sharded(_fill, sharding)(value, shape=shape)
    _arguments.check_key(key)
    kernel, operands = _plan(distribution, dtype)
    is_real = not jnp.issubdtype(dtype, jnp.complexfloating)
    if sharding is None and is_real and eager.can_fill(key, math.prod(shape)):
        return eager.fill(key, shape, dtype, lambda start: _piece(key, start, *operands, kernel=kernel, dtype=dtype))
    return jit_sharded(_draw, sharding)(key, *operands, kernel=kernel, shape=shape, dtype=dtype)


@functools.lru_cache(maxsize=1024)
def _plan(distribution: Random, dtype: np.dtype) -> tuple[kernels.Kernel, tuple[np.generic, ...]]:
    """Return the kernel, and its operands: the clip range of `dtype`, then the parameters."""
    dtypes.require_inexact(dtype)
    real = dtypes.compute_dtype(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        distribution = _component(distribution, dtype)
    dtypes.check_range(distribution, dtype)
    kernel, params = kernels.select(distribution, real)
    numbers = (*dtypes.clip_range(distribution, dtype), *params)
    return kernel, tuple([dtypes.as_operand(number, real, distribution) for number in numbers])


def _component(distribution: Random, dtype: np.dtype) -> Random:
    """Return what torch draws the real and the imaginary part of a complex entry from."""
    match distribution:
        case Uniform():
            return distribution
        case Normal(mean, std):
            return Normal(mean, std / math.sqrt(2.0))
    raise ValueError(f"`dtype` must be real for a {distribution.kind} distribution, as in torch, got {dtype}")


def _fill(value: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    return jnp.broadcast_to(value, shape)


def _opaque(number: jax.Array, key: jax.Array) -> jax.Array:
    """Return the number, or-ed with a zero that no compiler recognises.

    As a constant of a caller's program, the number would be folded into the arithmetic by
    XLA or LLVM. It would then round otherwise than as an operand, so that `jit` would change
    bits. The zero is n^3 - n modulo 3, where n is a byte of the key.
    """
    # lax.optimization_barrier does not help: XLA drops it before it folds constants.
    word = jnp.uint64 if number.dtype.itemsize == 8 else jnp.uint32
    n = jax.random.key_data(key).reshape(-1)[0] & jnp.uint32(255)
    nothing = (n * n * n - n) % jnp.uint32(3)
    bits = jax.lax.bitcast_convert_type(number, word) | nothing.astype(word)
    return jax.lax.bitcast_convert_type(bits, number.dtype)


def _draw(
    key: jax.Array, *numbers: jax.Array, kernel: kernels.Kernel, shape: tuple[int, ...], dtype: np.dtype
) -> jax.Array:
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    words = bits(key, (2, *shape) if is_complex else shape, _word(numbers))
    values = _values(words, key, numbers, kernel)
    return jax.lax.complex(values[0], values[1]) if is_complex else values.astype(dtype)


@functools.partial(jax.jit, static_argnames=("kernel", "dtype"))
def _piece(key: jax.Array, start: jax.Array, *numbers: jax.Array, kernel: kernels.Kernel, dtype: np.dtype) -> jax.Array:
    """Return the entries of the flat array from `start` on."""
    words = bits_at(key, start + jax.lax.iota(jnp.uint32, eager.PIECE), _word(numbers))
    return _values(words, key, numbers, kernel).astype(dtype)


def _word(numbers: Sequence[jax.Array]) -> Word:
    word: Word = jnp.uint64 if numbers[0].dtype == jnp.float64 else jnp.uint32
    return word


def _values(words: jax.Array, key: jax.Array, numbers: Sequence[jax.Array], kernel: kernels.Kernel) -> jax.Array:
    least, greatest, *params = (_opaque(number, key) for number in numbers)
    return jnp.clip(kernel(words, *params), least, greatest)
